"""What does not decode is a row with a reason, in its place, whatever its neighbours are.

Not here: generated input (``tests/property/test_pipeline_decode.py``).
"""

from __future__ import annotations

import dataclasses

import pytest

from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.decode import REJECT_REASONS, DecodeSpec, RecordDecoder
from detector.pipeline.identity import AssetRule
from tests.unit.pipeline.raw_records import RECEIVED_US, decode_row, decode_rows, raw_batch, record

BY_FIELD = DecodeSpec(asset=AssetRule(source="field"))
TIGHT = DecodeSpec(max_bytes=80)
LATER_MS = RECEIVED_US // 1000 + 300_001  # one millisecond over the default bound

BAD: list[tuple[str, bytes | None, DecodeSpec]] = [
    ("null_value", None, DecodeSpec()),
    ("null_value", None, BY_FIELD),
    ("too_large", record(more=b',"note":"' + b"x" * 80 + b'"'), TIGHT),
    ("too_large", b"\xff" * 81, TIGHT),
    ("invalid_utf8", b"\xff\xfe", DecodeSpec()),
    ("invalid_utf8", record(more=b',"ignored":"\xc3"'), DecodeSpec()),
    ("invalid_utf8", record(sensor=b'"\\ud800"'), DecodeSpec()),
    ("invalid_utf8", record(more=b',"unit":"\\udc00C"'), DecodeSpec()),
    ("bad_json", b"", DecodeSpec()),
    ("bad_json", b'{"sensor_id": "temp"', DecodeSpec()),
    ("bad_json", record() + record(), DecodeSpec()),
    ("bad_json", record() + b"\n" + record(), DecodeSpec()),
    ("bad_json", record()[: len(record()) // 2], DecodeSpec()),
    ("bad_json", b"[" * 100_000, DecodeSpec()),
    ("bad_json", record(stamp=b"1" + b"0" * 5_000), DecodeSpec()),
    ("not_an_object", b"[1, 2]", DecodeSpec()),
    ("not_an_object", b"null", DecodeSpec()),
    ("missing_field", b"{}", DecodeSpec()),
    ("missing_field", b'{"sensor_id":"temp","timestamp":1795000000000}', DecodeSpec()),
    ("missing_field", record(value=b"null"), DecodeSpec()),
    ("wrong_type", record(value=b'"20.5"'), DecodeSpec()),
    ("wrong_type", record(value=b"true"), DecodeSpec()),
    ("wrong_type", record(sensor=b"5.0"), DecodeSpec()),
    ("wrong_type", record(stamp=b'"2026-11-18T11:06:40Z"'), DecodeSpec()),
    ("wrong_type", record(more=b',"unit":7'), DecodeSpec()),
    ("not_finite", record(value=b"NaN"), DecodeSpec()),
    ("not_finite", record(value=b"-Infinity"), DecodeSpec()),
    ("not_finite", record(value=b"1e999"), DecodeSpec()),
    ("not_finite", record(value=b"1.1e150"), DecodeSpec()),
    ("not_finite", record(value=b"1" + b"0" * 400), DecodeSpec()),
    ("bad_timestamp", record(stamp=b"1700000000"), DecodeSpec()),  # seconds, where milliseconds are configured
    ("bad_timestamp", record(stamp=b"0"), DecodeSpec()),  # a clock that was never set
    ("bad_timestamp", record(stamp=b"1e160"), DecodeSpec()),
    ("bad_timestamp", record(stamp=b"1" + b"0" * 200), DecodeSpec()),
    ("bad_timestamp", record(stamp=b"253402300800000"), DecodeSpec()),
    ("future_event_time", record(stamp=str(LATER_MS).encode()), DecodeSpec()),
    ("future_event_time", record(stamp=b"2147483647000"), DecodeSpec()),
    ("invalid_id", record(sensor=b'""'), DecodeSpec()),
    ("invalid_id", record(sensor=b'"a\\u001fb"'), DecodeSpec()),
    ("invalid_id", record(sensor=b'"' + b"s" * 257 + b'"'), DecodeSpec()),
    ("missing_asset", record(), BY_FIELD),
    ("missing_asset", record(more=b',"asset_id":null'), BY_FIELD),
    ("asset_conflict", record(more=b',"asset_id":"pump-3"'), DecodeSpec()),
    ("asset_conflict", record(more=b',"asset_id":7'), DecodeSpec()),
]


@pytest.mark.parametrize(("reason", "payload", "spec"), BAD)
def test_a_record_that_does_not_decode_has_the_same_reason_alone_and_among_others(reason, payload, spec):
    others = [record(more=b',"asset_id":"temp"'), b"{"]

    alone, among = decode_row(payload, spec), decode_rows([others[0], payload, others[1]], spec)[1]

    assert (alone[c.REJECT_REASON], among[c.REJECT_REASON]) == (reason, reason)


def test_every_reject_reason_has_an_example():
    assert {reason for reason, _, _ in BAD} == set(REJECT_REASONS)


@pytest.mark.parametrize(("reason", "payload", "spec"), BAD)
def test_the_details_of_a_reject_carry_its_reason_and_a_text_for_a_person(reason, payload, spec):
    _, rejects = RecordDecoder(spec).decode_with_details(raw_batch([payload], max_bytes=spec.max_bytes))

    assert rejects[0].reason == reason
    assert 0 < len(rejects[0].detail) < 1_000


def test_rows_keep_their_order_and_place():
    payloads = [record(value=b"1"), b"x", record(value=b"2"), None, record(value=b"3")]

    rows = decode_rows(payloads)

    assert [row[c.OFFSET] for row in rows] == [100, 101, 102, 103, 104]
    assert {row[c.PARTITION] for row in rows} == {3}
    assert [row[c.READING] for row in rows if row[c.REJECT_REASON] is None] == [1.0, 2.0, 3.0]


def test_a_record_may_hold_newlines_between_its_fields_and_after_its_end():
    rows = decode_rows([b'{\n"sensor_id": "temp",\r\n"timestamp": 1795000000000,\n"value": 1}\n', record(value=b"2")])

    assert [(row[c.REJECT_REASON], row[c.READING]) for row in rows] == [(None, 1.0), (None, 2.0)]


def test_a_rejected_record_has_a_neutral_event_time():
    row = decode_row(record(stamp=b"2147483647000"))

    assert row[c.EVENT_TIME].timestamp() == 0


def test_event_time_may_be_ahead_of_the_kafka_timestamp_by_exactly_the_bound():
    on_the_bound = record(stamp=str(LATER_MS - 1).encode())

    assert decode_row(on_the_bound)[c.REJECT_REASON] is None


def test_the_details_of_a_record_that_is_too_large_say_its_size():
    _, rejects = RecordDecoder(TIGHT).decode_with_details(raw_batch([b"x" * 81], max_bytes=80))

    assert rejects[0].detail == "81 bytes, records.max_bytes allows 80"


def test_what_json_allows_in_fields_nobody_reads_does_not_decide_about_a_record():
    odd = [
        record(more=b',"note":"\\ud800"'),
        record(more=b',"note":1' + b"0" * 5_000),
        record(more=b',"note":' + b"[" * 500 + b"]" * 500),
        record(more=b',"note":{"value":null}'),
    ]

    assert [row[c.REJECT_REASON] for row in decode_rows(odd)] == [None] * 4
    assert [row[c.REJECT_REASON] for row in decode_rows([*odd, b"x"])] == [None] * 4 + ["bad_json"]


def test_the_last_of_repeated_keys_holds():
    twice = record(value=b"1", more=b',"value":2')

    assert decode_row(twice)[c.READING] == decode_rows([twice, b"x"])[0][c.READING] == 2.0


def test_an_empty_batch_decodes_to_an_empty_batch():
    decoded = RecordDecoder(DecodeSpec()).decode(raw_batch([]))

    assert decoded.num_rows == 0
    assert decoded.schema == schema.DECODED


def test_iso_timestamps_of_the_wrong_type_are_wrong_and_unreadable_ones_are_bad():
    spec = DecodeSpec(layout=dataclasses.replace(DecodeSpec().layout, timestamp_format="iso8601"))

    reasons = [
        decode_row(record(stamp=stamp), spec)[c.REJECT_REASON] for stamp in (b"1795000000000", b'"today"', b'""')
    ]

    assert reasons == ["wrong_type", "bad_timestamp", "bad_timestamp"]
