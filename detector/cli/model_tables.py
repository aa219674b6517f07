"""What ``tidemark models`` prints of versions and of what differs between them.

Not here: the commands (``models``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from detector.app.doctor.wording import counted, names, size, span
from detector.app.model_versions import VersionFacts, stored_bytes
from models.comparison import Comparison
from models.manifest import Manifest

DIGEST_DIGITS: Final = 12
OFFSETS: Final = "training.offsets."


def print_versions(console: Console, found: Sequence[VersionFacts], registry: str, now: float) -> None:
    """Print a row for each version."""
    table = Table(title=f"Models in {registry}", title_justify="left")
    for column in ("version", "alias", "age"):
        table.add_column(column, no_wrap=True)
    for column in ("sensors", "windows"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("of", no_wrap=True)
    table.add_column("signed by", min_width=len("signed by"), overflow="fold")
    for each in found:
        style = "bold" if each.aliases else "red" if each.problem else ""
        table.add_row(each.version, ", ".join(each.aliases), *_cells(each, now), style=style)
    console.print(table)
    for each in found:
        if each.problem:
            console.print(Text(each.problem, "red"), soft_wrap=True)


def _cells(each: VersionFacts, now: float) -> tuple[str, ...]:
    manifest = each.manifest
    if manifest is None:
        return ("", "", "", "", "damaged")
    age = each.age_seconds(now)
    return (
        "" if age is None else span(age),
        f"{each.training('sensors'):,}",
        f"{each.training('windows'):,}",
        _shape(manifest),
        _signed(each),
    )


def _shape(manifest: Manifest) -> str:
    length, slide = manifest.window_seconds, manifest.slide_seconds
    return f"{length:g} s" if length == slide else f"{length:g} s every {slide:g} s"


def _signed(each: VersionFacts) -> str:
    who = each.signer or "nobody"
    return {None: who, True: who, False: f"{who}, not trusted"}[each.trusted]


def manifest_json(facts: VersionFacts) -> Any:
    """Return the manifest as it is stored; None if it cannot be read."""
    return json.loads(facts.manifest.to_bytes()) if facts.manifest else None


def print_version(console: Console, facts: VersionFacts, now: float) -> None:
    """Print what a manifest says."""
    table = Table(title=f"Model {facts.version}", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    if facts.manifest is not None:
        for name, value in _rows(facts, facts.manifest, now):
            table.add_row(name, Text(value))
        console.print(table)
    if facts.problem:
        console.print(Text(facts.problem, "red"), soft_wrap=True)


def _rows(facts: VersionFacts, manifest: Manifest, now: float) -> Iterator[tuple[str, str]]:
    training, age = manifest.training, facts.age_seconds(now)
    checked = {None: " (not checked)" if facts.signer else "", True: " (trusted)", False: " (not trusted)"}
    yield "alias", ", ".join(facts.aliases) or "none"
    yield "digest", manifest.digest
    yield "signed by", f"{facts.signer or 'nobody'}{checked[facts.trusted]}"
    yield "trained", manifest.created_at + ("" if age is None else f", {span(age)} ago")
    parts = counted(len(manifest.shards), "shard")
    yield "size", f"{parts}{' and the population' if manifest.population else ''}, {size(stored_bytes(manifest))}"
    yield "sensors", f"{facts.training('sensors'):,} with a model, {facts.training('sensors_without_model'):,} without"
    yield "windows", f"{facts.training('windows'):,} of {_shape(manifest)}"
    yield "buckets", str(manifest.buckets)
    for topic, parts_of_topic in _offsets(training.get("offsets")):
        yield f"topic {topic}", parts_of_topic
    yield "event time", f"{training.get('event_from') or 'the beginning'} to {training.get('event_to') or 'the end'}"
    rejected = training.get("rejected")
    if isinstance(rejected, Mapping) and rejected:
        yield "rejected", ", ".join(f"{count:,} {reason}" for reason, count in sorted(rejected.items()))
    for name, value in sorted(manifest.profile.to_json().items()):
        yield name, _plain(value)
    for name, value in sorted(_mapping(training.get("training")).items()):
        if name != "profile":
            yield name, _plain(value)
    yield "settings", str(training.get("config_digest") or "unknown")[:DIGEST_DIGITS]


def _offsets(offsets: Any) -> Iterator[tuple[str, str]]:
    for topic, partitions in sorted(_mapping(offsets).items()):
        records = sum(last - first for first, last in partitions.values())
        yield topic, f"{records:,} records of {counted(len(partitions), 'partition')}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "none" if value is None else str(value)


def difference_json(found: Comparison) -> dict[str, Any]:
    """Return what differs as plain JSON."""
    return {
        "facts": {name: list(values) for name, values in found.facts.items()},
        "sensors": {"common": found.common, "gained": list(found.gained), "lost": list(found.lost)},
        "drift": [vars(drift) for drift in found.drift],
        "moved": [{"sensor": key, "move": move} for key, move in found.moved],
    }


def print_difference(console: Console, found: Comparison, first: str, second: str) -> None:
    """Print what differs: what they were made with, the sensors, the parameters."""
    facts = Table("", first, second, title="Made with", title_justify="left")
    for name, (one, other) in _named(found.facts).items():
        facts.add_row(name, Text(_plain(one)), Text(_plain(other)))
    for topic, (one, other) in _records(found.facts).items():
        facts.add_row(f"history of {topic}", f"{one:,} records", f"{other:,} records")
    if facts.row_count:
        console.print(facts)
    else:
        console.print("Both were made of the same history with the same settings.")
    _print_sensors(console, found, first, second)
    _print_moves(console, found)


def _print_sensors(console: Console, found: Comparison, first: str, second: str) -> None:
    console.print(f"{counted(found.common, 'sensor')} in both", highlight=False)
    for what, keys in (("only in " + first, found.lost), ("only in " + second, found.gained)):
        if keys:
            console.print(f"  {len(keys):,} {what}: {names(keys)}", highlight=False, markup=False)


def _print_moves(console: Console, found: Comparison) -> None:
    moves = Table("parameter", "sensors", "median", "95 %", "new", "gone", title="Moves, in %", title_justify="left")
    for each in found.drift:
        figures = (f"{100 * each.median:.3g}", f"{100 * each.most:.3g}", f"{each.gained:,}", f"{each.lost:,}")
        if each.sensors or each.gained or each.lost:
            moves.add_row(each.name, f"{each.sensors:,}", *figures)
    if moves.row_count:
        console.print(moves)
    if found.moved:
        console.print("Moved most:")
    for key, move in found.moved:
        console.print(f"  {key}: {100 * move:.3g} %", highlight=False, markup=False)


def _named(facts: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return the facts under short names: what training took from the settings is told once."""
    kept = {name: values for name, values in facts.items() if not name.startswith(OFFSETS)}
    return {name.removeprefix("training.").removeprefix("training."): values for name, values in kept.items()}


def _records(facts: Mapping[str, tuple[Any, Any]]) -> dict[str, list[int]]:
    """Add up the records of the partitions whose offsets differ, by topic, for both models."""
    found: dict[str, list[int]] = {}
    for name, values in facts.items():
        if name.startswith(OFFSETS):
            topic = name.removeprefix(OFFSETS).rpartition(".")[0]
            sums = found.setdefault(topic, [0, 0])
            for side, span_of in enumerate(values):
                sums[side] += span_of[1] - span_of[0] if span_of else 0
    return found
