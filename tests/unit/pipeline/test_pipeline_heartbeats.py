"""Heartbeats among records: they tell event time, belong to no sensor, and no record passes for one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from detector.pipeline.decode import DecodeSpec, RecordDecoder
from detector.pipeline.schema import topic_id
from tests.unit.pipeline.raw_records import STAMP, raw_batch, record

SPEC = DecodeSpec(heartbeat_topic="beats")


def test_a_heartbeat_has_an_event_time_and_no_sensor() -> None:
    batch = raw_batch([record(), b"1795000000000000"], ["plant", "beats"])

    measured, beat = RecordDecoder(SPEC).decode(batch).to_pylist()

    assert (measured["sensor_id"], measured["reject_reason"]) == ("temp", None)
    assert (beat["sensor_id"], beat["reject_reason"]) == (None, None)
    assert beat["event_time"] == datetime.fromtimestamp(STAMP / 1000, UTC)


@pytest.mark.parametrize("payload", [None, b"", b"soon", b"-5", b"1" * 30, record()])
def test_what_is_no_heartbeat_in_its_topic_is_rejected(payload: bytes | None) -> None:
    (row,) = RecordDecoder(SPEC).decode(raw_batch([payload], ["beats"])).to_pylist()

    assert row["reject_reason"] == "bad_timestamp"


def test_a_number_in_another_topic_is_no_heartbeat() -> None:
    (row,) = RecordDecoder(SPEC).decode(raw_batch([b"1795000000000000"], ["plant"])).to_pylist()

    assert row["reject_reason"] == "not_an_object"


def test_a_topic_with_the_code_of_the_heartbeats_is_another_topic() -> None:
    assert topic_id("plumless") == topic_id("buckeroo")
    spec = DecodeSpec(heartbeat_topic="plumless")

    (row,) = RecordDecoder(spec).decode(raw_batch([b"1795000000000000"], ["buckeroo"])).to_pylist()

    assert row["reject_reason"] == "not_an_object"
