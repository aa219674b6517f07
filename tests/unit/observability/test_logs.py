from __future__ import annotations

import io
import json
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from detector.observability.logs import REDACTED, SPARK_LOG4J2, configure, redact


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Give the process its own logging back after each test."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_object_with_time_level_and_logger() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    structlog.get_logger("tidemark.stream").info("batch committed", batch=7)
    (event,) = lines(stream)
    assert event.pop("time").endswith("Z")
    assert event == {"event": "batch committed", "batch": 7, "level": "info", "logger": "tidemark.stream"}


def test_the_standard_library_goes_the_same_way() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger("some.library").warning("partition %d is gone", 3)
    (event,) = lines(stream)
    assert (event["event"], event["level"], event["logger"]) == ("partition 3 is gone", "warning", "some.library")


def test_python_warnings_go_the_same_way() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    warnings.warn("soon gone", UserWarning, stacklevel=1)
    assert "soon gone" in lines(stream)[0]["event"]


def test_less_severe_events_are_not_written() -> None:
    stream = io.StringIO()
    configure("warning", "json", stream)
    structlog.get_logger("tidemark").info("not this")
    logging.getLogger("some.library").info("nor this")
    structlog.get_logger("tidemark").error("this")
    assert [event["event"] for event in lines(stream)] == ["this"]


@pytest.mark.parametrize("name", ["py4j", "py4j.java_gateway", "pyspark", "urllib3"])
def test_chatty_libraries_start_at_warning_even_while_debugging(name: str) -> None:
    stream = io.StringIO()
    configure("debug", "json", stream)
    logging.getLogger(name).info("Command to send: c")
    logging.getLogger(name).warning("lost")
    assert [event["event"] for event in lines(stream)] == ["lost"]


def test_the_traceback_of_a_callback_is_left_to_the_application() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger("py4j.clientserver").error("There was an exception while executing the Python Proxy")
    assert lines(stream) == []


def test_bound_fields_are_in_every_event_of_every_thread() -> None:
    stream = io.StringIO()
    context = configure("info", "json", stream)
    context.bind(app="tidemark", batch=1)
    context.bind(batch=2)
    thread = threading.Thread(target=lambda: structlog.get_logger("tidemark").info("scored"))
    thread.start()
    thread.join()
    logging.getLogger("some.library").info("fetched")
    assert [(event["app"], event["batch"]) for event in lines(stream)] == [("tidemark", 2), ("tidemark", 2)]


def test_a_field_of_the_event_itself_wins_over_a_bound_one() -> None:
    stream = io.StringIO()
    configure("info", "json", stream).bind(batch=2)
    structlog.get_logger("tidemark").info("replayed", batch=1)
    assert lines(stream)[0]["batch"] == 1


def test_the_last_configuration_holds_for_loggers_that_exist() -> None:
    first, second = io.StringIO(), io.StringIO()
    logger = structlog.get_logger("tidemark")
    configure("info", "json", first)
    logger.info("one")
    configure("info", "json", second)
    logger.info("two")
    assert [event["event"] for event in lines(first)] == ["one"]
    assert [event["event"] for event in lines(second)] == ["two"]


def test_lines_for_people_show_the_event_and_its_fields() -> None:
    stream = io.StringIO()
    configure("info", "console", stream)
    structlog.get_logger("tidemark").info("batch committed", batch=7)
    line = stream.getvalue()
    assert "batch committed" in line
    assert "batch=7" in line
    assert "\x1b" not in line  # no colours where nobody sees them


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_trace_is_written_without_its_secrets(form: Any) -> None:
    stream = io.StringIO()
    configure("info", form, stream)
    try:
        raise ValueError("cannot log in with password=hunter2")
    except ValueError:
        structlog.get_logger("tidemark").exception("login failed")
    assert "ValueError: cannot log in" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    "key",
    ["password", "sasl.password", "SASL_JAAS_CONFIG", "sasl.jaas.config", "client_secret", "token", "ssl.key.password"],
)
def test_values_with_secret_names_are_removed_at_any_depth(key: str) -> None:
    event = {"event": "config", key: "hunter2", "kafka": {key: "hunter2", "list": [{key: "hunter2"}]}}
    assert "hunter2" not in str(redact(None, "info", event))


