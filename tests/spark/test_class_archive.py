"""The archive of Spark's classes that set-up makes: the session's JVM takes its classes from it.

Not here: how much time that saves (``docs/performance.md``).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from detector.app.session import JVM_OPTIONS

FROM_ARCHIVE = "shared objects file (top)"
SESSION = """
import sys
from detector.app import session
from detector.settings import load
session.build(load(None, ("source.topics=[none]", "spark.master=local[1]", sys.argv[1]), {})).range(1).count()
"""


def test_spark_takes_most_of_its_classes_from_the_archive_that_setup_made(tmp_path: Path) -> None:
    log = tmp_path / "classes.log"  # the log of the JVM itself: which class came from where
    option = f"spark.conf.{JVM_OPTIONS}=-Xlog:class+load:file={log}"
    subprocess.run([sys.executable, "-c", SESSION, option], check=True, timeout=120)
    of_spark = [line for line in log.read_text().splitlines() if " org.apache.spark." in line]
    assert of_spark
    assert sum(FROM_ARCHIVE in line for line in of_spark) > len(of_spark) / 2
