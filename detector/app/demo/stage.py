"""One run of the demonstration: what happens after what, on a broker, a registry and a checkpoint of its own.

Not here: what the parts do; directory, signals and logs (``run``).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from pyspark.sql import SparkSession

from detector.app import session
from detector.app import train as training
from detector.app.demo.feed import Sender
from detector.app.demo.live import live_part
from detector.app.demo.next_steps import Place, show_kept, show_next_steps
from detector.app.demo.play import BROKER_DIRECTORY, Play
from detector.app.demo.report import report
from detector.app.demo.tables import seconds
from detector.app.demo.view import Screen
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.ports import is_free
from detector.kafka.preflight import Preflight
from detector.settings import Settings, load, specs
from models.registry import Registry

LOG: Final = "tidemark.log"
SPARK_LOG: Final = "spark.log"
CONFIG: Final = "tidemark.yaml"
HISTORY_TOPIC: Final = "history"
LIVE_TOPIC: Final = "sensors"
PARTITIONS: Final = 4
TICKS_A_LOOK: Final = 200  # of history, between two moves of the bar
KEPT_PORT: Final = 9108  # of metrics that stay up, unless it is taken


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
    keep : bool
        Whether the application stays up after the verdict, until Ctrl-C.
    """

    play: Play
    screen: Screen
    directory: Path
    kept: bool
    keep: bool

    def run(self) -> None:
        """Do everything, in order."""
        began = time.time()
        self.screen.heading(f"Tidemark demo: {self.play.title}")
        for note in self.play.notes:
            self.screen.line(note)
        broker = EmbeddedBroker(self.directory / BROKER_DIRECTORY)
        http_port = KEPT_PORT if self.keep and is_free(KEPT_PORT) else 0
        past, now = (
            self._settings(broker.bootstrap_servers, topic, http_port) for topic in (HISTORY_TOPIC, LIVE_TOPIC)
        )
        place = self._place(now)
        with contextlib.ExitStack() as stack:
            spark = stack.enter_context(self._spark(now))
            stack.enter_context(self._broker(broker))
            self._create_topics(now)
            self._send_history(past)
            trained = self._train(spark, past)
            self.screen.heading("Live")
            with live_part(self.play, now, LIVE_TOPIC, self.screen, trained.missing) as live:
                report(self.play, live.play(), now, began, self.screen)
                if self.keep:
                    show_next_steps(now, live.url, place, self.screen)
                    live.stay()
        if self.kept:
            show_kept(now, place, self.screen)
        else:
            self.screen.gap()
            self.screen.line("All of it was in a temporary directory, which is removed now; --keep-files DIR keeps it.")

    def _settings(self, servers: str, topic: str, http_port: int) -> Settings:
        common = (
            f"kafka.bootstrap_servers={servers}",
            f"source.topics=[{topic}]",
            "records.asset.source=field",
            f"model.registry={self.directory / 'models-registry'}",
            f"state.checkpoint={self.directory / 'checkpoint'}",
            "state.buckets=8",  # tens of sensors: few, fuller buckets
            "state.shuffle_partitions=2",
            "app.deployment=demo",
            f"http.port={http_port}",
            "trigger=500ms",
            "spark.driver_memory=1g",
            f"spark.conf.{session.JVM_OPTIONS}={session.SHORT_LIVED}",
        )
        return load(None, (*common, *self.play.settings), {})

    def _place(self, settings: Settings) -> Place:
        """Write the settings into a file that every command takes."""
        config = self.directory / CONFIG
        chosen = settings.model_dump(mode="json", exclude_unset=True)
        config.write_text(yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True), encoding="utf-8")
        logs = (self.directory / LOG, self.directory / SPARK_LOG)
        return Place(self.directory, config, self.directory / BROKER_DIRECTORY, logs, HISTORY_TOPIC)

    @contextlib.contextmanager
    def _spark(self, settings: Settings) -> Iterator[Future[SparkSession]]:
        """Start the one session on the side, for training and the application: it takes as long as Kafka does."""
        with (self.directory / SPARK_LOG).open("w") as log, ThreadPoolExecutor(1, "spark") as side:
            starting = side.submit(session.build, settings, log)
            try:
                yield starting
            finally:
                if starting.exception() is None:
                    starting.result().stop()

    @contextlib.contextmanager
    def _broker(self, broker: EmbeddedBroker) -> Iterator[None]:
        self.screen.heading("Broker")
        with contextlib.ExitStack() as stack:
            with self.screen.spinner("starting Kafka"):
                stack.enter_context(broker)
            self.screen.line(f"Kafka on {broker.bootstrap_servers}")
            yield

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

    def _train(self, starting: Future[SparkSession], settings: Settings) -> training.TrainingResult:
        self.screen.heading("Training")
        with self.screen.spinner("starting Spark"):
            spark = starting.result()
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
        return result
