"""The application on a thread of its own, as the demonstration runs it.

Not here: what it is given to do (``live``).
"""

from __future__ import annotations

import math
import threading
import time
from typing import Final

from detector.app.lifecycle import Application, Started
from detector.errors import DetectorError, TransientError
from detector.observability.progress import BatchProgress
from detector.settings import Settings

START_SECONDS: Final = 120.0  # for Spark's first batch; 10 s on an idle machine
STOP_SECONDS: Final = 40.0  # the application drains for at most half of it
POLL_SECONDS: Final = 0.1


class Running:
    """The application on a thread of its own, and what it tells of its batches.

    Attributes
    ----------
    url : str
        Of its HTTP server, once it runs.
    busiest : float
        Records a second of its busiest batch.
    watermark : float
        Windows that end at or before it (epoch seconds) are judged.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = ""
        self.busiest = 0.0
        self.watermark = -math.inf
        self._batches = 0
        self._failure: BaseException | None = None
        self._application = Application(settings, on_started=self._on_started, on_batch=self._on_batch)
        self._thread = threading.Thread(target=self._run, name="application", daemon=True)

    def start(self) -> None:
        """Start, and wait for the first batch."""
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._batches:
            self.check()
            if time.monotonic() > deadline:
                raise TransientError(f"no batch within {START_SECONDS:.0f} s of the start; look at the logs")
            self._thread.join(POLL_SECONDS)

    def check(self) -> None:
        """Raise what ended the application, if it ended."""
        if self._failure is not None:
            raise self._failure
        if not self._thread.is_alive():
            raise DetectorError("the application ended by itself; look at the logs")

    def stop(self) -> None:
        """Ask for a stop at a batch boundary and wait for it."""
        self._application.stop()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def finish(self) -> None:
        """Stop, and raise what went wrong until then."""
        self.stop()
        if self._failure is not None:
            raise self._failure
        if self._thread.is_alive():
            raise TransientError(f"the application did not stop within {STOP_SECONDS:.0f} s; look at the logs")

    def _run(self) -> None:
        try:
            self._application.run()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failure = error

    def _on_started(self, started: Started) -> None:
        self.url = started.url

    def _on_batch(self, batch: BatchProgress) -> None:
        busy = batch.phase_ms.get("triggerExecution", 0) / 1000
        if self._batches and busy > 0:  # the first one also starts Spark's workers
            self.busiest = max(self.busiest, batch.input_rows / busy)
        self.watermark = max(self.watermark, batch.watermark or -math.inf)
        self._batches += 1
