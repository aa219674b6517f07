"""The thread that keeps the dead-letter ledger going beside the query.

Batches arrive from the progress listener, each with what must be read again for its rejects and late records. A failure
is retried until it works or the process stops: the query goes on meanwhile, up to a bounded backlog.

Not here: what must be read again (``rereading``), reading and publishing (``detector.kafka.dead_letter``).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from detector.errors import TransientError
from detector.kafka.dead_letter import Ledger, PublishedLetters, Reread
from detector.kafka.source import Offsets
from detector.pipeline.decode import REJECT_REASONS
from detector.pipeline.decoded import REJECT_BLOCKS

SAVE_EVERY_SECONDS: Final = 10.0  # progress with nothing to publish; a restart re-reads at most this much once
SAVE_EVERY_BATCHES: Final = 10  # half of the batches whose watermarks the checkpoint keeps (`session.DEFAULTS`)
RETRY_SECONDS: Final = 2.0  # after Kafka failed; the clients themselves have waited a minute by then

log = structlog.get_logger()


@dataclass(frozen=True)
class FinishedBatch:
    """What the ledger must know of a batch that Spark committed.

    Parameters
    ----------
    batch_id : int
        Which; -1 for the gap that a restart found.
    end : Offsets
        Where the batch ended.
    rereads : tuple of Reread
        What must be read again for its rejects and late records.
    """

    batch_id: int
    end: Offsets
    rereads: tuple[Reread, ...] = ()


def reject_counts(observed: Mapping[str, Any]) -> dict[str, int]:
    """Return the count of each reason from the observation ``decoded``."""
    return {reason: int(observed.get(reason) or 0) for reason in REJECT_REASONS}


def reject_blocks(observed: Mapping[str, Any]) -> list[Any]:
    """Return the observed blocks of offsets."""
    return list(observed.get(REJECT_BLOCKS) or [])


@dataclass
class LedgerWorker:
    """Runs the ledger on a thread of its own.

    Parameters
    ----------
    ledger : Ledger
        Owned by the thread from `start` on.
    max_backlog : int
        Batches that may wait before `wait_for_room` blocks.
    on_published : callable
        Told what was published of each batch.
    retry_seconds : float
        Between two attempts.
    """

    ledger: Ledger
    max_backlog: int
    on_published: Callable[[PublishedLetters], None]
    retry_seconds: float = RETRY_SECONDS
    _waiting: deque[FinishedBatch] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _released: bool = False
    _stopping: bool = False
    _failure: Exception | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work."""
        self._thread = threading.Thread(target=self._run, name="dead-letter-ledger", daemon=True)
        self._thread.start()

    def add(self, batch: FinishedBatch) -> None:
        """Hand over a batch; never blocks."""
        with self._changed:
            self._waiting.append(batch)
            self._changed.notify_all()

    @property
    def backlog(self) -> int:
        """Batches that wait."""
        return len(self._waiting)

    def wait_for_room(self) -> None:
        """Block while too many batches wait: reading then pauses instead of forgetting rejects.

        Raises
        ------
        Exception
            What ended the thread, unless it was `stop`: nothing would ever make room again.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < self.max_backlog or self._released or self._failure)
            if self._failure is not None:
                raise self._failure

    def release(self) -> None:
        """Hold no batch back any more: the query is about to stop."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def stop(self, timeout_seconds: float) -> bool:
        """Finish what waits and close; returns whether everything was published in time."""
        with self._changed:
            self._released = self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_seconds)
        return not self._waiting

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:
            log.exception("the dead-letter ledger ended", batches=self.backlog)
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            with contextlib.suppress(TransientError):  # what was not acknowledged is read again at the next start
                self.ledger.close()

    def _work(self) -> None:
        saved = time.monotonic()
        unsaved: Offsets | None = None
        batches = 0  # since progress was saved
        due = last = False
        while not last:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping, SAVE_EVERY_SECONDS)
                batch = self._waiting[0] if self._waiting else None
                last = self._stopping and len(self._waiting) <= 1
            try:
                if batch is not None:
                    letters = self.ledger.publish(batch.rereads)
                    unsaved, batches = batch.end, batches + 1
                    due = due or bool(batch.rereads) or batches >= SAVE_EVERY_BATCHES
                    self._finished()  # before its progress is saved: if that fails, nothing is published again
                    self.on_published(letters)
                if unsaved is not None and (due or last or time.monotonic() - saved > SAVE_EVERY_SECONDS):
                    self.ledger.save_progress(unsaved)
                    saved, unsaved, batches, due = time.monotonic(), None, 0, False
            except TransientError as error:
                log.warning("dead letters wait", why=str(error), batches=self.backlog)
                with self._changed:
                    last = bool(self._changed.wait_for(lambda: self._stopping, self.retry_seconds))

    def _finished(self) -> None:
        with self._changed:
            self._waiting.popleft()
            self._changed.notify_all()
