"""What is evaluated: which entities, with which windows, in which portions.

Not here: reading their records (``detector.app.series``), running it (``job``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

from detector.app.series import MANIFEST, MANIFEST_COLUMNS, Entity, choose, entities, read_manifest
from detector.errors import ConfigError
from detector.settings.values import parse_duration

COLUMNS: Final = ("dataset", "sensors", "timestamps", *MANIFEST_COLUMNS)
AUTO: Final = "auto"  # a window is one step of the data
# Records of a portion: progress is told, and memory is freed, once a portion.
PORTION_RECORDS: Final = 300_000

_STEPS: Final = re.compile(r"([1-9]\d{0,5})x")
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Subject:
    """One entity that is evaluated.

    Attributes
    ----------
    entity : Entity
    dataset : str
        The data set that it counts for.
    sensors, records : int
        As the manifest has them.
    length_ms : int
        Length of its windows, milliseconds.
    """

    entity: Entity
    dataset: str
    sensors: int
    records: int
    length_ms: int


@dataclass(frozen=True)
class Portion:
    """Entities whose windows have one length and whose records are read together."""

    length_ms: int
    subjects: tuple[Subject, ...]

    @property
    def records(self) -> int:
        """Records of all of them, as the manifest has it."""
        return sum(subject.records for subject in self.subjects)


def plan(data: Path, window: str, names: Sequence[str] = (), datasets: Sequence[str] = ()) -> list[Portion]:
    """Return what is evaluated: portions by length of window, then in the order of the manifest.

    Parameters
    ----------
    data : Path
        The directory.
    window : str
        ``auto``, a number of steps (``8x``), or a duration (``60s``).
    names, datasets : sequence of str
        Which entities and data sets; empty is all.

    Raises
    ------
    ConfigError
        If the directory is not of the form, or something is named that is not there.
    """
    manifest = read_manifest(data, COLUMNS)
    if datasets:
        manifest = choose(manifest, "dataset", datasets, data / MANIFEST)
    if names:
        manifest = choose(manifest, "entity", names, data / MANIFEST)
    try:
        sizes = [(str(d), int(s), int(t)) for d, s, t in zip(*(manifest[name] for name in COLUMNS[:3]), strict=True)]
    except ValueError as error:
        raise ConfigError(f"{data / MANIFEST}: {error}; correct the number") from error
    subjects = [
        Subject(entity, dataset, sensors, sensors * timestamps, _length_ms(window, entity))
        for entity, (dataset, sensors, timestamps) in zip(entities(manifest, data), sizes, strict=True)
    ]
    ordered = sorted(subjects, key=lambda subject: subject.length_ms)  # stable: the order of the manifest stays
    return [
        portion
        for length_ms, alike in groupby(ordered, key=lambda subject: subject.length_ms)
        for portion in _portions(length_ms, list(alike))
    ]


def _length_ms(window: str, entity: Entity) -> int:
    steps = 1 if window == AUTO else _steps(window)
    if steps is None:
        return _duration_ms(window)
    length_ms = round(steps * entity.step_seconds * 1000)
    if length_ms < 1:
        raise ConfigError(f"{entity.name} has a step of {entity.step_seconds:g} s; windows are a millisecond or more")
    return length_ms


def _steps(window: str) -> int | None:
    found = _STEPS.fullmatch(window)
    return int(found[1]) if found else None


def _duration_ms(window: str) -> int:
    try:
        length_ms = parse_duration(window) // _MILLISECOND
    except ValueError as error:
        raise ConfigError(f"--window: {error}; or {AUTO}, or a number of steps such as 8x") from None
    if length_ms < 1:
        raise ConfigError(f"--window {window} is no length; write 60s, 8x or {AUTO}")
    return length_ms


def _portions(length_ms: int, subjects: Sequence[Subject]) -> list[Portion]:
    """Cut a list where a portion would grow above `PORTION_RECORDS`; one entity is never cut."""
    portions: list[list[Subject]] = []
    for subject in subjects:
        if not portions or sum(each.records for each in portions[-1]) + subject.records > PORTION_RECORDS:
            portions.append([])
        portions[-1].append(subject)
    return [Portion(length_ms, tuple(portion)) for portion in portions]
