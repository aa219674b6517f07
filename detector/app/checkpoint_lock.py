"""The lock of a checkpoint: only one process of a machine runs from it.

Not here: processes of other machines (``detector.kafka.alert_sink`` fences them), the checkpoint itself
(``checkpoint``).
"""

from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from detector.errors import FencedError

LOCK_FILE: Final = "lock"  # in the directory of the checkpoint
LOCK_SECONDS: Final = 0.5  # between two tries


@contextlib.contextmanager
def locked(directory: Path, *, take_over: bool = False) -> Iterator[None]:
    """Hold a checkpoint against other processes of this machine.

    Parameters
    ----------
    directory : Path
        Of the checkpoint; it exists.
    take_over : bool
        Go on where another process holds it: the sink then fences that one.

    Raises
    ------
    FencedError
        If another process holds it.
    """
    with (directory / LOCK_FILE).open("a") as lock:
        if not _lock(lock) and not take_over:
            raise FencedError(
                f"another process of this machine runs from checkpoint {directory}. Stop it, or fence it with "
                "--take-over; a second deployment needs its own app.deployment and state.checkpoint"
            )
        ended = threading.Event()
        waiting = threading.Thread(target=_lock_later, args=(lock, ended), daemon=True)
        waiting.start()
        try:
            yield
        finally:
            ended.set()
            waiting.join()


def in_use(directory: Path) -> bool:
    """Tell whether a process of this machine runs from a checkpoint, which need not exist.

    A shared lock, for a moment: a start in that very moment would find the checkpoint in use.
    """
    try:
        with (directory / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _lock(lock: TextIO) -> bool:
    """Lock a file unless another process has; a file that is locked already stays so."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_later(lock: TextIO, ended: threading.Event) -> None:
    """Lock a file as soon as the process that was taken over from is gone, so that a third one is refused."""
    while not _lock(lock) and not ended.wait(LOCK_SECONDS):
        pass
