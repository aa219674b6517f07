"""The main job in a process of its own, as ``tidemark run`` starts it, with its progress written to a file.

``python -m bench.job SETTINGS PROGRESS``: one JSON line for each batch (Spark's whole report) and one for the
metrics after it. SIGTERM stops it.

Not here: reading those lines (``running``).
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.parser import text_string_to_metric_families
from pyspark.sql.streaming.listener import StreamingQueryListener

from detector.app import session
from detector.app.lifecycle import Application, Started
from detector.observability import logs
from detector.settings import load

if TYPE_CHECKING:
    from pyspark.sql.streaming.listener import (
        QueryIdleEvent,
        QueryProgressEvent,
        QueryStartedEvent,
        QueryTerminatedEvent,
    )

SCRAPE_SECONDS: Final = 30.0


class ProgressFile(StreamingQueryListener):
    """Writes what happens as JSON lines; Spark calls it on a thread of its own.

    Parameters
    ----------
    path : Path
        Appended to.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()
        self._url = ""

    def started(self, started: Started) -> None:
        """Say that the query runs, and under which model."""
        self._url = f"{started.url}/metrics"
        profile = started.model.manifest.profile.digest()
        self.write("started", model=started.model.version, profile=profile)

    def metrics(self, batch: int) -> None:
        """Write the sums of the product's own metrics as they are after a batch."""
        with urllib.request.urlopen(self._url, timeout=SCRAPE_SECONDS) as answer:  # noqa: S310 - our own server
            families = text_string_to_metric_families(answer.read().decode())
        sums: dict[str, float] = {}
        for family in families:
            for sample in family.samples:
                if sample.name.startswith("tidemark_") and not sample.name.endswith("_bucket"):
                    sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
        finite = {name: value for name, value in sums.items() if abs(value) < float("inf")}
        self.write("metrics", batch=batch, sums=finite)

    def write(self, kind: str, **facts: Any) -> None:
        """Append one line."""
        with self._lock:
            self._file.write(json.dumps({"kind": kind, "at": time.time(), **facts}) + "\n")

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's interface
        """Nothing: `started` says more."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's interface
        """Write a finished batch."""
        self.write("batch", progress=json.loads(event.progress.json))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: ARG002, N802 - Spark's interface
        """Write that there was nothing to read."""
        self.write("idle")

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: ARG002, N802 - Spark's interface
        """Write the end."""
        self.write("ended")


def main(settings_path: str, progress_path: str) -> None:
    """Run until SIGTERM."""
    settings = load(Path(settings_path), [])
    logs.configure(settings.log.level, settings.log.format)
    progress = ProgressFile(Path(progress_path))
    application = Application(
        settings, on_started=progress.started, on_batch=lambda batch: progress.metrics(batch.batch_id)
    )
    application.stop_on_signals()
    session.build(settings).streams.addListener(progress)  # the application takes the session that runs
    application.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
