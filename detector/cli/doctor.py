"""``tidemark doctor``: its options, and how what it found is shown.

Not here: what it looks at (``detector.app.doctor``).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from detector.cli.console import ConfigOption, JsonOption, SetOption, app, err, load_settings, out, print_json
from detector.cli.main import exit_code_of

if TYPE_CHECKING:
    from detector.app.doctor.findings import Finding, Result

MARKS: Final = {"well": ("✓", "green"), "not checked": ("·", "dim"), "warning": ("!", "yellow"), "failed": ("✗", "red")}
NAME_WIDTH: Final = 13  # of the longest name of a check, and a space


@app.command()
def doctor(config: ConfigOption = None, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Look at everything that a deployment needs, and say what was found and what to do; changes nothing.

    May be used while the service runs. Ends with 0 if nothing failed, else with the exit code of the first failure.
    """
    with err.status("loading"):  # Spark's Python part alone takes a second or two
        from detector.app.doctor.deployment import Deployment
        from detector.app.doctor.examination import examine
        from detector.app.doctor.findings import first_failure

    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)  # what the clients meet is told by the checks
    deployment = Deployment(lambda: load_settings(config, overrides))
    looks = examine(deployment)
    results = list(looks if as_json else _shown(looks))
    failure = first_failure(results)
    code = 0 if failure is None else exit_code_of(failure)
    if as_json:
        print_json(report_json(results, code))
    else:
        print_verdict(out, results, code)
    raise typer.Exit(code)


def report_json(results: Sequence[Result], code: int) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "well": code == 0,
        "exit_code": code,
        "checks": [
            {
                "group": result.group,
                "check": result.name,
                "status": result.status.value,
                "findings": [
                    {"status": each.status.value, "found": each.found, "advice": each.advice}
                    for each in result.findings
                ],
            }
            for result in results
        ],
    }


def _shown(results: Iterator[Result]) -> Iterator[Result]:
    """Print each result as it comes, below the heading of its group."""
    group = ""
    with out.status("looking"):  # on the console of the results, whose lines it must make way for
        for result in results:
            if result.group != group:
                group = result.group
                out.print(Text(f"\n{group[0].upper()}{group[1:]}", "bold"))
            out.print(rows(result))
            yield result


def rows(result: Result) -> Table:
    """Return a check as rows: a mark, its name, what was found, and below it what to do."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(width=NAME_WIDTH, no_wrap=True)
    table.add_column(overflow="fold")
    name = result.name
    for finding in result.findings:
        mark, colour = MARKS[finding.status.value]
        table.add_row(Text(mark, colour), Text(name), _said(finding))
        name = ""
    return table


def _said(finding: Finding) -> Group:
    quiet = finding.status.value == "not checked"
    lines = (f"not checked: {finding.found}" if quiet else finding.found).splitlines()
    said = [_indented(line, "dim" if quiet else "") for line in lines]
    if finding.advice:
        said.append(_indented(f"→ {finding.advice}", "dim" if quiet else MARKS[finding.status.value][1]))
    return Group(*said)


def _indented(line: str, style: str) -> Padding:
    """Return a line whose indentation holds for all of it, also where it is wrapped."""
    text = line.lstrip()
    return Padding.indent(Text(text, style), len(line) - len(text))


def print_verdict(console: Console, results: Iterable[Result], code: int) -> None:
    """Print how many failed, are to be looked at, and were not checked."""
    found = Counter(finding.status.value for result in results for finding in result.findings)
    rest = f"{found['warning']} to look at" if found["warning"] else ""
    unseen = f"{found['not checked']} not checked" if found["not checked"] else ""
    if found["failed"]:
        counts = ", ".join(filter(None, [f"[bold red]{found['failed']} failed[/bold red]", rest, unseen]))
        console.print(f"\n{counts}; exit code {code}: docs/runbook.md says what it means", highlight=False)
    elif rest or unseen:
        console.print(
            f"\n[bold yellow]Nothing failed[/bold yellow]; {', '.join(filter(None, [rest, unseen]))}.", highlight=False
        )
    else:
        console.print("\n[bold green]All is well.[/bold green]")
