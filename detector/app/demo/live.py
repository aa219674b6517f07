"""The live part: the application runs, records come at their pace, alerts are read as they appear.

Not here: what was prepared before (``stage``), the verdict on the alerts (``report``).
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from detector.app.demo.feed import LiveFeed, Sender
from detector.app.demo.judge import Received
from detector.app.demo.play import Play, iso
from detector.app.demo.view import Screen, seconds
from detector.app.demo.watch import AlertWatch, Readings, count_records, read_metrics
from detector.app.lifecycle import Application, Started
from detector.errors import DetectorError, TransientError
from detector.observability.progress import BatchProgress
from detector.settings import Settings, specs

START_SECONDS: Final = 120.0  # for Spark's first batch; 10 s on an idle machine
STOP_SECONDS: Final = 40.0  # the application drains for at most half of it
CLOSE_SECONDS: Final = 60.0  # from the last record until its window is judged; 2 s on an idle machine
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


@dataclass(frozen=True)
class Played:
    """What the live part left behind.

    Parameters
    ----------
    received : tuple of Received
        All alerts.
    sent_at : callable
        When the records of an event time were sent.
    records, seconds : float
        Records that were sent at the pace, and how long that took.
    busiest : float
        Records a second of the application's busiest batch.
    all_closed : bool
        Whether every window of the live part was judged.
    url : str
        Where ``/metrics`` was.
    readings : Readings
        What it said at the end.
    dead_letters : int
        Records in the dead-letter topic.
    """

    received: tuple[Received, ...]
    sent_at: Callable[[float], float]
    records: int
    seconds: float
    busiest: float
    all_closed: bool
    url: str
    readings: Readings
    dead_letters: int


def play_live(play: Play, settings: Settings, topic: str, screen: Screen) -> Played:
    """Run the application while the live records come; return when their windows are judged and it has stopped."""
    connection = specs.connection(settings)
    feed = LiveFeed(Sender(connection, topic, play.window_seconds), play)
    running = Running(settings)
    watch = AlertWatch(connection, settings.alerts.topic)
    with contextlib.ExitStack() as stack:
        stack.callback(watch.close)
        warm_up = feed.warm_up()
        stack.callback(running.stop)
        began = time.monotonic()
        with screen.spinner("starting the application"):
            running.start()
        screen.line(
            f"running after {seconds(time.monotonic() - began)}, first batch: {warm_up:,} records of the history's end"
        )
        screen.line(f"metrics: {running.url}/metrics   event time runs at {play.speed:,.0f} times the clock")
        stack.callback(feed.stop)
        feed.start()
        received = _follow(play, feed, running, watch, screen)
        readings = read_metrics(running.url)
        with screen.spinner("stopping the application"):
            running.finish()
        rest = watch.rest()
        _show(rest, screen)
        return Played(
            received=(*received, *rest),
            sent_at=feed.sent_at,
            records=feed.sender.records - warm_up,
            seconds=feed.seconds,
            busiest=running.busiest,
            all_closed=running.watermark >= play.live_to,
            url=running.url,
            readings=readings,
            dead_letters=count_records(connection, settings.dead_letter.topic),
        )


def _follow(play: Play, feed: LiveFeed, running: Running, watch: AlertWatch, screen: Screen) -> list[Received]:
    """Show alerts until every window is judged, or does not close in time."""
    received: list[Received] = []
    deadline = math.inf
    with screen.bar("live", round(play.live_to - play.live_from)) as move:
        while running.watermark < play.live_to and time.monotonic() < deadline:
            running.check()
            if feed.failure is not None:
                raise feed.failure
            if feed.finished and deadline == math.inf:
                deadline = time.monotonic() + CLOSE_SECONDS
            found = watch.poll(POLL_SECONDS)
            _show(found, screen)
            received += found
            move(feed.position - play.live_from, f"{iso(feed.position)[:19]}  {len(received)} alerts")
    return received


def _show(found: list[Received], screen: Screen) -> None:
    for each in found:
        screen.alert(each)
