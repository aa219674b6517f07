from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from detector.settings import Settings, config_digest, decisive, effective, leaves, load, render, with_decisive

SOURCE = "source.topics=[sensors]"
DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"
EXAMPLE = Path(__file__).parents[3] / "deploy" / "tidemark.example.yaml"
SECRET = [
    "kafka.security.protocol=SASL_SSL",
    "kafka.security.sasl_mechanism=PLAIN",
    "kafka.security.username=u",
    "kafka.security.password=hunter2",
    "spark.conf.spark.hadoop.fs.s3a.secret.key=hunter2",
    "spark.conf.spark.ui.enabled=true",
]


def read(*flags):
    return load(None, [SOURCE, *flags], {})


def documented():
    """The rows of the reference tables: setting -> (default, allowed, meaning)."""
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*?) ?\| (.*) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return {path: (default.strip("`"), allowed, meaning) for path, default, allowed, meaning in rows}


def test_secrets_are_in_no_printed_form():
    settings = read(*SECRET)
    assert "hunter2" not in repr(settings) + str(settings) + render(settings) + str(effective(settings))
    assert "hunter2" not in settings.model_dump_json(exclude={"spark"})
    assert effective(settings)["spark"]["conf"]["spark.ui.enabled"] == "true"
    assert set(effective(settings)["kafka"]["security"]["password"]) == {"*"}


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["windows.length=1h30m", "windows.slide=45m", "records.max_bytes=1000B", "model.version=007"],
        ["records.ranges=[{sensors: 'a/*', min: -1.5}]", "spark.conf.spark.x=null-ish", "model.version=~x"],
        ["records.asset.source=mapping", "records.asset.mapping.s é=no", "records.asset.mapping.t: 1=null-ish"],
    ],
)
def test_what_is_rendered_reads_back_to_the_same_settings(tmp_path, flags):
    settings = read(*flags)
    path = tmp_path / "rendered.yaml"
    path.write_text(render(settings), encoding="utf-8")
    assert load(path, [], {}) == settings


def test_the_effective_settings_hold_every_setting():
    shown = effective(read())
    for leaf in leaves(Settings):
        if "[]" not in leaf.path:
            section = shown
            for name in leaf.path.split("."):
                section = section[name]


DECISIVE = [
    "records.fields.value=$.v",
    "records.timezone=Europe/Amsterdam",
    "records.asset.template=plant",
    "records.max_bytes=2MiB",
    "records.future_bound=6m",
    "records.ranges=[{sensors: '*/*', min: 0}]",
    "windows.length=20s",
    "windows.slide=5s",
    "windows.lateness=0s",
    "windows.dedup=within_window",
    "model.false_alarm_rate=0.002",
    "model.fit_share=0.6",
    "model.min_windows=129",
    "model.close_ratio=0.6",
    "model.quiet_windows=4",
    "model.seed=1",
]


@pytest.mark.parametrize("flag", [*DECISIVE, "state.buckets=128"])
def test_the_digest_changes_with_what_decides_windows_and_scores(flag):
    assert config_digest(read(flag)) != config_digest(read())


@pytest.mark.parametrize("flag", DECISIVE)
def test_decisive_settings_that_were_kept_as_json_judge_again_under_other_settings(flag):
    kept = json.loads(json.dumps(decisive(read(flag))))
    now = read("app.name=other", "model.version=7", "model.quiet_windows=9", "windows.lateness=3s")
    restored = with_decisive(now, kept)
    assert config_digest(restored) == config_digest(read(flag))
    assert restored.app.name == "other"
    assert restored.model.version == "7"


@pytest.mark.parametrize(
    "flag",
    [
        "app.name=other",
        "kafka.bootstrap_servers=kafka:9092",
        "source.topics=[others]",
        "model.registry=elsewhere",
        "model.version=7",
        "state.checkpoint=elsewhere",
        "state.shuffle_partitions=8",
        "alerts.topic=others",
        "dead_letter.topic=others",
        "trigger=2s",
        "http.port=0",
        "spark.driver_memory=4g",
        "windows.length=10000ms",
        "records.max_bytes=1024KiB",
    ],
)
def test_the_digest_does_not_change_with_addresses_sizes_or_other_spellings(flag):
    assert config_digest(read(flag)) == config_digest(read())


def test_the_digest_does_not_change_with_secrets():
    assert config_digest(read(*SECRET)) == config_digest(read())
    assert re.fullmatch(r"[0-9a-f]{64}", config_digest(read()))


def test_the_digest_of_a_mapping_does_not_depend_on_where_or_in_which_order_it_stands(tmp_path):
    path = tmp_path / "assets.yaml"
    path.write_text("b: y\na: x\n", encoding="utf-8")
    mapping = "records.asset.source=mapping"
    from_file = read(mapping, f"records.asset.mapping_file={path}")
    from_flags = read(mapping, "records.asset.mapping.a=x", "records.asset.mapping.b=y")
    assert config_digest(from_file) == config_digest(from_flags)


def test_every_setting_is_documented_and_nothing_else():
    assert list(documented()) == [leaf.path for leaf in leaves(Settings)]


def test_the_documented_limits_and_meanings_are_those_of_the_schema():
    expected = {leaf.path: (leaf.allowed, leaf.field.description) for leaf in leaves(Settings)}
    assert {path: (allowed, meaning) for path, (_, allowed, meaning) in documented().items()} == expected


def test_the_documented_defaults_are_accepted_and_change_nothing():
    words = {"required", "derived", "empty"}
    rows = {path: default for path, (default, _, _) in documented().items() if default not in words}
    flags = [f"{path}={default}" for path, default in rows.items() if "[]" not in path]
    plain = read()
    assert read(*(flag for flag in flags if not flag.startswith("source.topics="))) == plain
    assert {path for path, (default, _, _) in documented().items() if default in words} == {
        "records.ranges[].sensors",
        "windows.slide",
        "alerts.commits_topic",
        "source.heartbeat_topic",
    }


def test_the_example_file_has_the_default_windows_and_cluster():
    settings = load(EXAMPLE, [], {})
    assert settings.windows == read().windows
    assert settings.kafka == read().kafka
