"""One run of the demonstration: what happens after what, on a broker, a registry and a checkpoint of its own.

Not here: what the parts do; directory, signals and logs (``run``).
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession

from detector.app import session
from detector.app import train as training
from detector.app.demo.feed import Sender
from detector.app.demo.live import play_live
from detector.app.demo.play import BROKER_DIRECTORY, Play
from detector.app.demo.report import report
from detector.app.demo.view import Screen, seconds
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.preflight import Preflight
from detector.settings import Settings, load, specs
from models.registry import Registry

SPARK_LOG: Final = "spark.log"
HISTORY_TOPIC: Final = "history"
LIVE_TOPIC: Final = "sensors"
PARTITIONS: Final = 4
TICKS_A_LOOK: Final = 200  # of history, between two moves of the bar


@dataclass
class Stage:
    """One run.

    Parameters
    ----------
    play : Play
        What is played.
    screen : Screen
        Where it is shown.
    directory : Path
        Where everything is written.
    kept : bool
        Whether the directory stays.
    """

    play: Play
    screen: Screen
    directory: Path
    kept: bool

    def run(self) -> None:
        """Do everything, in order."""
        self.screen.heading(f"Tidemark demo: {self.play.title}")
        for note in self.play.notes:
            self.screen.line(note)
        with contextlib.ExitStack() as stack:
            servers = stack.enter_context(self._broker())
            past, now = self._settings(servers, HISTORY_TOPIC), self._settings(servers, LIVE_TOPIC)
            self._create_topics(now)
            self._send_history(past)
            self._train(stack.enter_context(self._spark(past)), past)
            self.screen.heading("Live")
            played = play_live(self.play, now, LIVE_TOPIC, self.screen)
            report(self.play, played, now, self.directory if self.kept else None, self.screen)

    @contextlib.contextmanager
    def _broker(self) -> Iterator[str]:
        """Run the broker; yields its address."""
        self.screen.heading("Broker")
        with contextlib.ExitStack() as stack:
            with self.screen.spinner("starting Kafka") as say:
                broker = EmbeddedBroker(
                    self.directory / BROKER_DIRECTORY, progress=lambda name, done, total: say(f"{done}/{total} {name}")
                )
                stack.enter_context(broker)
            self.screen.line(f"Kafka on {broker.bootstrap_servers}")
            yield broker.bootstrap_servers

    def _settings(self, servers: str, topic: str) -> Settings:
        common = (
            f"kafka.bootstrap_servers={servers}",
            f"source.topics=[{topic}]",
            "records.asset.source=field",
            f"model.registry={self.directory / 'models-registry'}",
            f"state.checkpoint={self.directory / 'checkpoint'}",
            "state.buckets=8",  # tens of sensors: few, fuller buckets
            "state.shuffle_partitions=2",
            "app.deployment=demo",
            "http.port=0",
            "trigger=500ms",
            "spark.driver_memory=1g",
        )
        return load(None, (*common, *self.play.settings), {})

    def _create_topics(self, settings: Settings) -> None:
        preflight = Preflight(specs.connection(settings))
        for topic in (HISTORY_TOPIC, LIVE_TOPIC):
            preflight.ensure(topic, PARTITIONS, 1, {"message.timestamp.type": "LogAppendTime"})
        preflight.ensure_outputs(settings.alerts.topic, settings.dead_letter.topic, settings.alerts.commits_topic, 1)

    def _send_history(self, settings: Settings) -> None:
        self.screen.heading("History")
        sender = Sender(specs.connection(settings), HISTORY_TOPIC)
        began = time.monotonic()
        with self.screen.bar("history", self.play.history_ticks) as move:
            for number, tick in enumerate(self.play.history()):
                sender.send(tick)
                if number % TICKS_A_LOOK == 0:
                    move(number, f"{sender.records:,} records")
            sender.flush()
        self.screen.line(f"{sender.records:,} records sent in {seconds(time.monotonic() - began)}")

    @contextlib.contextmanager
    def _spark(self, settings: Settings) -> Iterator[SparkSession]:
        self.screen.heading("Training")
        with (self.directory / SPARK_LOG).open("w") as log:
            on_interrupt = signal.getsignal(signal.SIGINT)
            with self.screen.spinner("starting Spark"):
                spark = session.build(settings, jvm_output=log)
            signal.signal(signal.SIGINT, on_interrupt)  # Spark's own cancels all jobs: nothing could drain any more
            try:
                yield spark
            finally:
                spark.stop()

    def _train(self, spark: SparkSession, settings: Settings) -> None:
        began = time.monotonic()
        with self.screen.spinner("training") as say:
            result = training.train(spark, settings, training.find_range(settings), say)
        Registry(settings.model.registry).set_alias(settings.model.version, result.version)
        self.screen.line(
            f"model {result.version} in {seconds(time.monotonic() - began)}: {result.sensors:,} sensors, "
            f"{result.windows:,} windows of {result.records:,} records"
        )
        if result.missing:
            self.screen.line(f"{len(result.missing)} sensors have too little history for a model")
