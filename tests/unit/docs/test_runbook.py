"""The runbook knows every exit code and every metric by its name, and its links lead somewhere.

Not here: its commands and settings, which are checked on all pages.
"""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry

from detector.app.doctor import state
from detector.cli import EXIT_CODES
from detector.observability import families
from tests.unit.docs.pages import ROOT, blocks, section, text

RUNBOOK = ROOT / "docs" / "runbook.md"
METRICS = ROOT / "docs" / "metrics.md"
HEADINGS = re.findall(r"^#+ (.+)$", text(RUNBOOK), re.MULTILINE)


def anchor(heading: str) -> str:
    """Return what a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_exit_code_of_the_help_is_in_the_runbook():
    documented = re.findall(r"^\| (\d+) \|", section(RUNBOOK, "## Exit codes"), re.MULTILINE)
    assert documented == re.findall(r"(?:^|· |\n)(\d+) ", EXIT_CODES)


def test_every_link_within_the_runbook_leads_to_a_heading():
    anchors = {anchor(heading) for heading in HEADINGS}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", text(RUNBOOK)) if link not in anchors] == []


@pytest.mark.parametrize("rule", blocks(RUNBOOK, "promql"))
def test_every_metric_of_a_rule_is_documented(rule):
    named = set(re.findall(r"\b(?:tidemark|process)_[a-z_]+", rule)) or {"up"}
    documented = {f"tidemark_{name}" for name in re.findall(r"^\| `(\w+)` \| \w+ \| .*\|", text(METRICS), re.MULTILINE)}
    documented |= {name.removeprefix("tidemark_") for name in documented} | {"up"}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} <= documented


@pytest.mark.parametrize("rule", blocks(RUNBOOK, "promql"))
def test_every_label_of_a_rule_is_one_of_its_metric(rule):
    labels = {name for family in _families() for name in family._labelnames} | {"le", "instance", "job"}
    named = re.findall(r"(?:by|on) \(([\w, ]+)\)", rule) + re.findall(r"\{(\w+)", rule)
    assert {label for group in named for label in group.split(", ")} <= labels


def test_what_the_doctor_refers_to_is_a_heading():
    assert state.MADE_AGAIN in HEADINGS


def _families():
    registry = CollectorRegistry()
    for made in (families.SourceFamilies, families.QueryFamilies, families.ScoringFamilies, families.AlertFamilies):
        yield from vars(made(registry)).values()
