"""What Spark's JVM and its Python workers print, without the lines that say nothing.

Log4j is configured apart (``spark-log4j2.properties``); this is for what is printed past it.

Not here: our own log (``logs``).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Final, TextIO

CHATTER: Final = re.compile(
    r"WARNING: Using incubator modules"  # the JVM, about a module that Spark asks for
    r"|(Starting )?Streaming TransformWithStateInPandas Python worker"  # Spark's Python worker, at each start
    r"|\s*$"
)


def forward_jvm_output(lines: Iterable[bytes], target: TextIO) -> threading.Thread:
    """Copy lines to a text file on a thread of its own, until their end; drops `CHATTER`.

    Parameters
    ----------
    lines : iterable of bytes
        A pipe that the JVM writes to; it must be read, or the JVM stops when it is full.
    target : TextIO
        Where the rest goes.
    """

    def copy() -> None:
        for line in lines:
            text = line.decode(errors="replace")
            if not CHATTER.match(text) and not target.closed:
                target.write(text)
                target.flush()

    thread = threading.Thread(target=copy, name="jvm-output", daemon=True)
    thread.start()
    return thread