@pytest.mark.parametrize(
    "text",
    [
        'ScramLoginModule required username="app" password="hunter2";',
        "sasl.password=hunter2, security.protocol=SASL_SSL",
        "{'sasl.password': 'hunter2'}",
        '{"client_secret": "hunter2"}',
        "https://example.org/?token=hunter2&x=1",
    ],
)
def test_secrets_inside_a_text_are_removed(text: str) -> None:
    event = redact(None, "info", {"event": text})
    assert "hunter2" not in event["event"]
    assert REDACTED in event["event"]


def test_a_secret_logged_through_the_standard_library_is_removed() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger("some.library").warning("retry with %s", "password=hunter2")
    assert "hunter2" not in stream.getvalue()


@given(st.dictionaries(st.sampled_from(["batch", "topic", "event", "offset", "key"]), st.integers() | st.none()))
def test_what_is_no_secret_is_left_as_it_is(event: dict[str, Any]) -> None:
    assert redact(None, "info", dict(event)) == event


def silenced() -> dict[str, re.Pattern[str]]:
    """Read logger -> pattern of the messages that Spark's log configuration drops."""
    pairs = [line.split(" = ", 1) for line in SPARK_LOG4J2.read_text().splitlines() if " = " in line]
    settings = {key: text.replace("\\\\", "\\") for key, text in pairs}
    return {
        settings[f"logger.{key.split('.')[1]}.name"]: re.compile(pattern)
        for key, pattern in settings.items()
        if key.endswith(".regex")
    }


SPARK = "org.apache.spark"
RUNTIME = f"{SPARK}.sql.execution.streaming.runtime"


@pytest.mark.parametrize(
    ("logger", "harmless", "telling"),
    [
        (
            f"{SPARK}.util.Utils",
            "Your hostname, vm, resolves to a loopback address: 127.0.0.1; using 192.0.2.2 instead",
            "Service 'sparkDriver' could not bind on port 0. Attempting port 1.",
        ),
        (
            f"{RUNTIME}.ResolveWriteToStream",
            "spark.sql.adaptive.enabled is not supported in streaming DataFrames/Datasets and will be disabled.",
            "Temporary checkpoint location created which is deleted normally when the query didn't fail",
        ),
        (
            f"{RUNTIME}.MicroBatchExecution",
            "Disabling AQE since AQE is not supported in stateful workloads.",
            "Query tidemark [id = 5902] terminated with error",
        ),
        (
            f"{RUNTIME}.ProcessingTimeExecutor",
            "Current batch is falling behind. The trigger interval is 1000 milliseconds, but spent 7509 milliseconds",
            "Trigger was interrupted",
        ),
        (
            f"{SPARK}.scheduler.DAGScheduler",
            "Failed to cancel job group 823626f8. Cannot find active jobs for it.",
            "Job 0 cancelled because SparkContext was shut down",
        ),
    ],
)
def test_sparks_harmless_messages_are_dropped_and_others_of_the_same_logger_are_not(
    logger: str, harmless: str, telling: str
) -> None:
    pattern = silenced()[logger]
    assert pattern.fullmatch(harmless)
    assert not pattern.fullmatch(telling)


def test_of_lost_records_spark_says_a_few_single_lines() -> None:
    pairs = [line.split(" = ", 1) for line in SPARK_LOG4J2.read_text().splitlines() if " = " in line]
    settings = dict(pairs)

    assert settings["logger.lost.name"] == f"{SPARK}.sql.kafka010.consumer.KafkaDataConsumer"
    assert (settings["logger.lost.additivity"], settings["logger.lost.appenderRef.few.ref"]) == ("false", "few")
    assert settings["appender.few.layout.pattern"].endswith("%n%ex{none}")
    assert settings["appender.few.filter.burst.type"] == "BurstFilter"


def test_sparks_log_starts_at_warning_and_goes_to_standard_error() -> None:
    text = SPARK_LOG4J2.read_text()
    assert "rootLogger.level = warn" in text
    assert "appender.console.target = SYSTEM_ERR" in text
