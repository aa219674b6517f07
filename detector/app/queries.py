"""The one streaming query: started under a judge, ended between two batches, and what it says when it fails.

Not here: which judge comes when, and watching the query (``lifecycle``); the pipeline (``stream``).
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from detector.app.catch_up import Backlog
from detector.app.judge import Judge, Model
from detector.app.stream import Publisher, scored_stream, scoring_spec
from detector.errors import ContractError, DetectorError, FencedError, StorageError, TransientError
from detector.kafka import source
from detector.kafka.preflight import Preflight
from detector.settings import decisive, specs

DRAIN_SECONDS: Final = 20.0  # from SIGTERM until a running batch is interrupted; containers get 30 s
SPARK_LOG_LEVEL: Final = "WARN"  # as `SPARK_LOG4J2` has it
BOUNDARY_SECONDS: Final = 0.005  # how often a stop looks whether the batch has ended

# What Spark says when it finds a file of the checkpoint that another process has written meanwhile.
CONCURRENT: Final = ("CONCURRENT_STREAM_LOG_UPDATE", "Multiple streaming queries are concurrently using")
# What Spark's clients of Kafka say at last, the driver's and the executors', when they were not answered for minutes.
UNANSWERED: Final = re.compile(
    r"org\.apache\.kafka\.common\.errors\.(?:Timeout|Disconnect|Network|LeaderNotAvailable|NotLeaderOrFollower)Exception"
    r"[^\n]*|Cannot fetch record for offset[^\n]*"
)
# What the system says through Java, RocksDB and Python alike.
DISK_FULL: Final = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))

DATA_LOSS: Final = "ata may have been"  # lost, or missed: what Spark says where offsets or partitions are gone
DATA_LOSS_CHARACTERS: Final = 500  # of its explanation, which names them

log = structlog.get_logger()


@dataclass(frozen=True)
class Queries:
    """Starts and ends the query, under one judge after another.

    Parameters
    ----------
    spark : SparkSession
        Where it runs.
    topics : list of str
        What is read.
    publisher : Publisher
        Gets every micro-batch.
    on_judge : callable
        Told of the model, and of the lateness in seconds, before the query starts under it.
    """

    spark: SparkSession
    topics: list[str]
    publisher: Publisher
    on_judge: Callable[[Model, float], None]

    @contextlib.contextmanager
    def query(self, judge: Judge, backlog: Backlog | None = None) -> Iterator[StreamingQuery]:
        """Run the query while the context lasts; over a backlog up to its end, else for ever."""
        settings = judge.settings
        checkpoint = self.publisher.checkpoint
        checkpoint.keep_decisive_settings(judge.digests.config, decisive(settings))
        self.publisher.judged_by, self.publisher.stopping = judge.digests, False
        self.spark.sparkContext.setLogLevel(SPARK_LOG_LEVEL)
        adoption = checkpoint.adoption()
        reading = specs.stream_source(settings, checkpoint.read_offsets())
        if adoption is not None and checkpoint.last_batch() < 0:
            known = Preflight(reading.connection).source_topics(reading.topics, reading.topic_pattern)
            reading = replace(reading, starting_offsets=source.complete(adoption.starting, known))
        raw = source.stream(self.spark, reading)
        scoring = scoring_spec(judge, self.topics, adoption)
        shape = specs.windows(settings)
        trigger: dict[str, Any] = {"processingTime": f"{round(settings.trigger.total_seconds() * 1000)} milliseconds"}
        if backlog is not None:
            shape = replace(shape, lateness_seconds=shape.lateness_seconds + math.ceil(backlog.skew_seconds))
            trigger = {"availableNow": True}
        self.on_judge(judge.model, shape.lateness_seconds)
        scored = scored_stream(raw, specs.decode(settings), shape, scoring)
        query = (
            scored.writeStream.queryName(specs.QUERY_NAME)
            .outputMode("append")
            .option("checkpointLocation", str(checkpoint.spark.absolute()))
            .trigger(**trigger)
            .foreachBatch(self.publisher)
            .start()
        )
        try:
            yield query
        finally:
            _end_query(self.spark, query, self.publisher)


def finished(query: StreamingQuery) -> bool:
    """Tell whether a query has read all that it was to read."""
    return not query.isActive and query.exception() is None


def _end_query(spark: SparkSession, query: StreamingQuery, publisher: Publisher) -> None:
    """Stop after the running batch if it ends in time; an interrupted batch is replayed by the next start."""
    deadline = time.monotonic() + DRAIN_SECONDS
    pause = threading.Event()
    spark.sparkContext.setLogLevel("OFF")  # what a query says that refuses a batch or is interrupted is no news
    publisher.stopping = True
    while query.isActive and query.status["isTriggerActive"] and time.monotonic() < deadline:
        pause.wait(BOUNDARY_SECONDS)
    if time.monotonic() >= deadline:
        log.warning("the running batch is abandoned; the next start does it again", seconds=DRAIN_SECONDS)
    with contextlib.suppress(PySparkException):  # stopping a query that has failed throws its failure again
        query.stop()
    committed = publisher.checkpoint.last_committed()
    log.info("stopped", **({"committed_batch": committed} if committed >= 0 else {}))


def failure(query: StreamingQuery, publisher: Publisher) -> Exception:
    """Return what ended a query."""
    if isinstance(publisher.failure, DetectorError):
        return publisher.failure
    error = publisher.failure or query.exception()
    text = str(error).strip() if error else "no reason given"
    if any(sign in text for sign in CONCURRENT):
        return FencedError(
            f"another process runs from the checkpoint {publisher.checkpoint.directory} too; only one may: stop it"
        )
    if full := next((sign for sign in DISK_FULL if sign in text), None):
        directory = publisher.checkpoint.directory
        free = shutil.disk_usage(directory).free // 1_000_000
        return StorageError(
            f"a disk is full ({full}): that of the checkpoint {directory}, which has {free} MB free, or that of Spark's"
            " temporary files (spark.local.dir). Make room and start again: it continues from the checkpoint"
        )
    if unanswered := UNANSWERED.search(text):
        return TransientError(f"Kafka did not answer Spark ({unanswered[0].strip()}); check the brokers")
    if DATA_LOSS in text:
        return ContractError(
            f"records that were to be read are not in Kafka any more: {' '.join(text.split())[:DATA_LOSS_CHARACTERS]}. "
            "docs/runbook.md says what to do: Retention has passed the checkpoint"
        )
    return publisher.failure or _unexpected(text)


def _unexpected(text: str) -> DetectorError:
    """Return what ended a query that nothing of ours has ended."""
    reason = text.splitlines()[0].rstrip(". ")
    return DetectorError(f"the query ended: {reason}. The log has the details; a restart continues from the checkpoint")
