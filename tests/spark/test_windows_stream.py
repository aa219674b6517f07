"""Windows of a stream: they agree with those of a batch and with the reference, late records aside.

Not here: the values of single windows (``test_windows_batch``), decoding and scoring on a stream
(``test_scored_stream``).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.pipeline.event_time import with_watermark
from detector.pipeline.windows import WindowSpec, deduplicate, windows
from tests.reference import US, Record, Shape, batch_windows, repeated, stream_windows, without_repeats
from tests.spark.agreement import assert_agree, assert_same
from tests.spark.records import VALID, by_key, decoded, disturbed, files_of_stream, frame, plant, stream

RECORDS = plant(60)
FLUSH = [replace(RECORDS[-1], sensor="flush", event_us=RECORDS[-1].event_us + 60 * US)]  # closes all windows before it


def cut(records: list[Record], parts: int) -> list[list[Record]]:
    """Cut records into micro-batches of equal size, and a last one that closes the windows of the others."""
    size = -(-len(records) // parts)
    return [*(records[i : i + size] for i in range(0, len(records), size)), FLUSH]


def run(spark, folder, batches, spec, name):
    """Stream micro-batches through the windows until all is read, print the plan and return the windows."""
    files = files_of_stream(folder, map(decoded, batches))
    records = deduplicate(with_watermark(stream(spark, files, VALID), spec.lateness_seconds), spec)
    writer = windows(records, spec).writeStream.format("memory").queryName(name).outputMode("append")
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    query.explain()
    return by_key(spark.table(name))


@pytest.mark.parametrize(("spec", "name"), [(WindowSpec(10, 10, 4), "tumbling"), (WindowSpec(12, 4, 4), "sliding")])
def test_stream_batch_and_reference_agree_on_shuffled_late_and_repeated_records(spark, tmp_path, capsys, spec, name):
    batches = cut(disturbed(RECORDS, 25 * US), 6)
    expected, late = stream_windows(batches, Shape(spec.length_seconds, spec.slide_seconds, spec.lateness_seconds))

    found = run(spark, tmp_path / "files", batches, spec, name)

    plan = capsys.readouterr().out
    assert_agree(found, expected)
    arrived = [record for batch in batches for record in batch]
    in_batch = by_key(windows(frame(spark, arrived), spec))
    complete = set(found) - {key for key, _ in late}
    assert late
    assert complete
    assert_same({key: found[key] for key in complete}, {key: in_batch[key] for key in complete})
    assert "HashAggregate" in plan
    assert "SortAggregate" not in plan


def test_a_stream_in_which_nothing_is_late_gives_the_windows_of_a_batch(spark, tmp_path):
    spec = WindowSpec(10, 10, 30, dedup="within_window")
    batches = cut(disturbed(RECORDS, 5 * US), 3)
    arrived = [record for batch in batches for record in batch]

    found = run(spark, tmp_path / "files", batches, spec, "deduplicated")

    assert repeated(arrived) > 0
    expected = batch_windows(without_repeats(arrived), Shape(10, 10))
    newest = FLUSH[0].event_us - 30 * US
    closed = {key: row for key, row in expected.items() if key[0] + 10 * US <= newest}
    assert {sensor for _, _, sensor in closed} == {"temp", "flow", "burst"}
    assert_agree(found, closed, places=False)
