from __future__ import annotations

import copy
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from detector.errors import ConfigError
from detector.settings import load

SOURCE = "source.topics=[sensors]"
EXAMPLE = Path(__file__).parents[3] / "deploy" / "tidemark.example.yaml"


def write(tmp_path, text):
    path = tmp_path / "tidemark.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path=None, *flags, **environ):
    with pytest.raises(ConfigError) as caught:
        load(path, flags, environ)
    return str(caught.value)


def test_a_topic_alone_is_enough():
    settings = load(None, [SOURCE], {})
    assert settings.source.topics == ("sensors",)
    assert settings.windows.length == settings.windows.slide == timedelta(seconds=10)
    assert settings.alerts.commits_topic == "tidemark.commits"


def test_no_source_is_refused_with_what_to_set():
    assert "set source.topics" in problems_of()


def test_the_example_file_is_accepted():
    settings = load(EXAMPLE, [], {})
    assert settings.source.topics == ("sensors",)
    assert settings.records.ranges[0].max == 200


def test_the_environment_wins_over_the_file_and_flags_win_over_both(tmp_path):
    path = write(tmp_path, "source: {topics: [a]}\nwindows: {lateness: 1s}\nmodel: {seed: 1}\nhttp: {port: 1}\n")
    environ = {"TIDEMARK__MODEL__SEED": "2", "TIDEMARK__HTTP__PORT": "2"}
    settings = load(path, ["http.port=3"], environ)
    assert (settings.windows.lateness, settings.model.seed, settings.http.port) == (timedelta(seconds=1), 2, 3)


def test_of_two_flags_for_one_setting_the_later_wins():
    assert load(None, [SOURCE, "model.seed=1", "model.seed=2"], {}).model.seed == 2


def test_mappings_are_merged_by_key_and_lists_are_replaced(tmp_path):
    path = write(tmp_path, "source: {topics: [a, b]}\nspark: {conf: {spark.x: 1, spark.y: 2}}\n")
    settings = load(path, ["source.topics=[c]", "spark.conf.spark.y=3"], {})
    assert settings.source.topics == ("c",)
    assert settings.spark.conf == {"spark.x": "1", "spark.y": "3"}


def test_null_is_the_default_also_over_a_lower_layer(tmp_path):
    path = write(tmp_path, "source: {topics: [a]}\nwindows:\n  slide: 5s\nkafka:\n")
    settings = load(path, ["windows.slide=null"], {})
    assert settings.windows.slide == settings.windows.length


def test_a_topic_pattern_replaces_topics_when_they_are_set_to_null(tmp_path):
    path = write(tmp_path, "source: {topics: [a]}\n")
    settings = load(path, ["source.topics=null", "source.topic_pattern=plant-.*"], {})
    assert settings.source.reads("plant-7")
    assert not settings.source.reads("my-plant-7")


def test_text_is_kept_as_it_was_written(tmp_path):
    path = write(tmp_path, "source: {topics: [a]}\nmodel: {version: 0123}\nspark: {conf: {spark.x: no}}\n")
    settings = load(path, ["records.asset.pattern=[a-z]+"], {})
    assert (settings.model.version, settings.spark.conf["spark.x"]) == ("0123", "no")
    assert settings.records.asset.pattern == "[a-z]+"


def test_keys_of_a_mapping_keep_their_case_and_dots_in_the_environment():
    settings = load(None, [SOURCE], {"TIDEMARK__SPARK__CONF__spark.ui.showConsoleProgress": "true"})
    assert settings.spark.conf == {"spark.ui.showConsoleProgress": "true"}


def test_other_variables_are_passed_over():
    load(None, [SOURCE], {"PATH": "/bin", "TIDEMARK_HOME": "/x", "KAFKA__BOOTSTRAP_SERVERS": "?"})


def test_every_problem_is_listed_with_the_place_where_it_was_set(tmp_path):
    path = write(tmp_path, "source: {topics: [a]}\nwindows:\n  length: 10\n  lenght: 5s\n")
    message = problems_of(path, "state.buckets=65", TIDEMARK__LOG__LEVEL="loud")
    assert "4 settings are wrong" in message
    assert f"windows.length: '10' has no unit; write 10s, 10ms or 10m ({path}:3)" in message
    assert f"windows.lenght: is not a setting; did you mean windows.length? ({path}:4)" in message
    assert "state.buckets: 65 is not a power of two; write 64 or 128 (flag state.buckets)" in message
    expected = "log.level: must be one of debug, info, warning, error, not 'loud'"
    assert f"{expected} (environment variable TIDEMARK__LOG__LEVEL)" in message


