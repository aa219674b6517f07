"""``tidemark doctor`` as a command: what it prints and what it ends with."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from detector.app.doctor.findings import Result, failed, not_checked, warning, well
from detector.cli.doctor import print_verdict, report_json, rows
from detector.cli.main import exit_code_of
from detector.errors import ConfigError, FencedError
from models.errors import ArtifactCorruptError
from tests.unit.test_cli import tidemark

RESULTS = [
    Result("machine", "Java", (well("version 17 " + "and so on " * 10),)),
    Result("Kafka", "rights", (failed(FencedError, "bad", "Mend it"), warning("odd [bold]", "Look at it"))),
    Result("Kafka", "clock", (not_checked("Kafka does not answer"),)),
]


def shown(width: int) -> str:
    console = Console(file=StringIO(), width=width)
    for result in RESULTS:
        console.print(rows(result))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_wrong_settings_end_with_78_and_hide_nothing_of_the_machine() -> None:
    done = tidemark("doctor", "--json", "--set", "windows.lenght=30s")
    told = json.loads(done.stdout)
    found = {check["check"]: check for check in told["checks"]}

    assert (done.returncode, told["exit_code"], told["well"]) == (78, 78, False)
    assert "windows.lenght: is not a setting" in found["settings"]["findings"][0]["found"]
    assert found["packages"]["status"] == "well"
    assert found["model"]["findings"] == [{"status": "not checked", "found": "the settings are wrong", "advice": ""}]


def test_each_finding_has_its_mark_and_each_advice_a_line_of_its_own() -> None:
    lines = [line.strip() for line in shown(80).splitlines()]

    assert lines[0].startswith("✓ Java          version 17 and so on")
    assert lines[1].startswith("so on and so on")
    assert "✗ rights        bad" in lines
    assert "→ Mend it" in lines
    assert "!               odd [bold]" in lines
    assert "· clock         not checked: Kafka does not answer" in lines


def test_what_a_finding_lists_stays_indented_where_its_lines_are_wrapped() -> None:
    listed = "2 settings are wrong:\n  source: " + "set it " * 12 + "\n  windows.length: write 10s"
    console = Console(file=StringIO(), width=60)
    console.print(rows(Result("machine", "settings", (failed(ConfigError, listed),))))
    assert isinstance(console.file, StringIO)

    first, *rest = (line[16:] for line in console.file.getvalue().splitlines())

    assert first.startswith("2 settings")
    assert len(rest) > 2
    assert all(line.startswith("  ") and not line.startswith("   ") for line in rest)


def test_a_finding_is_one_line_where_there_is_no_terminal() -> None:
    done = tidemark("doctor", "--set", "windows.length=soon", COLUMNS="40")

    (line,) = [line.rstrip() for line in done.stdout.splitlines() if "windows.length" in line]
    assert line.strip().startswith("windows.length: 'soon' is not a duration; write 500ms")
    assert line.endswith("(flag windows.length)")


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(len(line) for line in shown(width).splitlines()) <= width


def test_the_report_for_machines_names_status_and_advice() -> None:
    report = report_json(RESULTS, 64)

    assert (report["well"], report["exit_code"]) == (False, 64)
    assert report["checks"][1] == {
        "group": "Kafka",
        "check": "rights",
        "status": "failed",
        "findings": [
            {"status": "failed", "found": "bad", "advice": "Mend it"},
            {"status": "warning", "found": "odd [bold]", "advice": "Look at it"},
        ],
    }


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (RESULTS, "1 failed, 1 to look at, 1 not checked; exit code 64"),
        (RESULTS[2:], "Nothing failed; 1 not checked."),
        (RESULTS[:1], "All is well."),
    ],
)
def test_the_last_line_sums_up(results: list[Result], said: str) -> None:
    console = Console(file=StringIO(), width=100)
    print_verdict(console, results, 64)
    assert isinstance(console.file, StringIO)
    assert said in console.file.getvalue()


def test_an_exit_code_is_that_of_the_class_of_the_failure() -> None:
    assert [exit_code_of(kind) for kind in (ConfigError, ArtifactCorruptError, FencedError)] == [78, 66, 64]
