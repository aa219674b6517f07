"""Places at which a test can hold the process, to kill it there: between two steps that must not come apart.

Nothing is armed unless the environment says so when the process starts; a place then costs one comparison.
``TIDEMARK_FAILPOINT=NAME:DIRECTORY`` names one place. It is armed as long as the directory has a file ``armed``: the
process that reaches the place makes the file ``reached``, and goes on once there is a file ``resume``.

Not here: who kills, and what must be true afterwards (``tests/fault``).
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

ENVIRONMENT: Final = "TIDEMARK_FAILPOINT"
ARMED: Final = "armed"
REACHED: Final = "reached"
RESUME: Final = "resume"
LOOK_SECONDS: Final = 0.001

Name = Literal[
    "batch planned",  # Spark has written the batch's offsets, nothing is computed
    "batch computed",  # the state is committed, nothing is published
    "transaction begun",
    "alerts produced",  # and acknowledged, with the marker; the commit is not sent
    "committed",
    "published batch returned",  # Spark has not yet written that the batch is done
]
NAMES: Final[tuple[str, ...]] = get_args(Name)


@dataclass(frozen=True)
class _Place:
    name: str
    directory: Path


def _from_environment() -> _Place | None:
    text = os.environ.get(ENVIRONMENT)
    if not text:
        return None
    name, _, directory = text.partition(":")
    if name not in NAMES:
        raise ValueError(f"{ENVIRONMENT}: no failpoint {name!r}; there are {', '.join(NAMES)}")
    return _Place(name, Path(directory))


_place = _from_environment()


def reach(name: Name) -> None:
    """Hold the process here if this is the armed place."""
    if _place is None or _place.name != name or not (_place.directory / ARMED).exists():
        return
    (_place.directory / REACHED).touch()
    pause = threading.Event()
    while not (_place.directory / RESUME).exists():
        pause.wait(LOOK_SECONDS)
