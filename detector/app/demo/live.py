"""The live part: the application runs, records come at their pace, alerts are read as they appear.

Not here: what was prepared before (``stage``), the application itself (``application``), the verdict on the alerts
(``report``).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from detector.app.demo.application import POLL_SECONDS, Running
from detector.app.demo.board import Board
from detector.app.demo.feed import LiveFeed, Sender
from detector.app.demo.judge import Received
from detector.app.demo.play import Play, Tick
from detector.app.demo.tables import seconds
from detector.app.demo.view import Screen
from detector.app.demo.watch import AlertWatch, Readings, count_records, read_metrics
from detector.settings import Settings, specs

CLOSE_SECONDS: Final = 60.0  # from the last record until its window is judged; 2 s on an idle machine
LOOK_SECONDS: Final = 0.2  # between two states of the live view
METRICS_SECONDS: Final = 1.0  # between two looks at the metrics
RATE_LOOKS: Final = 4  # looks that a rate is taken over: batches come less often
LETTERS_SECONDS: Final = 10.0  # for the last dead letters, which are published behind the batches


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
    readings : Readings
        What ``/metrics`` said at the end.
    dead_letters : int
        Records in the dead-letter topic.
    new_sensors : tuple of str
        ``asset/sensor`` that first appeared in the live part.
    """

    received: tuple[Received, ...]
    sent_at: Callable[[float], float]
    records: int
    seconds: float
    busiest: float
    all_closed: bool
    readings: Readings
    dead_letters: int
    new_sensors: tuple[str, ...]


class LivePart:
    """The running application, and what is sent to it and read from it; made by `live_part`.

    Attributes
    ----------
    url : str
        Of the application's HTTP server.
    """

    def __init__(self, play: Play, settings: Settings, topic: str, screen: Screen, board: Board) -> None:
        self._play = play
        self._settings = settings
        self._screen = screen
        self._board = board
        self._connection = specs.connection(settings)
        self._ticks: SimpleQueue[Tick] = SimpleQueue()
        sender = Sender(self._connection, topic, play.window_seconds)
        self._feed = LiveFeed(sender, play, self._ticks.put)
        self._running = Running(settings)
        self._watch = AlertWatch(self._connection, settings.alerts.topic)
        self._looks: deque[Readings] = deque(maxlen=RATE_LOOKS)

    @property
    def url(self) -> str:
        """Where the application serves."""
        return self._running.url

    def start(self) -> None:
        """Start the application on the end of the history."""
        warm_up = self._feed.warm_up()
        began = time.monotonic()
        with self._screen.spinner("starting the application"):
            self._running.start()
        self._screen.line(
            f"running after {seconds(time.monotonic() - began)}, first batch: {warm_up:,} records of the history's end"
        )
        self._screen.line(f"metrics: {self.url}/metrics   event time runs at {self._play.speed:,.0f} times the clock")

    def play(self) -> Played:
        """Play the live part; return when its windows are judged."""
        before = self._feed.sender.records
        self._feed.start()
        with self._screen.live(self._board) as renew:
            received = self._follow(renew)
        return Played(
            received=tuple(received),
            sent_at=self._feed.sent_at,
            records=self._feed.sender.records - before,
            seconds=self._feed.seconds,
            busiest=self._running.busiest,
            all_closed=self._running.watermark >= self._play.live_to,
            readings=self._settled(),
            dead_letters=count_records(self._connection, self._settings.dead_letter.topic),
            new_sensors=tuple(
                f"{each.asset_id}/{each.sensor_id}"
                for each in self._board.sensors.values()
                if each.first_seen >= self._play.live_from
            ),
        )

    def stay(self) -> None:
        """Go on with what comes after the live part, and show alerts, until Ctrl-C."""
        self._feed.go_on()
        with contextlib.suppress(KeyboardInterrupt), self._screen.spinner("running; Ctrl-C ends it") as say:
            while True:
                self._check()
                for each in self._watch.poll(POLL_SECONDS):
                    self._board.alerted(each)
                    self._screen.alert(each)
                self._look()
                readings = self._board.readings
                if readings is not None:
                    say(
                        f"{time.strftime('%H:%M:%S', time.gmtime())}  {readings.windows:,} windows scored, "
                        f"{self._board.open_incidents} open incidents; Ctrl-C ends it"
                    )

    def close(self) -> None:
        """Stop what was started; what went wrong is not said."""
        if not self._feed.finished:
            self._feed.stop()
        self._running.stop()
        self._watch.close()

    def finish(self) -> None:
        """Stop what was started, in order."""
        with self._screen.spinner("stopping the application"):
            self._feed.stop()
            self._running.finish()

    def _follow(self, renew: Callable[[list[Received]], None]) -> list[Received]:
        """Show what happens until every window is judged, or does not close in time."""
        received: list[Received] = []
        shown, deadline, due = 0, math.inf, 0.0
        while self._running.watermark < self._play.live_to and time.monotonic() < deadline:
            self._check()
            if self._feed.finished and deadline == math.inf:
                deadline = time.monotonic() + CLOSE_SECONDS
            received += self._alerted(self._watch.poll(POLL_SECONDS))
            if time.monotonic() >= due:
                self._look()
                renew(received[shown:])
                shown, due = len(received), time.monotonic() + LOOK_SECONDS
        received += self._alerted(self._watch.rest())  # a batch publishes before it ends: these are all
        self._look()
        renew(received[shown:])
        return received

    def _alerted(self, found: list[Received]) -> list[Received]:
        for each in found:
            self._board.alerted(each)
        return found

    def _check(self) -> None:
        self._running.check()
        self._feed.check()

    def _look(self) -> None:
        """Bring the board up to date."""
        self._board.sent(self._ticks.get() for _ in range(self._ticks.qsize()))
        now = time.time()
        if not self._looks or now - self._looks[-1].at >= METRICS_SECONDS:
            self._looks.append(read_metrics(self.url))
        first, last = self._looks[0], self._looks[-1]
        self._board.readings = last
        self._board.batch_age = now - last.last_batch
        if last.at > first.at:
            self._board.records_per_second = (last.records - first.records) / (last.at - first.at)

    def _settled(self) -> Readings:
        """Return what the metrics say once every reject is in the dead-letter topic."""
        deadline = time.monotonic() + LETTERS_SECONDS
        while (readings := read_metrics(self.url)).dead_letters < readings.rejected and time.monotonic() < deadline:
            self._check()
            self._watch.poll(POLL_SECONDS)
        return readings


@contextlib.contextmanager
def live_part(
    play: Play, settings: Settings, topic: str, screen: Screen, without_model: Collection[str]
) -> Iterator[LivePart]:
    """Start the application; it stops when the context ends, in order unless something went wrong.

    Parameters
    ----------
    play : Play
        What to play.
    settings : Settings
        Of the application.
    topic : str
        Where the records go.
    screen : Screen
        Where it is shown.
    without_model : collection of str
        ``asset/sensor`` that training made no model for.
    """
    part = LivePart(play, settings, topic, screen, Board(play, without_model))
    with contextlib.closing(part):
        part.start()
        yield part
        part.finish()
