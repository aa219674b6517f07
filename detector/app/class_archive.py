"""Where the archive of Spark's classes is, and what tells a JVM to use it.

A JVM spends much of its start on reading, checking and linking some 20,000 classes. It can write them into a file once
and map that from then on (application class-data sharing, JEP 350). The file holds for one Java and one installation of
Spark and lies in the environment that Spark is installed in. Without it, or where it does not fit, everything runs the
same and starts some seconds later.

Not here: making it (``class_recording``).
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

import pyspark

from detector.kafka.java import Java

DIRECTORY: Final = "share/tidemark"  # below the environment's prefix
# A file that does not fit is no reason to say anything: the JVM then reads its classes as always.
QUIET: Final = "-Xshare:auto -Xlog:cds*=off"


def archive_path(java: Java) -> Path:
    """Return where the archive for a Java and the installed Spark is, whether it exists or not."""
    jars = Path(pyspark.__file__).parent / "jars"
    parts = [pyspark.__version__, str(java.home)]
    for part in (java.home / "lib" / "modules", jars):
        status = part.stat() if part.exists() else None
        parts.append(f"{part} {status and status.st_mtime_ns}")
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return Path(sys.prefix) / DIRECTORY / f"spark-{key}.jsa"


def exists(java: Java) -> bool:
    """Tell whether there is an archive."""
    return archive_path(java).is_file()


def use_option(java: Java) -> str:
    """Return the JVM's options that make it use the archive; empty if there is none."""
    path = archive_path(java)
    return f"-XX:SharedArchiveFile={path} {QUIET}" if path.is_file() and " " not in str(path) else ""


def record_option(path: Path) -> str:
    """Return the JVM's options that make it write the archive when it ends."""
    return f"-XX:ArchiveClassesAtExit={path} {QUIET}"
