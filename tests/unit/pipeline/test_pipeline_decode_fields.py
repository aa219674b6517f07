"""What a valid record decodes to: fields by path, numbers, topics, units and ranges.

Not here: rejects (``test_pipeline_decode_rejects``) and instants (``test_pipeline_event_time``).
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import pytest

from detector.pipeline import columns as c
from detector.pipeline.decode import DecodeSpec, RecordDecoder, ValueRange
from detector.pipeline.identity import AssetRule
from detector.pipeline.json_records import RecordLayout
from detector.pipeline.paths import parse_path
from detector.pipeline.schema import pack_unit, topic_id
from tests.unit.pipeline.raw_records import RECEIVED, STAMP, decode_row, decode_rows, raw_batch, record

NESTED = RecordLayout(
    sensor_id=parse_path("$.meta.sensor"),
    timestamp=parse_path("$.meta.at"),
    value=parse_path("$.payload.temp"),
    asset_id=parse_path("$['plant.asset'].id"),
    unit=parse_path("$.payload['unit.of temp']"),
)


def test_a_plain_record_decodes_to_its_fields():
    row = decode_row(record(more=b',"unit":"degC","asset_id":"temp","other":[1,{"value":7}]'))

    assert (row[c.ASSET_ID], row[c.SENSOR_ID], row[c.READING]) == ("temp", "temp", 20.5)
    assert row[c.EVENT_TIME].timestamp() == STAMP / 1000
    assert (row[c.UNIT_HIGH], row[c.UNIT_LOW]) == pack_unit("degC")
    assert row[c.KAFKA_TIMESTAMP] == RECEIVED
    assert row[c.REJECT_REASON] is None


@pytest.mark.parametrize("neighbour", [[], [b"x"]])
def test_fields_are_read_from_nested_paths_and_keys_with_dots(neighbour):
    payload = {
        "meta": {"sensor": "temp", "at": STAMP, "value": 1},
        "payload": {"temp": 3, "unit.of temp": "K", "unit": {"of temp": "no"}},
        "plant.asset": {"id": "kiln"},
        "plant": {"asset": {"id": "no"}},
    }
    spec = DecodeSpec(layout=NESTED, asset=AssetRule(source="field"))

    row = decode_rows([json.dumps(payload).encode(), *neighbour], spec)[0]

    assert row[c.REJECT_REASON] is None
    assert (row[c.ASSET_ID], row[c.SENSOR_ID], row[c.READING]) == ("kiln", "temp", 3.0)
    assert (row[c.UNIT_HIGH], row[c.UNIT_LOW]) == pack_unit("K")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"meta": {"sensor": "temp", "at": STAMP}}, "missing_field"),
        ({"meta": {"sensor": "temp", "at": STAMP}, "payload": {}}, "missing_field"),
        ({"meta": {"sensor": "temp", "at": STAMP}, "payload": 3}, "wrong_type"),
        ({"meta": ["temp", STAMP], "payload": {"temp": 3}}, "wrong_type"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_missing_field_and_one_through_no_object_a_wrong_type(payload, reason):
    row = decode_row(json.dumps(payload).encode(), DecodeSpec(layout=NESTED))

    assert row[c.REJECT_REASON] == reason


def test_optional_fields_inside_absent_objects_are_absent():
    payload = {"meta": {"sensor": "temp", "at": STAMP}, "payload": {"temp": 3}}

    row = decode_row(json.dumps(payload).encode(), DecodeSpec(layout=NESTED))

    assert (row[c.REJECT_REASON], row[c.UNIT_HIGH], row[c.UNIT_LOW]) == (None, 0, 0)


def test_two_fields_may_not_share_a_path_or_lie_inside_each_other():
    with pytest.raises(ValueError, match="overlap"):
        RecordLayout(value=("v",), timestamp=("v",))
    with pytest.raises(ValueError, match=r"\$\.v and \$\.v\.t overlap"):
        RecordLayout(timestamp=("v",), value=("v", "t"))


@pytest.mark.parametrize(
    "text", ["0", "-0.0", "1e150", "-1E-3", "4.9e-324", "0.1234567890123456789012", "18446744073709551617", "9" * 40]
)
def test_readings_are_the_floats_nearest_to_the_text(text):
    rows = [decode_row(record(value=text.encode())), decode_rows([record(value=text.encode()), b"x"])[0]]

    assert [row[c.READING].hex() for row in rows] == [float(text).hex()] * 2


def test_numbers_are_allowed_as_identifiers():
    row = decode_row(record(sensor=b"12345678901234567890123", more=b',"asset_id":12345678901234567890123'))

    assert (row[c.ASSET_ID], row[c.SENSOR_ID]) == ("12345678901234567890123",) * 2


def test_identifiers_may_hold_any_printable_text():
    row = decode_row('{"sensor_id":"Öl/温度 \\ud83d\\ude00","timestamp":1795000000000,"value":1}'.encode())

    assert row[c.SENSOR_ID] == "Öl/温度 😀"


def test_each_record_carries_the_code_of_its_own_topic():
    batch = raw_batch([record(), b"x", record()], topics=["north", "south", "north"])

    codes = RecordDecoder(DecodeSpec()).decode(batch).column(c.TOPIC_ID).to_pylist()

    assert codes == [topic_id("north"), topic_id("south"), topic_id("north")]
    assert topic_id("north") == zlib.crc32(b"north")


def test_a_template_may_name_the_asset_after_topic_and_key():
    spec = DecodeSpec(asset=AssetRule(template="{topic}-{key}"))
    batch = raw_batch([record(), record(), record()], topics=["north", "south", "south"], keys=[b"1", b"2", b"\xff"])

    assert RecordDecoder(spec).decode(batch).column(c.ASSET_ID).to_pylist() == ["north-1", "south-2", "south-\ufffd"]


RANGES = (
    ValueRange("pump-*/temp", 0, 90, "degC"),
    ValueRange("pump-*/temp", 273),
    ValueRange("*/flow", maximum=5),
)


@pytest.mark.parametrize(
    ("sensor", "unit", "reading", "outside"),
    [
        ("temp", "degC", 90.0, False),
        ("temp", "degC", 90.1, True),
        ("temp", "degC", -0.1, True),
        ("temp", "K", 272.0, True),
        ("temp", None, 300.0, False),
        ("flow", "m3/h", -100.0, False),
        ("flow", None, 5.1, True),
        ("speed", None, 1e9, False),
    ],
)
def test_the_first_range_that_matches_sensor_and_unit_holds(sensor, unit, reading, outside):
    payload = {"sensor_id": sensor, "asset_id": "pump-7", "timestamp": STAMP, "value": reading, "unit": unit}
    spec = DecodeSpec(asset=AssetRule(source="field"), ranges=RANGES)

    row = decode_row(json.dumps(payload).encode(), spec)

    assert (row[c.OUT_OF_RANGE], row[c.REJECT_REASON]) == (outside, None)


def test_without_ranges_nothing_is_out_of_range():
    assert decode_row(record(value=b"1e140"), replace(DecodeSpec(), ranges=()))[c.OUT_OF_RANGE] is False
