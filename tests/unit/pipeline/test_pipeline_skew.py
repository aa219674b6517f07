from __future__ import annotations

from math import inf

from detector.pipeline.decode import DecodeSpec, RecordDecoder
from detector.pipeline.skew import newest_and_skew
from tests.unit.pipeline.raw_records import raw_batch, record


def test_the_skew_is_how_far_the_last_partition_of_a_batch_is_behind_the_newest_so_far() -> None:
    leads = [(7, 0, 80_000_000), (7, 0, 90_000_000), (7, 1, 30_000_000), (8, 1, 85_000_000)]

    assert newest_and_skew(leads, -inf) == (90.0, 60.0)
    assert newest_and_skew([(7, 1, 40_000_000)], 90.0) == (90.0, 50.0)


def test_a_batch_that_reads_nothing_has_no_skew() -> None:
    assert newest_and_skew([], 90.0) == (90.0, 0.0)
    assert newest_and_skew([], -inf) == (-inf, 0.0)


def test_the_newest_valid_record_of_each_partition_leads_and_a_heartbeat_does_not() -> None:
    stamps = (b"1795000000000", b"1795000009000", b"1795000004000", b"1795000001000", b"1795000002000")
    payloads = [record(stamp=stamp) for stamp in stamps]
    topics = ["plant", "plant", "plant", "mill", "mill"]
    late = [b"no record", b"1795000099000000"]

    rows = RecordDecoder(DecodeSpec(heartbeat_topic="beats")).decode(
        raw_batch([*payloads, *late], [*topics, "plant", "beats"])
    )

    assert rows.column("leads").to_pylist() == [False, True, False, False, True, False, False]
