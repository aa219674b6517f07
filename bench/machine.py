"""What the figures belong to: machine, versions, commit, and whether there is room for the run.

Not here: the figures.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.running import ROOT
from detector.errors import StorageError
from detector.kafka.jars import locked_jars
from detector.kafka.java import require_java

GIB: Final = 1024**3
PACKAGES: Final = ("tidemark", "pyspark", "pyarrow", "numpy", "pandas", "confluent-kafka")


def facts() -> dict[str, str]:
    """Return date, commit, machine and versions, as they are printed above the tables."""
    java = require_java()
    broker = next(jar.coordinate.version for jar in locked_jars("broker") if jar.coordinate.artifact == "kafka_2.13")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}",
        "versions": ", ".join(
            [*versions, f"Kafka {broker}", f"Python {platform.python_version()}", f"Java {java.version}"]
        ),
    }


def require_disk(directory: Path, gibibytes: float) -> None:
    """Refuse to begin what would fill the disk.

    Raises
    ------
    StorageError
        If less is free where the bench keeps its data.
    """
    free = shutil.disk_usage(directory).free / GIB
    if free < gibibytes:
        raise StorageError(
            f"{directory} has {free:.1f} GiB free, the bench needs {gibibytes:.0f} GiB for Kafka's data and "
            "checkpoints; free some, name another place with --out, or run --quick"
        )


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        [git, "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()
