"""``tidemark audit``: its options, and the table it prints.

Not here: the audit (``detector.app.audit``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from detector.cli.console import ConfigOption, JsonOption, SetOption, app, err, load_settings, out, print_json
from detector.cli.training import utc
from detector.errors import ContractError

if TYPE_CHECKING:
    from detector.app.audit import Audit


@app.command()
def audit(
    config: ConfigOption = None,
    overrides: SetOption = None,
    since: Annotated[
        datetime | None,
        typer.Option("--from", help="First Kafka timestamp, e.g. 2026-11-01T00:00:00 (UTC). Default: all there is."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", help="Kafka timestamp to end before (UTC). Default: what is read and dead-lettered."),
    ] = None,
    topics: Annotated[list[str] | None, typer.Option("--topic", help="Only this source topic; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Account for every record of the source topics: used, late, rejected; exit code 65 if one is unaccounted."""
    from detector.app.audit import AuditRange
    from detector.app.audit import audit as account

    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("--from must be before --to")
    settings = load_settings(config, overrides)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        found = account(
            settings,
            AuditRange(utc(since), utc(until), tuple(topics or ())),
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(_facts(found))
    else:
        _print(found)
    if found.account.findings:
        raise ContractError("; ".join(_sentences(found)) + ". See docs/guarantees.md, Accounting for records")


def _facts(found: Audit) -> dict[str, Any]:
    account, letters = found.account, found.letters
    return {
        "ranges": [list(each) for each in found.ranges],
        "records": account.records,
        "in_closed_windows": account.closed,
        "in_open_windows": account.open,
        "partly_late": account.partly_late,
        "late": account.late,
        "deduplicated": account.deduplicated,
        "rejected": dict(account.rejected),
        "not_read_yet": account.unread,
        "dead_letters": {
            "found": letters.found,
            "repeated": letters.repeated,
            "record_gone": letters.found - letters.repeated - account.matched,
        },
        "not_remembered": account.forgotten,
        "letter_expired": account.expired,
        "findings": {name: {"records": count, "first": places} for name, (count, places) in account.findings.items()},
    }


def _print(found: Audit) -> None:
    account, letters = found.account, found.letters
    if not account.records:
        out.print("There is nothing to account for: the range holds no record that was read and dead-lettered.")
        return
    out.print(
        f"{sum(each.end - each.start for each in found.ranges):,} offsets of {len(found.ranges)} partitions",
        highlight=False,
    )
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = {
        "in closed windows": account.closed,
        "in open windows": account.open,
        "late": account.late,
        "deduplicated": account.deduplicated,
        **{f"rejected: {reason}": count for reason, count in sorted(account.rejected.items())},
        "not read yet": account.unread,
    }
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    table.add_section()
    table.add_row("records", f"{account.records:,}", style="bold")
    out.print(table)
    gone = letters.found - letters.repeated - account.matched
    notes = {
        "used, though too late for some of their windows": account.partly_late,
        "dead letters that came again, which is allowed": letters.repeated,
        "dead letters of records that the topic no longer holds": gone,
        "rejects older than the dead letters that retention has left": account.expired,
        "of batches that the checkpoint has forgotten: which were late, only their letters say": account.forgotten,
    }
    for text, count in notes.items():
        if count:
            out.print(f"  {count:,} {text}", highlight=False)
    if not account.findings:
        out.print("Every record is accounted for.")


def _sentences(found: Audit) -> list[str]:
    return [
        f"{count:,} x {name}: {', '.join(places)}{', ...' if count > len(places) else ''}"
        for name, (count, places) in found.account.findings.items()
    ]
