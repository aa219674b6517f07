"""The Spark session, with the defaults that Tidemark ships.

Not here: what runs in it. One session a process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext, accumulators
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from detector.app import class_archive
from detector.errors import DetectorError
from detector.kafka.jars import connector_jars
from detector.kafka.java import require_java
from detector.observability.jvm_output import forward_jvm_output
from detector.observability.logs import SPARK_LOG4J2
from detector.settings import Settings, specs

THREAD_STACK: Final = "-Xss16m"  # the default overflows in the stream thread on deep plans when a query stops

JVM_OPTIONS: Final = "spark.driver.extraJavaOptions"  # the one setting that is added to ours and replaces nothing
# For a JVM of some minutes: the better compiler would cost more of two cores than it gives back.
SHORT_LIVED: Final = "-XX:TieredStopAtLevel=1"
JVM_END_SECONDS: Final = 2.0  # from broken connections to the end of the process
OUT_OF_RANGE: Final = "offsetOutOfRange"  # a metric of Spark's Kafka source: offsets that retention has passed
STATE_PACKAGE: Final = "org.apache.spark.sql.execution.streaming.state"
DEFAULTS: Final[Mapping[str, str]] = {
    "spark.sql.streaming.stateStore.providerClass": f"{STATE_PACKAGE}.RocksDBStateStoreProvider",  # heap and GC
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",  # commits write only changes
    "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage": "true",  # one bound for all stores of a process
    "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB": "1024",
    "spark.sql.streaming.minBatchesToRetain": "20",  # whole bucket blocks are kept; 100 would fill disks
    "spark.sql.streaming.stopTimeout": "20s",  # a hung stop is an error, not a hung process
    "spark.sql.streaming.noDataProgressEventInterval": "5000",  # milliseconds; readiness of an idle stream
    "spark.sql.ui.retainedExecutions": "25",  # the driver keeps them in memory even without a UI
    "spark.ui.retainedJobs": "50",
    "spark.ui.retainedStages": "50",
    "spark.ui.retainedTasks": "500",
    "spark.ui.enabled": "false",  # attack surface; opt in by spark.conf
    "spark.ui.killEnabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|jaas|sasl|credential|keystore.key",
    "spark.sql.redaction.options.regex": "(?i)url|secret|password|token|jaas|sasl|credential|keystore.key",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.adaptive.enabled": "false",  # streams ignore it; batches then have as many tasks as configured
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
    "spark.executorEnv.OMP_NUM_THREADS": "1",  # a core a task is all there is
}


def build(settings: Settings, jvm_output: TextIO | None = None, *, record_classes: Path | None = None) -> SparkSession:
    """Start the session, or return the running one.

    Parameters
    ----------
    settings : Settings
        Master, memory, partitions and further Spark settings.
    jvm_output : TextIO or None
        Where the JVM's output goes, without its chatter; None is standard error.
    record_classes : Path or None
        Where the JVM writes the archive of its classes when it ends; None uses the one there is.

    Raises
    ------
    UnavailableError
        If Java or a jar is missing and cannot be had.
    """
    java = require_java()
    os.environ["JAVA_HOME"] = str(java.home)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if settings.spark.master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    classes = class_archive.record_option(record_classes) if record_classes else class_archive.use_option(java)
    chosen = dict(settings.spark.conf)
    options = [
        THREAD_STACK,
        f"-Dlog4j2.configurationFile={SPARK_LOG4J2.as_uri()}",
        classes,
        chosen.pop(JVM_OPTIONS, ""),
    ]
    conf = SparkConf().setMaster(settings.spark.master).setAppName(specs.identity(settings))
    conf.setAll(
        [
            *DEFAULTS.items(),
            ("spark.jars", ",".join(str(jar) for jar in connector_jars())),
            ("spark.driver.memory", settings.spark.driver_memory),
            (JVM_OPTIONS, " ".join(filter(None, options))),
            ("spark.sql.shuffle.partitions", str(settings.state.shuffle_partitions)),
            *chosen.items(),
        ]
    )
    if SparkContext._active_spark_context is None:  # noqa: SLF001 - the only way to ask
        # A session of its own: a signal to our process group must not end the JVM before the query has drained.
        # The JVM ends with us all the same, when its standard input closes.
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True}
        gateway = launch_gateway(conf, streams)  # type: ignore[no-untyped-call]
        if gateway.proc is not None:  # None under spark-submit, where the JVM came first
            forward_jvm_output(gateway.proc.stdout, jvm_output or sys.stderr)
        # Where the JVM is killed its connections break: `named_jvm_end` says so once, in place of a trace for each.
        accumulators.AccumulatorTCPServer.handle_error = _say_nothing  # type: ignore[assignment,method-assign]
        on_interrupt = signal.getsignal(signal.SIGINT)
        SparkContext(conf=conf, gateway=gateway)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, on_interrupt)  # Spark's own would cancel the running batch
    return SparkSession.builder.getOrCreate()


def failed_tasks(spark: SparkSession) -> int:
    """Count the tasks that have failed since the session began, on all executors, dead ones included."""
    context = spark.sparkContext._jsc.sc()  # noqa: SLF001 - the executors' totals; Python is told of single stages only
    executors = context.statusStore().executorList(False)  # noqa: FBT003 - active ones only: no
    return sum(int(executors.apply(number).failedTasks()) for number in range(executors.size()))


def lost_offsets(spark: SparkSession) -> int:
    """Count the offsets that the running query's batch was to read and that were gone, once all of it has been read."""
    query = next(iter(spark.streams.active), None)
    if query is None:
        return 0
    plan = query._jsq.streamingQuery().lastExecution().executedPlan()  # noqa: SLF001 - no progress report has it
    leaves = plan.collectLeaves()
    found = [leaves.apply(number).metrics().get(OUT_OF_RANGE) for number in range(leaves.size())]
    return sum(int(metric.get().value()) for metric in found if metric.isDefined())


@contextlib.contextmanager
def named_jvm_end() -> Iterator[None]:
    """Turn what Python meets when Spark's JVM is gone into one error that says so.

    Raises
    ------
    DetectorError
        If the JVM has ended by itself: killed, or out of memory.
    """
    try:
        yield
    except (Py4JError, OSError, EOFError) as error:
        code = _jvm_exit_code()
        if code is None:
            raise
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise DetectorError(
            f"Spark's JVM ended {how}. Signal 9 is what a system that has run out of memory sends: give the process "
            "more, or less to spark.driver_memory. A restart continues from the checkpoint"
        ) from error


def _jvm_exit_code() -> int | None:
    """Return how the JVM ended; None if it lives, or is not ours."""
    gateway = SparkContext._gateway  # noqa: SLF001 - the only way to ask
    process = None if gateway is None else gateway.proc
    if process is None:
        return None
    with contextlib.suppress(subprocess.TimeoutExpired):  # its connections break a moment before it is gone
        process.wait(JVM_END_SECONDS)
    code: int | None = process.poll()
    return code


def _say_nothing(*_: object) -> None:
    return
