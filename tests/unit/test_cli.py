"""The command line without Spark or Kafka: help, settings, and how errors end a command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector import errors
from detector.cli import EXIT_CODES, MODEL_EXIT_CODE, app

runner = CliRunner()


def tidemark(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from detector.cli import main; main()", *arguments]
    environment = {**os.environ, "COLUMNS": "200", **environ}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


@pytest.mark.parametrize(
    "command", ["setup", "broker", "train", "run", "doctor", "demo", "simulate", "evaluate", "config check"]
)
def test_every_command_explains_itself(command: str) -> None:
    shown = runner.invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_every_exit_code_of_an_error_is_documented_in_the_help() -> None:
    documented = {int(number) for number in re.findall(r"\b(\d{1,2}) [a-zA-Z]", EXIT_CODES)}
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.DetectorError)]
    assert {c.exit_code for c in classes} | {0, 2, MODEL_EXIT_CODE} == documented


def test_help_needs_neither_spark_nor_kafka() -> None:
    probe = "import sys, detector.cli; print(sorted(m for m in ('pyspark', 'confluent_kafka') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_config_check_prints_the_effective_settings_with_secrets_redacted(tmp_path: Path) -> None:
    file = tmp_path / "tidemark.yaml"
    file.write_text("source: {topics: [sensors]}\nwindows: {length: 30s}\n")
    secret = "hunter2-hunter2"  # noqa: S105 - what must not be shown
    done = tidemark(
        "config", "check", "--json", "--config", str(file), "--set", "kafka.security.protocol=SASL_SSL",
        "--set", "kafka.security.sasl_mechanism=PLAIN", "--set", "kafka.security.username=me",
        TIDEMARK__KAFKA__SECURITY__PASSWORD=secret,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["settings"]["windows"]["length"] == "30s"
    assert secret not in done.stdout + done.stderr


def test_a_wrong_setting_ends_with_78_and_names_it(tmp_path: Path) -> None:
    file = tmp_path / "tidemark.yaml"
    file.write_text("source: {topics: [sensors]}\nwindows: {lenght: 30s}\n")
    done = tidemark("config", "check", "--config", str(file))
    assert done.returncode == 78
    assert "windows.lenght" in done.stderr
    assert "length" in done.stderr


def test_a_run_without_a_model_ends_with_66_and_says_to_train(tmp_path: Path) -> None:
    done = tidemark("run", "--set", "source.topics=[sensors]", "--set", f"model.registry={tmp_path / 'none'}")
    assert done.returncode == 66
    assert "champion" in done.stderr


def test_a_picture_that_is_no_svg_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = runner.invoke(app, ["demo", "--picture", str(tmp_path / "picture.png")])
    assert isinstance(done.exception, errors.ConfigError)
    assert ".svg" in str(done.exception)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--topic", "bad!"], "--topic"),
        (["--topic", "sensors", "--speed", "inf"], "--speed"),
        (["--topic", "sensors", "--speed", "nan"], "--speed"),
        (["--topic", "sensors", "--every", "1ms"], "--every"),
    ],
)
def test_a_simulation_that_cannot_be_meant_names_the_option(options: list[str], said: str) -> None:
    done = runner.invoke(app, ["simulate", *options])
    assert done.exit_code == 2
    assert said in done.output
    assert "source.topics" not in done.output


def test_a_simulation_without_a_topic_says_how_to_name_one() -> None:
    done = runner.invoke(app, ["simulate"])
    assert isinstance(done.exception, errors.ConfigError)
    assert "--topic" in str(done.exception)
