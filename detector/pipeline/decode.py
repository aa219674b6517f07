"""Decode raw Kafka rows into records, each valid or rejected with a reason.

`RecordDecoder` does the work: Arrow batch in, Arrow batch of the same length and order out. Spark calls it
for streaming, training and backtest; the dead-letter ledger calls it again for the few offset blocks that
held rejects. A bad record is a row with a reason, never an exception.

Not here: what becomes of decoded rows (``decoded``), publishing rejects (``detector.kafka.dead_letter``), watermark
(``event_time``), windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import UNSET
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.event_time import UNPARSED_US, UNSET_CLOCK_US, implausible_future, microseconds
from detector.pipeline.identity import AssetRule, Identity
from detector.pipeline.json_records import (
    MAX_MAGNITUDE,
    Fields,
    RecordLayout,
    RecordReader,
    RejectedRecordError,
)
from detector.pipeline.skew import leads

REJECT_REASONS: Final = (
    "null_value",  # a tombstone: the record has no value
    "too_large",  # more bytes than the setting allows
    "invalid_utf8",
    "bad_json",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "not_finite",  # NaN, infinite, or over 1e150
    "bad_timestamp",  # not of the configured form, outside the years 1 to 9999, or in 1970
    "future_event_time",  # ahead of its Kafka timestamp by more than the bound
    "invalid_id",
    "missing_asset",
    "asset_conflict",
)
MEMORY: Final = 1 << 20  # identities that a decoder remembers; some 200 MB at the most
HEARTBEAT_DIGITS: Final = 18  # microseconds since 1970, at most those of the year 9999

Rejects: TypeAlias = dict[int, RejectedRecordError]  # row number in a batch -> what is wrong with it


@dataclass(frozen=True)
class ValueRange:
    """Physical range of the sensors whose ``asset/sensor`` matches a glob pattern, in one unit or in any."""

    sensors: str
    minimum: float = -np.inf
    maximum: float = np.inf
    unit: str | None = None


@dataclass(frozen=True)
class DecodeSpec:
    """How records are read.

    Parameters
    ----------
    layout : RecordLayout
        Where the fields stand.
    asset : AssetRule
        How the asset is found.
    timezone : str
        IANA zone of timestamps without one.
    max_bytes : int
        Largest record that is decoded.
    future_bound_us : int
        How far event time may be ahead of the Kafka timestamp, microseconds.
    ranges : sequence of ValueRange
        Physical ranges; the first that matches a sensor holds.
    heartbeat_topic : str or None
        Its records say how far event time has come, and belong to no sensor: their sensor id is null.
    """

    layout: RecordLayout = field(default_factory=RecordLayout)
    asset: AssetRule = field(default_factory=AssetRule)
    timezone: str = "UTC"
    max_bytes: int = 1_048_576
    future_bound_us: int = 300_000_000
    ranges: Sequence[ValueRange] = ()
    heartbeat_topic: str | None = None

    def range_of(self, asset_id: str, sensor_id: str, unit: str | None) -> tuple[float, float]:
        """Return the smallest and largest plausible reading of a sensor."""
        name = f"{asset_id}/{sensor_id}"
        for limits in self.ranges:
            if fnmatchcase(name, limits.sensors) and limits.unit in (None, unit):
                return limits.minimum, limits.maximum
        return -np.inf, np.inf


def decode(raw: DataFrame, spec: DecodeSpec) -> DataFrame:
    """Decode raw Kafka rows (Spark's Kafka columns) into rows of `schema.DECODED`, rejected ones included.

    A record over ``spec.max_bytes`` is dropped before it leaves the JVM, so that a few huge records cannot
    fill the memory of a Python worker.
    """
    fits = f.when(f.length(c.PAYLOAD) <= spec.max_bytes, f.col(c.PAYLOAD))
    key = f.col(c.KEY) if spec.asset.needs_key else f.lit(None).cast("binary")
    bounded = raw.select(
        key.alias(c.KEY),
        fits.alias(c.PAYLOAD),
        f.length(c.PAYLOAD).alias(c.PAYLOAD_BYTES),
        c.TOPIC,
        c.PARTITION,
        c.OFFSET,
        c.KAFKA_TIMESTAMP,
    )

    def decode_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        decoder = RecordDecoder(spec)
        for batch in batches:
            yield decoder.decode(batch)

    return bounded.mapInArrow(decode_partition, schema.ddl(schema.DECODED))


class RecordDecoder:
    """Decodes Arrow batches of raw records; remembers the identities it has met.

    Parameters
    ----------
    spec : DecodeSpec
        How records are read.
    """

    def __init__(self, spec: DecodeSpec) -> None:
        self._spec = spec
        self._reader = RecordReader(spec.layout)
        self._identify = lru_cache(maxsize=MEMORY)(spec.asset.identify)
        self._range_of = lru_cache(maxsize=MEMORY)(spec.range_of)

    def decode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decode one Arrow batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch of `schema.RAW`, n rows
            Raw records; the payload is null where it was too large.

        Returns
        -------
        pyarrow.RecordBatch of `schema.DECODED`, n rows
            In the same order; ``reject_reason`` is null for valid records.
        """
        return self.decode_with_details(batch)[0]

    def decode_with_details(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Rejects]:
        """Decode one Arrow batch and say, by row number, what is wrong with each rejected record."""
        raw = {name: batch.column(name) for name in schema.RAW.names}
        rejects: Rejects = {}
        fields = self._read(raw, rejects)
        layout = self._spec.layout
        event_us = microseconds(fields["timestamp"], layout.timestamp_format, self._spec.timezone)
        self._check_event_time(fields["timestamp"], event_us, raw, rejects)
        identities = self._identities(fields, raw, rejects)
        names = np.array([schema.topic_id(topic) for topic in raw[c.TOPIC].to_pylist()], np.int64)
        beats = self._admit_heartbeats(names, raw, rejects, event_us)
        usable = np.ones(len(names), bool)
        usable[[*rejects, *beats]] = False
        reading = np.array(fields["value"], np.float64)
        event_us[list(rejects)] = 0
        units = [schema.pack_unit(unit) for unit in fields["unit"]]
        order = schema.record_order(event_us, raw[c.PARTITION].to_numpy(), raw[c.OFFSET].to_numpy())
        arrays = [
            pa.array(names),
            raw[c.PARTITION],
            raw[c.OFFSET],
            raw[c.KAFKA_TIMESTAMP],
            pa.array([identity.asset_id for identity in identities], pa.string()),
            pa.array([None if i in beats else who.sensor_id for i, who in enumerate(identities)], pa.string()),
            pa.array(event_us, pa.timestamp("us", "UTC")),
            pa.array(reading),
            pa.array([high for high, _ in units], pa.int64()),
            pa.array([low for _, low in units], pa.int64()),
            order,
            pa.array(self._out_of_range(identities, fields["unit"], reading)),
            pa.array([rejects[i].reason if i in rejects else None for i in range(len(batch))], pa.string()),
            pa.array(leads(names, raw[c.PARTITION].to_numpy(), event_us, usable)),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema.DECODED), rejects

    def _read(self, raw: Mapping[str, pa.Array], rejects: Rejects) -> dict[str, list[Any]]:
        """Read every payload: all the fast way if they allow it, else each one as well as it can be read."""
        payloads: list[bytes | None] = raw[c.PAYLOAD].to_pylist()
        try:
            raw[c.PAYLOAD].cast(pa.string())  # validates UTF-8, also in the fields that typed decoding skips
            return self._read_typed(payloads)
        except (msgspec.MsgspecError, pa.ArrowInvalid, TypeError, RecursionError, ValueError):
            read = [
                self._explain(payload, size)
                for payload, size in zip(payloads, raw[c.PAYLOAD_BYTES].to_pylist(), strict=True)
            ]
        rejects.update({i: record for i, record in enumerate(read) if isinstance(record, RejectedRecordError)})
        empty = Fields("", 0, 0.0, None, None)
        kept = [empty if isinstance(record, RejectedRecordError) else record for record in read]
        return {name: [record[i] for record in kept] for i, name in enumerate(Fields._fields)}

    def _read_typed(self, payloads: Sequence[bytes | None]) -> dict[str, list[Any]]:
        """Read payloads that are all as they should be; raises one of the errors `_read` expects otherwise."""
        decode = self._reader.decode
        records = [decode(payload) for payload in payloads]  # type: ignore[arg-type]  # None raises TypeError
        found = {name: [get(record) for record in records] for name, get in self._reader.getters.items()}
        if any(UNSET in found[name] for name in ("sensor_id", "timestamp", "value")):
            raise ValueError("a required field is absent")
        if not np.abs(np.array(found["value"], np.float64)).max(initial=0.0) <= MAX_MAGNITUDE:
            raise ValueError("a reading is too large")
        for name in ("asset_id", "unit"):
            found[name] = [None if value is UNSET else value for value in found[name]]
        return found

    def _explain(self, payload: bytes | None, size: int | None) -> RejectedRecordError | Fields:
        if size is None:
            return RejectedRecordError("null_value", "the record has no value")
        if payload is None:  # whoever read it left it out for its size
            return RejectedRecordError("too_large", f"{size} bytes, records.max_bytes allows {self._spec.max_bytes}")
        return self._reader.explain(payload)

    def _check_event_time(
        self,
        stamps: Sequence[object],
        event_us: NDArray[np.int64],
        raw: Mapping[str, pa.Array],
        rejects: Rejects,
    ) -> None:
        kafka_us = raw[c.KAFKA_TIMESTAMP].cast(pa.int64()).to_numpy()
        wanted = self._spec.layout.timestamp_format
        for i in np.flatnonzero(event_us == UNPARSED_US).tolist():
            rejects.setdefault(i, RejectedRecordError("bad_timestamp", f"{stamps[i]!r:.60} is not {wanted}"))
        first, last = UNSET_CLOCK_US
        for i in np.flatnonzero((event_us >= first) & (event_us < last)).tolist():
            why = f"{stamps[i]!r:.60} is in 1970: another unit than {wanted}, or a clock that was never set"
            rejects.setdefault(i, RejectedRecordError("bad_timestamp", why))
        for i in np.flatnonzero(implausible_future(event_us, kafka_us, self._spec.future_bound_us)).tolist():
            ahead = (event_us[i] - kafka_us[i]) / 1e6
            rejects.setdefault(
                i, RejectedRecordError("future_event_time", f"{ahead:.0f} s ahead of its Kafka timestamp")
            )

    def _identities(
        self, fields: Mapping[str, list[Any]], raw: Mapping[str, pa.Array], rejects: Rejects
    ) -> list[Identity]:
        keys: list[bytes | None] = raw[c.KEY].to_pylist() if self._spec.asset.needs_key else [None] * len(raw[c.KEY])
        rows = zip(fields["sensor_id"], fields["asset_id"], raw[c.TOPIC].to_pylist(), keys, strict=True)
        name = self._identify
        identities = [
            name(sensor, own, topic, (key or b"").decode(errors="replace")) for sensor, own, topic, key in rows
        ]
        for i, identity in enumerate(identities):
            if identity.reason is not None:
                rejects.setdefault(i, RejectedRecordError(identity.reason, identity.detail))
        return identities

    def _admit_heartbeats(
        self, names: NDArray[np.int64], raw: Mapping[str, pa.Array], rejects: Rejects, event_us: NDArray[np.int64]
    ) -> set[int]:
        """Take records of the heartbeat topic for what they are; one that is not as it must be stays rejected."""
        topic = self._spec.heartbeat_topic
        beats: set[int] = set()
        if topic is None:
            return beats
        for row in np.flatnonzero(names == schema.topic_id(topic)).tolist():
            if raw[c.TOPIC][row].as_py() != topic:  # the codes of two names may be the same
                continue
            payload = raw[c.PAYLOAD][row].as_py() or b""
            if payload.isdigit() and len(payload) <= HEARTBEAT_DIGITS:
                rejects.pop(row, None)
                event_us[row] = int(payload)
                beats.add(row)
            else:
                rejects[row] = RejectedRecordError("bad_timestamp", f"{payload!r:.60} is no heartbeat")
        return beats

    def _out_of_range(
        self, identities: list[Identity], units: list[str | None], reading: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        if not self._spec.ranges:
            return np.zeros(len(reading), bool)
        pairs = zip(identities, units, strict=True)
        limits = np.array([self._range_of(who.asset_id, who.sensor_id, unit) for who, unit in pairs]).reshape(-1, 2)
        return (reading < limits[:, 0]) | (reading > limits[:, 1])
