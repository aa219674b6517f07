"""Invariants of decoding over generated records and bytes.

Not here: examples with known results (``tests/unit/pipeline``).
"""

from __future__ import annotations

import json
import math
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.pipeline import columns as c
from detector.pipeline.decode import REJECT_REASONS, DecodeSpec
from detector.pipeline.event_time import TimestampFormat
from detector.pipeline.identity import AssetRule
from detector.pipeline.json_records import MAX_MAGNITUDE, RecordLayout
from tests.unit.pipeline.raw_records import decode_row, decode_rows, record

# Wall time on a shared machine says nothing of the code, so no deadline; 60 examples keep the suite in seconds.
quick = settings(deadline=None, max_examples=60)

FORMATS: tuple[TimestampFormat, ...] = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "iso8601")
numbers = st.one_of(st.floats(), st.integers(-(10**40), 10**40), st.integers(1_700_000_000_000, 1_795_000_000_000))
texts = st.one_of(st.text(max_size=8), st.sampled_from(["2026-11-18T11:06:40Z", "2026-11-18 11:06", "\ud800", "a\x1f"]))
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
objects = st.fixed_dictionaries(
    {},
    optional={
        "sensor_id": st.one_of(texts, numbers, anything),
        "timestamp": st.one_of(numbers, texts, anything),
        "value": st.one_of(numbers, anything),
        "asset_id": st.one_of(texts, anything),
        "unit": st.one_of(texts, anything),
        "note": anything,
    },
)
good = st.builds(
    lambda value, stamp: record(value=json.dumps(value).encode(), stamp=str(stamp).encode()),
    st.floats(-MAX_MAGNITUDE, MAX_MAGNITUDE),
    st.integers(1_000_000_000_000, 1_795_000_000_000),
)
payloads = st.one_of(
    st.none(),
    good,
    good,
    st.binary(max_size=40),
    st.builds(lambda found, ascii_only: _encode(found, ascii_only=ascii_only), objects, st.booleans()),
    st.builds(lambda payload, at: payload[: at % len(payload)], good, st.integers(0, 200)),
    st.builds(lambda one, other, between: one + between + other, good, good, st.sampled_from([b"", b"\n", b","])),
)


def _encode(found: object, *, ascii_only: bool) -> bytes:
    return json.dumps(found, ensure_ascii=ascii_only).encode(errors="surrogatepass")


@cache
def spec_for(timestamp_format: TimestampFormat, source: str) -> DecodeSpec:
    rule = AssetRule(source="field") if source == "field" else AssetRule()
    return DecodeSpec(RecordLayout(timestamp_format=timestamp_format), rule, timezone="Europe/Berlin")


specs = st.builds(spec_for, st.sampled_from(FORMATS), st.sampled_from(["field", "template"]))


def place_free(row: dict[str, object]) -> dict[str, object]:
    """Return a decoded row without what says where in its batch it stood."""
    kept = {name: value for name, value in row.items() if name not in (c.OFFSET, c.RECORD_ORDER)}
    return {name: value.hex() if isinstance(value, float) else value for name, value in kept.items()}


@quick
@given(st.lists(payloads, min_size=1, max_size=8), specs)
def test_a_record_decodes_the_same_alone_as_among_any_others(batch, spec):
    together = decode_rows(batch, spec)

    assert [place_free(row) for row in together] == [place_free(decode_row(payload, spec)) for payload in batch]


@quick
@given(st.lists(payloads, max_size=8), specs)
def test_every_row_is_valid_or_has_a_known_reason(batch, spec):
    rows = decode_rows(batch, spec)

    assert [row[c.OFFSET] for row in rows] == list(range(100, 100 + len(batch)))
    for row in rows:
        assert row[c.REJECT_REASON] is None or row[c.REJECT_REASON] in REJECT_REASONS
        if row[c.REJECT_REASON] is None:
            assert math.isfinite(row[c.READING])
            assert abs(row[c.READING]) <= MAX_MAGNITUDE
            assert row[c.ASSET_ID]
            assert row[c.SENSOR_ID]


@quick
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=20))
def test_fuzzed_bytes_never_raise_and_are_all_rejected(batch):
    assert all(row[c.REJECT_REASON] is not None for row in decode_rows(batch))


@quick
@given(st.lists(good, min_size=1, max_size=8))
def test_good_records_are_valid_with_the_reading_they_carry(batch):
    rows = decode_rows(batch)

    assert [row[c.REJECT_REASON] for row in rows] == [None] * len(batch)
    assert [row[c.READING] for row in rows] == [json.loads(payload)["value"] for payload in batch]
