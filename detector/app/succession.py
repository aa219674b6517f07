"""A model that is promoted while another runs: loaded beside it, and handed over between two micro-batches.

Not here: when the alias has moved (``alias_watch``), ending one query and starting the next (``serving``).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog

from detector.app.alias_watch import EVERY_SECONDS, AliasWatch
from detector.app.judge import Judge
from detector.errors import DetectorError
from models.errors import ModelError

log = structlog.get_logger()


@dataclass
class Succession:
    """Looks for a model that is to follow the one that runs; a model that is refused changes nothing.

    One thread looks, another one takes.

    Parameters
    ----------
    watch : AliasWatch
        Says when the alias names another version.
    load : callable
        Returns the judge of a version; raises DetectorError, ModelError or OSError where a start would be refused.
    on_refused : callable
        Told of each version that is refused.
    """

    watch: AliasWatch
    load: Callable[[str], Judge]
    on_refused: Callable[[], None]
    _ready: Judge | None = field(default=None, init=False)
    _running: str = field(default="", init=False)
    _changing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        """Take the version that the watch begins with for the one that runs."""
        self._running = self.watch.running

    def waiting(self) -> bool:
        """Tell whether a successor is ready."""
        return self._ready is not None

    def take(self) -> Judge | None:
        """Return the successor, once; None if there is none."""
        with self._changing:  # one that comes at this moment is not to be lost
            ready, self._ready = self._ready, None
            if ready is not None:
                self._running = ready.model.version
        return ready

    def look(self, now: float) -> None:
        """Look once, at a reading of a monotonic clock (s), and load what is found."""
        version = self.watch.moved(now)
        if version is None:
            return
        try:
            judge = self.load(version)
        except (DetectorError, ModelError, OSError) as error:
            self.on_refused()
            log.error("a promoted model is refused; the one that runs goes on", model=version, why=str(error))  # noqa: TRY400 - the message says it all
            return
        with self._changing:
            changed = version != self._running  # not: there and back, or back from one that was refused
            self._ready = judge if changed else None
        if changed:
            log.info("a model was promoted; it follows when the running batch ends", model=version)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look in a thread of its own while the context lasts: a registry that is away must hold up nothing else."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(EVERY_SECONDS):
                self.look(time.monotonic())

        threading.Thread(target=watch, name="succession", daemon=True).start()
        try:
            yield
        finally:
            ended.set()
