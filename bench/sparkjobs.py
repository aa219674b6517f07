"""Spark batch jobs over a topic, each adding one room to the one before; in a process of its own.

``python -m bench.sparkjobs SETTINGS TOPIC RECORDS REPEATS ROOM...``: prints one JSON object, seconds by room.

Not here: the stream, whose own report says what state, scoring and sink cost (``stages``).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame

from bench.running import ROOT
from detector.app import session
from detector.errors import DetectorError
from detector.kafka import source
from detector.kafka.preflight import Preflight
from detector.pipeline.decode import decode
from detector.pipeline.decoded import observe_rejects, valid
from detector.pipeline.windows import windows
from detector.settings import Settings, load, specs

JOB_SECONDS: Final = 600.0
ROOMS: Final = ("read", "decode", "windows")
WARM_UPS: Final = 2  # runs that are not counted: the JVM has compiled what it will by then


def measure(settings: Path, topic: str, records: int, repeats: int, rooms: Sequence[str]) -> dict[str, list[float]]:
    """Run the jobs in a new process and return the seconds of each room's runs.

    Raises
    ------
    DetectorError
        If it fails; the message carries what it said.
    """
    command = [sys.executable, "-m", "bench.sparkjobs", str(settings), topic, str(records), str(repeats), *rooms]
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        command, cwd=ROOT, capture_output=True, text=True, timeout=JOB_SECONDS, check=False
    )
    if done.returncode != 0:
        raise DetectorError(f"the Spark batch jobs failed with code {done.returncode}:\n{done.stderr[-2000:]}")
    seconds: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def _job(room: str, settings: Settings) -> Callable[[DataFrame], DataFrame]:
    decoding, shape = specs.decode(settings), specs.windows(settings)
    jobs: dict[str, Callable[[DataFrame], DataFrame]] = {
        "read": lambda raw: raw,
        "decode": lambda raw: valid(observe_rejects(decode(raw, decoding))),
        "windows": lambda raw: windows(valid(observe_rejects(decode(raw, decoding))), shape),
    }
    return jobs[room]


def main(settings_path: str, topic: str, records: str, repeats: str, *rooms: str) -> None:
    """Run the jobs and print their seconds."""
    settings = load(Path(settings_path), [])
    spec = specs.source(settings)
    preflight = Preflight(spec.connection)
    partitions = {topic: preflight.topics()[topic]}
    start = preflight.offsets(partitions)
    each = int(records) // partitions[topic]
    end = {topic: {number: offset + each for number, offset in start[topic].items()}}
    spark = session.build(settings, sys.stderr)
    seconds: dict[str, list[float]] = {room: [] for room in rooms}
    for turn in range(WARM_UPS + int(repeats)):
        for room in rooms:
            frame = _job(room, settings)(source.batch(spark, spec, start, end))
            started = time.perf_counter()
            frame.write.format("noop").mode("overwrite").save()
            if turn >= WARM_UPS:
                seconds[room].append(time.perf_counter() - started)
    spark.stop()
    sys.stdout.write(json.dumps(seconds) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