@pytest.mark.parametrize(
    ("flag", "suggestion"),
    [
        ("kafka.bootstrap_server=x:1", "did you mean kafka.bootstrap_servers?"),
        ("bootstrap_servers=x:1", "did you mean kafka.bootstrap_servers?"),
        ("window.length=1s", "did you mean windows?"),
        ("log.levle=null", "did you mean log.level?"),
        ("kafak=null", "did you mean kafka?"),
        ("log.zzz=1", "allowed here: level, format"),
        ("records.ranges=[{sensors: '*/*', max: 1, units: C}]", "did you mean records.ranges[0].unit?"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_closest_one(flag, suggestion):
    assert suggestion in problems_of(None, SOURCE, flag)


def test_an_unknown_variable_is_refused_with_the_closest_setting():
    message = problems_of(None, SOURCE, TIDEMARK__KAFKA__BOOTSTRAP_SERVRES="x:1")
    assert "did you mean kafka.bootstrap_servers?" in message
    assert "environment variable TIDEMARK__KAFKA__BOOTSTRAP_SERVRES" in message


@pytest.mark.parametrize(
    ("flag", "wanted"),
    [
        ("http.port=abc", "http.port: must be a whole number >= 0 and <= 65535, not 'abc'"),
        ("http.port=70000", "must be >= 0 and <= 65535, not '70000'"),
        ("model.false_alarm_rate=0", "must be > 0 and <= 0.1"),
        ("model.false_alarm_rate=nan", "model.false_alarm_rate: must be"),
        ("source.require_log_append_time=perhaps", "must be true or false"),
        ("source.topics=a", "must be a list; write [first, second]"),
        ("spark.conf=a", "must be a mapping; write {key: value}"),
        ("kafka=a", "kafka: is a section"),
        ("records.ranges=[{max: 1}]", "records.ranges[0].sensors: is required"),
        ("records.ranges=[a]", "records.ranges[0]: "),
        ("log.level.x=1", "log.level: must be one of"),
        ("windows.length=50ms", "50ms is outside what is allowed: 100ms to 31d"),
        ("records.max_bytes=1024", "write 512B, 64KiB, 1MiB or 2GiB"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(flag, wanted):
    assert wanted in problems_of(None, SOURCE, flag)


@pytest.mark.parametrize("flag", ["", "windows.length", "=3", "kafka.security.password hunter2"])
def test_a_flag_without_an_equals_sign_or_key_is_refused(flag):
    message = problems_of(None, SOURCE, flag)
    assert "is not key.path=value" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("kafka: [", "line 1"),
        ("log: {level: info}\nlog: {format: json}", "line 2, column 1: a key stands twice"),
        ("- a", "holds no settings"),
        ("log: {level: !secret x}", "tags such as !name"),
        ("log: &a\n  level: *a", "refers to itself"),
        ("? [a]\n: b", "a key must be a single word"),
        ("log: \x00", "control characters"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused_by_name(tmp_path, text, wanted):
    path = write(tmp_path, text)
    message = problems_of(path)
    assert str(path) in message
    assert wanted in message


def test_a_missing_file_and_one_that_is_no_text_are_refused_by_name(tmp_path):
    assert "absent.yaml cannot be read" in problems_of(tmp_path / "absent.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8" in problems_of(path)


def test_an_empty_file_changes_nothing(tmp_path):
    assert load(write(tmp_path, "# nothing\n"), [SOURCE], {}) == load(None, [SOURCE], {})


@pytest.mark.parametrize(
    "text",
    [
        "kafka: {security: {password: hunter2}}",
        "kafka: {security: {pasword: hunter2}}",
        "kafka: {security: {protocol: SSL, password: hunter2}}",
        "kafka: {security: hunter2}",
        "kafka: {security: [hunter2]}",
        "kafka: {security: {password: [hunter2]}}",
        "kafka: {security: {password: {hunter2: 1}}}",
        "kafka: {security: {password:hunter2}}",
        "kafka:\n  security:\n    password=hunter2\n",
        "kafka:\n  security:\n    password: 'hunter2\n",
        "spark: {conf: {spark.a.password: [hunter2]}}",
    ],
)
def test_a_secret_is_in_no_error_message(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path, [SOURCE], {})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_settings_cannot_change_after_they_are_read():
    settings = load(None, [SOURCE], {})
    before = copy.deepcopy(settings)
    with pytest.raises(ValidationError, match="frozen"):
        settings.windows.length = timedelta(seconds=1)
    assert settings == before
