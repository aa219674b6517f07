"""Only one process of a machine runs from a checkpoint."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from detector.app.checkpoint_lock import in_use, locked
from detector.errors import FencedError


def test_a_checkpoint_that_a_process_holds_is_refused_to_another_unless_it_takes_over(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(FencedError, match="take-over"), locked(tmp_path):
            pass
        with locked(tmp_path, take_over=True):
            pass
    with locked(tmp_path):
        pass


def test_who_took_over_holds_the_checkpoint_once_the_other_process_is_gone(tmp_path: Path) -> None:
    with contextlib.ExitStack() as old:
        old.enter_context(locked(tmp_path))
        with locked(tmp_path, take_over=True):
            old.close()
            deadline = time.monotonic() + 30
            # A look takes the lock for a moment: with pauses in between, the one that waits for it gets its turn.
            while not in_use(tmp_path) and time.monotonic() < deadline:
                time.sleep(0.1)
            with pytest.raises(FencedError), locked(tmp_path):
                pass


def test_a_look_tells_whether_a_checkpoint_is_in_use_and_takes_it_from_nobody(tmp_path: Path) -> None:
    assert not in_use(tmp_path / "nothing")
    with locked(tmp_path):
        assert in_use(tmp_path)
    assert not in_use(tmp_path)
    with locked(tmp_path):  # raises if somebody holds it
        pass
