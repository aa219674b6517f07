"""One local Spark session for the tests of the pipeline, with the settings that Tidemark ships.

Not here: Kafka. These tests read rows that they have made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession

from detector.app import class_archive
from detector.app.session import DEFAULTS, SHORT_LIVED, THREAD_STACK
from detector.kafka.java import require_java
from detector.observability.logs import SPARK_LOG4J2


@pytest.fixture(scope="package")
def spark() -> Iterator[SparkSession]:
    """Start the session; its JVM ends with the package, since other suites need one with Kafka's jars."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    classes = class_archive.use_option(require_java())
    options = f"{THREAD_STACK} -Dlog4j2.configurationFile={SPARK_LOG4J2.as_uri()} {SHORT_LIVED} {classes}"
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in {
        **DEFAULTS,
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": options,
        "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB": "64",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    gateway = session.sparkContext._gateway
    session.stop()
    SparkContext._gateway = SparkContext._jvm = None
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(30)
