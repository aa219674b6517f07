"""Sends ticks to Kafka: all at once, or at the pace of a clock on a thread of its own.

Not here: what is sent (``play``).
"""

from __future__ import annotations

import bisect
import itertools
import math
import threading
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, Producer

from detector.app.demo.play import Message, Play, Tick
from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection

FLUSH_SECONDS: Final = 30.0  # in which the broker takes nothing of what is on the way; it is on this machine
LOOK_SECONDS: Final = 0.5  # how often it is looked at what the broker has taken
FOR_EVER: Final = 0  # of message.timeout.ms: whoever flushes decides how long a record is tried


class Sender:
    """Produces ticks to one topic.

    Parameters
    ----------
    connection : KafkaConnection
        Where.
    topic : str
        An existing topic.
    flush_seconds : float
        Whenever so much event time has passed it waits for the broker: no partition is then ever further ahead of
        another than that, and for a lateness of as much nothing is late.
    patient : callable
        Asked while it waits for the broker, with the seconds since that took the last record: whether to wait on.

    Attributes
    ----------
    records : int
        Sent so far.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        flush_seconds: float = math.inf,
        patient: Callable[[float], bool] = lambda silence: silence < FLUSH_SECONDS,
    ) -> None:
        self.records = 0
        self._topic = topic
        self._flush_seconds = flush_seconds
        self._patient = patient
        self._flushed = -math.inf
        self._failed: list[KafkaError] = []
        # `flush` says once what it says again and again while the broker is away.
        self._producer = Producer(
            {
                **connection.librdkafka(),
                "log_level": 2,
                "message.timeout.ms": FOR_EVER,
                "error_cb": self._met,
            }
        )

    @property
    def taken(self) -> int:
        """Records that the broker has."""
        return self.records - len(self._producer)

    def send(self, tick: Tick) -> None:
        """Send one tick.

        Raises
        ------
        TransientError
            If the broker did not take earlier ones.
        """
        span = tick.time // self._flush_seconds
        if span > self._flushed:
            self.flush()
            self._flushed = span
        for message in tick.messages:
            self._produce(message)
        self.records += len(tick.messages)

    def flush(self) -> None:
        """Wait until the broker has everything.

        Raises
        ------
        TransientError
            If it refuses a record or this client, or takes nothing and waiting has an end.
        """
        least, taken_at = len(self._producer), time.monotonic()
        while (left := self._producer.flush(LOOK_SECONDS)) and not self._failed:
            if left < least:
                least, taken_at = left, time.monotonic()
            if not self._patient(time.monotonic() - taken_at):
                break
        if left or self._failed:
            why = self._failed[0].str() if self._failed else f"the broker has not taken {left} records"
            raise TransientError(f"records could not be written to {self._topic}: {why}; see the broker's log")

    def _produce(self, message: Message) -> None:
        try:
            self._producer.produce(self._topic, message.value, message.key, on_delivery=self._delivered)
        except BufferError:  # the queue is full
            self.flush()
            self._produce(message)

    def _met(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - public constant; no waiting helps
            self._failed.append(error)

    def _delivered(self, error: KafkaError | None, _record: object) -> None:
        if error is not None:
            self._failed.append(error)


class LiveFeed:
    """Plays the live ticks on a thread of its own.

    Parameters
    ----------
    sender : Sender
        Used by the thread alone from `start` on.
    play : Play
        Ticks before its `live_from` are sent by `warm_up`, the others at its speed; what comes after it at the
        clock's.
    on_sent : callable
        Told of every tick that was sent, on the thread that sends.

    Attributes
    ----------
    failure : Exception or None
        What ended the thread early.
    seconds : float
        How long the live part played, once it has ended.
    """

    def __init__(self, sender: Sender, play: Play, on_sent: Callable[[Tick], None] = lambda _: None) -> None:
        self.sender = sender
        self.failure: Exception | None = None
        self.seconds = 0.0
        self._play = play
        self._on_sent = on_sent
        self._ticks = play.live()
        self._ahead: list[Tick] = []
        self._times: list[float] = []
        self._sent: list[float] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._live,), name="live-feed", daemon=True)

    def warm_up(self) -> int:
        """Send what lies before the live part; return how many records that are."""
        for tick in self._ticks:
            if tick.time >= self._play.live_from:
                self._ahead.append(tick)
                break
            self._send(tick)
        self.sender.flush()
        return self.sender.records

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()

    def go_on(self) -> None:
        """Play what comes after the live part, which has ended; without end, or nothing where the play has none."""
        self.stop()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(self._after,), name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End early, or wait for the end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def finished(self) -> bool:
        """Whether everything has been sent."""
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what ended the thread early."""
        if self.failure is not None:
            raise self.failure

    def sent_at(self, event_time: float) -> float:
        """Return when (`time.time`) the first tick at or after an event time was sent; infinite if none was."""
        at = bisect.bisect_left(self._times, event_time)
        return self._sent[at] if at < len(self._sent) else math.inf

    def _run(self, part: Callable[[], None]) -> None:
        try:
            part()
            self.sender.flush()
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.failure = error

    def _live(self) -> None:
        start = time.monotonic()
        for tick in itertools.chain(self._ahead, self._ticks):
            due = start + (tick.time - self._play.live_from) / self._play.speed
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                break
            self._sent.append(time.time())
            self._times.append(tick.time)
            self._send(tick)
        self.seconds = time.monotonic() - start

    def _after(self) -> None:
        for tick in self._play.after() if self._play.after is not None else ():
            if self._stopping.wait(max(0.0, tick.time - time.time())):
                break
            self._send(tick)

    def _send(self, tick: Tick) -> None:
        self.sender.send(tick)
        self._on_sent(tick)
