"""What ``tidemark audit`` prints and ends with, of an account that is given.

Not here: the account (``tests/unit/pipeline``), reading topics (``tests/integration/test_audit.py``).
"""

from __future__ import annotations

import json
import sys
from collections import Counter

import pytest

from detector.app import audit
from detector.app.audit import Audit
from detector.cli import main
from detector.kafka.letters import LetterBox
from detector.kafka.range_reader import OffsetRange
from detector.pipeline.accounting import NOT_LATE, Account

RANGES = (OffsetRange("north", 0, 10, 20),)
WHOLE = Account(Counter(bad_json=2), late=1, partly_late=1, closed=4, open=3, matched=3)
LOST = Account(
    Counter(bad_json=10),
    findings={"reject without dead letter": (7, [f"north/0/{offset}" for offset in range(10, 15)])},
)


def run(monkeypatch: pytest.MonkeyPatch, account: Account, *options: str) -> int:
    """Run the command on an account; return its exit code."""
    box = LetterBox({}, found=5, repeated=2, since_us=NOT_LATE)
    monkeypatch.setattr(audit, "audit", lambda *_: Audit(account, RANGES, box))
    monkeypatch.setattr(sys, "argv", ["tidemark", "audit", "--set", "source.topics=[north]", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_an_account_that_fits_is_printed_as_a_table_that_adds_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, WHOLE) == 0

    printed = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in printed.splitlines() if "│" in line]
    *classes, (last, records) = cells
    assert last == "records"
    assert sum(int(count) for _, count in classes) == int(records) == WHOLE.records
    assert "10 offsets of 1 partitions" in printed
    assert "2 dead letters that came again, which is allowed" in printed
    assert "Every record is accounted for." in printed


def test_a_record_that_is_unaccounted_ends_with_65_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, LOST) == 65

    said = capsys.readouterr()
    assert "7 x reject without dead letter: north/0/10, north/0/11" in said.err
    assert "north/0/14, ..." in said.err
    assert "Every record is accounted for" not in said.out


def test_an_empty_range_is_not_called_accounted_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, Account()) == 0
    assert capsys.readouterr().out.startswith("There is nothing to account for")


def test_the_same_is_said_to_a_machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, LOST, "--json") == 65

    said = json.loads(capsys.readouterr().out)
    assert said["findings"] == {"reject without dead letter": {"records": 7, "first": LOST.findings[
        "reject without dead letter"
    ][1]}}  # fmt: skip
    assert (said["records"], said["rejected"], said["ranges"]) == (10, {"bad_json": 10}, [["north", 0, 10, 20]])
