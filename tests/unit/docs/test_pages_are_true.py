"""What the pages name exists: commands, targets, settings, exit codes, files, links, records.

Not here: the tables of settings and metrics, which have tests of their own.
"""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
import typer

from detector import errors
from detector.cli import EXIT_CODES, MODEL_EXIT_CODE, app
from detector.pipeline import schema
from detector.pipeline.decode import RecordDecoder
from detector.settings import Settings, leaves, load, specs
from tests.unit.docs.pages import PAGES, README, ROOT, blocks, section, spans, text

SETTINGS = [leaf.path for leaf in leaves(Settings)]
SECTIONS = {path.split(".")[0] for path in SETTINGS} - {"spark"}  # most names that begin so are Spark's own
CODE = {"kafka.source", "kafka.alert_sink"}  # modules in a room that shares its name with a section of the settings
COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for page in PAGES
        for line in [*spans(page), *"\n".join(blocks(page, "")).splitlines()]
        if re.match(r"tidemark [a-z]", line)
    }
)


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    (block,) = blocks(README, "yaml")
    path = tmp_path / "tidemark.yaml"
    path.write_text(block, "utf-8")
    return path


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_on_the_pages_is_one_of_the_command_line(line):
    command = typer.main.get_command(app)
    name, *arguments = shlex.split(line)
    while arguments and arguments[0] in getattr(command, "commands", {}):
        name = arguments.pop(0)
        command = command.commands[name]
    assert not hasattr(command, "commands"), f"{line!r} names no command"
    command.make_context(name, arguments)  # parses, and refuses unknown options; runs nothing


def test_the_readme_shows_the_main_commands():
    assert {"tidemark train --config tidemark.yaml", "tidemark run --config tidemark.yaml"} <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_on_a_page_exists(page):
    named = re.findall(r"^make ([a-z]+)", "\n".join(["\n".join(blocks(page, "")), *spans(page)]), re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(named) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_on_a_page_exists(page):
    dotted = [re.split(r"[:=]", span)[0] for span in spans(page) if re.match(r"[a-z_]+\.[a-z_]+", span)]
    named = {name for name in dotted if name.split(".")[0] in SECTIONS}
    sections = {path.rsplit(".", 1)[0] for path in SETTINGS}
    assert named - CODE - sections - {*SETTINGS} == set()


def test_the_defaults_in_the_readme_are_those_of_the_settings():
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", section(README, "## Settings"), re.MULTILINE)
    flags = ["source.topics=[sensors]"]
    assert rows
    assert load(None, [*flags, *(f"{name}={default}" for name, default in rows)], {}) == load(None, flags, {})


def test_the_settings_in_the_readme_are_accepted_and_read_its_record(yaml_file):
    settings = load(yaml_file, [], {})
    record = blocks(README, "json")[0].strip().encode()
    kafka_timestamp = 1_795_366_200_000_000
    values = [None, record, len(record), "sensors", 0, 0, kafka_timestamp]
    arrays = [pa.array([value], field.type) for value, field in zip(values, schema.RAW, strict=True)]
    decoded = RecordDecoder(specs.decode(settings)).decode(pa.RecordBatch.from_arrays(arrays, schema=schema.RAW))
    (row,) = decoded.to_pylist()
    assert (row["reject_reason"], row["asset_id"], row["sensor_id"], row["reading"]) == (None, "pump-3", "temp", 54.2)


def test_the_python_in_the_readme_compiles():
    written = blocks(README, "python")
    assert written
    for block in written:
        compile(block, "README.md", "exec")


def test_the_exit_codes_of_the_readme_are_those_of_the_help():
    documented = re.findall(r"^\| (\d+) \|", section(README, "## Exit codes"), re.MULTILINE)
    assert documented == re.findall(r"(?:^|· |\n)(\d+) ", EXIT_CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)", text(page)) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_project_that_a_page_names_exists(page):
    named = [span for span in spans(page) if re.fullmatch(r"(tests|docs|deploy|models|detector)/[\w/.]+", span)]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_decision_names_its_parts_and_a_test_and_is_listed():
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    headings = ["## Context", "## Decision", "## Rejected", "## Consequence", "## Guarded by"]
    for page in decisions:
        assert all(text(page).index(one) < text(page).index(other) for one, other in pairwise(headings))
        assert "`tests/" in section(page, "## Guarded by")
    listed = re.findall(r"\(adr/([^)]+)\)", section(ROOT / "docs" / "architecture.md", "## Decisions"))
    assert listed == [page.name for page in decisions]


def test_the_exit_codes_of_the_errors_are_those_of_the_architecture_page():
    table = section(ROOT / "docs" / "architecture.md", "## Errors")
    documented = {name: int(code) for name, code in re.findall(r"^\| `(\w+)` \| (\d+) \|", table, re.MULTILINE)}
    kinds = {kind.__name__: kind.exit_code for kind in errors.DetectorError.__subclasses__()}
    assert documented == {**kinds, "ModelError": MODEL_EXIT_CODE}
