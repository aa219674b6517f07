from __future__ import annotations

import re
import sys
from pathlib import Path

from detector.observability.metrics import BuildInfo, Metrics, SummaryFacts
from detector.observability.progress import parse_progress

from .recorded import LATER_BATCH, report

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
# Name of a sample without what its type adds; `le` is the histogram's own label.
SUFFIX = {"counter": "_total", "gauge": "", "histogram": ""}


def documented(heading: str) -> list[list[str]]:
    """Read the rows of the table below a heading."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in section.splitlines() if line.startswith("| `")]
    assert rows
    return [[cell.strip("`") for cell in row] for row in rows]


def exported(prefix: str) -> list[tuple[str, str, str, str]]:
    """List (name, type, labels, meaning) of every metric once each of them has a series."""
    metrics = Metrics(BuildInfo("0.1.0", "4.2.0", "2.16.0"))
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    metrics.record_rejects({"bad_json": 1})
    metrics.record_dead_letters({"bad_json": 1})
    metrics.record_lost({"sensors": 1})
    metrics.record_query_restart("reading")
    metrics.record_model_change("taken")
    metrics.record_summaries([SummaryFacts(0, 1, 1, 0, 0.01, {"major": 1}, {"bucket_limit": 1})])
    metrics.set_model("0001", "aaaa", 1.7e9)
    metrics.record_alerts("opened", "major", 1)
    return [
        (
            family.name + SUFFIX[family.type],
            family.type,
            ", ".join(label for label in family.samples[0].labels if label != "le"),
            family.documentation,
        )
        for family in metrics.registry.collect()
        if family.name.startswith(prefix)
    ]


def test_the_page_lists_every_metric_of_tidemark_with_its_type_labels_and_meaning() -> None:
    page = [(f"tidemark_{name}", *rest) for name, *rest in documented("Tidemark's metrics")]
    assert sorted(page) == sorted(exported("tidemark_"))


def test_the_page_lists_the_standard_metrics() -> None:
    standard = {(name, kind, meaning) for name, kind, _, meaning in exported("p")}
    page = {(name, kind, meaning) for name, kind, meaning in documented("Standard metrics")}
    assert standard == page if sys.platform == "linux" else standard <= page
