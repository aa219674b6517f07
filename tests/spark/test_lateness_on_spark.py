"""What is late by the rule is what Spark leaves out, at the boundary too; watermarks are those of its offset log.

Not here: the rule against its definition (``tests/property/test_pipeline_lateness.py``).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from detector.pipeline.event_time import with_watermark
from detector.pipeline.lateness import lateness
from detector.pipeline.windows import WindowSpec, deduplicate, windows
from tests.reference import US, Shape
from tests.spark.records import START_US, VALID, by_key, decoded, files_of_stream, plant, stream

RECORD = plant(1)[0]
LATENESS = 4  # seconds
# Seconds of the event times of each micro-batch, after the start; the watermark of the second is 20, of the third 26.
BATCHES = [
    [24.0, 1.0],
    [30.0, 15.0, 3.0],  # nothing is late: the batch before had no watermark
    [31.0, 15.0, 19.999_999, 20.0, 20.000_001, 9.0, 27.0],
    [32.0, 25.0, 26.0, 26.000_001, 29.0, 15.0],
    [90.0],  # closes the windows of all of these
]
BEFORE_1970 = [-15.0, -1.0, 0.0]  # seconds after 1970, in the first micro-batch
SHAPES = {
    "sliding": WindowSpec(12, 4, LATENESS),
    "deduplicated": WindowSpec(10, 10, LATENESS, dedup="within_window"),
}


def batches():
    times = [[START_US + round(second * US) for second in batch] for batch in BATCHES]
    times[0] = [round(second * US) for second in BEFORE_1970] + times[0]
    numbers = iter(range(1000))  # a reading of its own for each record: none repeats another
    return [[replace(RECORD, event_us=at, reading=float(next(numbers))) for at in batch] for batch in times]


def watermarks(checkpoint):
    """Return the watermark of each batch as Spark's offset log has it, microseconds since 1970."""
    logs = checkpoint / "offsets"
    return [
        json.loads((logs / str(number)).read_text().splitlines()[1])["batchWatermarkMs"] * 1000
        for number in range(sum(path.name.isdigit() for path in logs.iterdir()))
    ]


@pytest.mark.parametrize("name", SHAPES)
def test_spark_leaves_out_what_is_late_and_nothing_else(spark, tmp_path, name):
    spec, sent = SHAPES[name], batches()
    records = with_watermark(stream(spark, files_of_stream(tmp_path / "files", map(decoded, sent)), VALID), LATENESS)
    query = (
        windows(deduplicate(records, spec), spec).writeStream.format("memory").queryName(f"late_{name}")
        .outputMode("append").option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True).start()
    )  # fmt: skip
    query.awaitTermination()
    found = Counter({start: row["count"] for (start, _, _), row in by_key(spark.table(f"late_{name}")).items()})

    kept, shape, late, partly = Counter(), Shape(spec.length_seconds, spec.slide_seconds), 0, 0
    log = watermarks(tmp_path / "checkpoint")
    for number, batch in enumerate(sent):
        closed = log[number - 1] if number else 0
        verdict = lateness(np.array([record.event_us for record in batch]), closed, spec)
        late, partly = late + int(verdict.late.sum()), partly + int(verdict.partly.sum())
        for record, is_late in zip(batch, verdict.late, strict=True):
            starts = [] if is_late else shape.starts(record.event_us)
            kept.update(s for s in starts if spec.dedup != "none" or shape.end(s) > closed)

    assert found == Counter({start: count for start, count in kept.items() if shape.end(start) <= log[-1]})
    assert late >= 3
    assert (partly > 0) == (name == "sliding")
    if name == "deduplicated":  # its operator counts records, the aggregation's counts partial aggregates
        assert late == sum(o["numRowsDroppedByWatermark"] for p in query.recentProgress for o in p["stateOperators"])
