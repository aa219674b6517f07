"""Read one JSON record: the fast typed way, and the patient way that says what is wrong with it.

Not here: what the fields mean (``event_time``, ``identity``) and batches of records (``decode``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from detector.pipeline.event_time import TimestampFormat

MAX_MAGNITUDE: Final = 1e150  # larger readings have no finite square, so a window of them has no deviation


class Fields(NamedTuple):
    """The fields of one record as they stand in it; None where an optional one is absent."""

    sensor_id: str | int
    timestamp: int | float | str
    value: float
    asset_id: str | int | None
    unit: str | None


class RejectedRecordError(ValueError):
    """A record that does not decode; carries the reject reason and what a person needs to mend it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class RecordLayout:
    """Where the fields stand in a record: paths of object keys from the outside in.

    Parameters
    ----------
    sensor_id, timestamp, value : tuple of str
        Required fields.
    asset_id, unit : tuple of str
        Optional fields.
    timestamp_format : str
        Decides whether the timestamp is a number or a text.
    """

    sensor_id: tuple[str, ...] = ("sensor_id",)
    timestamp: tuple[str, ...] = ("timestamp",)
    value: tuple[str, ...] = ("value",)
    asset_id: tuple[str, ...] = ("asset_id",)
    unit: tuple[str, ...] = ("unit",)
    timestamp_format: TimestampFormat = "epoch_ms"

    def __post_init__(self) -> None:
        """Refuse paths that cannot all be read from one record.

        Raises
        ------
        ValueError
            If two fields share a path, or one path lies inside another.
        """
        paths = [self.sensor_id, self.timestamp, self.value, self.asset_id, self.unit]
        for i, one in enumerate(paths):
            for other in paths[i + 1 :]:
                if one[: len(other)] == other[: len(one)]:
                    raise ValueError(f"the paths {_show(one)} and {_show(other)} overlap; each field needs its own")


class RecordReader:
    """Reads records of one layout.

    Parameters
    ----------
    layout : RecordLayout
        Where the fields stand.

    Attributes
    ----------
    decode : callable
        Typed decoder of one record (msgspec); raises `msgspec.MsgspecError` on any that does not fit.
    getters : dict of str to callable
        One getter a field for what `decode` returns; an absent field is `msgspec.UNSET`.
    """

    def __init__(self, layout: RecordLayout) -> None:
        stamp = str if layout.timestamp_format == "iso8601" else int | float
        self._types: dict[tuple[str, ...], tuple[str, Any]] = {
            layout.sensor_id: ("sensor_id", str | int | UnsetType),
            layout.timestamp: ("timestamp", stamp | UnsetType),
            layout.value: ("value", float | UnsetType),
            layout.asset_id: ("asset_id", str | int | None | UnsetType),
            layout.unit: ("unit", str | None | UnsetType),
        }
        leaves = {path: kind for path, (_, kind) in self._types.items()}
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(_struct(leaves)).decode
        self.getters: dict[str, Callable[[Any], Any]] = {
            name: attrgetter(".".join(_attributes(path))) for path, (name, _) in self._types.items()
        }

    def explain(self, payload: bytes) -> RejectedRecordError | Fields:
        """Read a record the typed way if it allows that, so that all ways agree on it, else patiently.

        Parameters
        ----------
        payload : bytes
            The record.

        Returns
        -------
        Fields or RejectedRecordError
            The error says why the record cannot be used: ``invalid_utf8``, ``bad_json``, ``not_an_object``,
            ``missing_field``, ``wrong_type`` or ``not_finite``.
        """
        try:
            return self._read_typed(payload)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            pass
        try:
            found = _parse(payload)
            values = {name: _field(found, path, name) for path, (name, _) in self._types.items()}
            for path, (name, kind) in self._types.items():
                _check(values[name], kind, path)
            return Fields(**values)
        except RejectedRecordError as error:
            return error

    def _read_typed(self, payload: bytes) -> Fields:
        payload.decode()  # validates UTF-8, also in the fields that typed decoding skips
        record = self.decode(payload)
        found = {name: get(record) for name, get in self.getters.items()}
        if UNSET in (found["sensor_id"], found["timestamp"], found["value"]):
            raise ValueError("a required field is absent")
        if abs(found["value"]) > MAX_MAGNITUDE:
            raise ValueError("the reading is too large")
        values: dict[str, Any] = {name: None if value is UNSET else value for name, value in found.items()}
        return Fields(**values)


def _attributes(path: tuple[str, ...]) -> list[str]:
    """Names of the struct attributes along a path; JSON keys may be anything, attributes may not."""
    return [f"f_{key.encode().hex()}" for key in path]


def _struct(types: dict[tuple[str, ...], Any], depth: int = 0) -> type[msgspec.Struct]:
    """Build the typed structure that has exactly the leaves of `types` and ignores all else."""
    fields: list[Any] = []
    for key in dict.fromkeys(path[depth] for path in types):
        (name,) = _attributes((key,))
        inside = {path: kind for path, kind in types.items() if path[depth] == key}
        if (leaf := next((kind for path, kind in inside.items() if len(path) == depth + 1), None)) is not None:
            fields.append((name, leaf, msgspec.field(default=UNSET, name=key)))
        else:
            nested = _struct(inside, depth + 1)
            fields.append((name, nested, msgspec.field(default_factory=nested, name=key)))
    return msgspec.defstruct("Record", fields, gc=False)


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise RejectedRecordError("invalid_utf8", f"byte {error.start}: {error.reason}") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RejectedRecordError("bad_json", str(error) or type(error).__name__) from None
    if not isinstance(found, dict):
        raise RejectedRecordError("not_an_object", f"the record is a JSON {type(found).__name__}")
    return found


def _field(found: Any, path: tuple[str, ...], name: str) -> Any:
    for depth, key in enumerate(path):
        if not isinstance(found, dict):
            raise RejectedRecordError("wrong_type", f"{_show(path[:depth])} is no object")
        found = found.get(key)
        if found is None:
            if name in ("asset_id", "unit"):
                return None
            raise RejectedRecordError("missing_field", f"{_show(path)} is absent or null")
    return found


def _check(value: Any, kind: Any, path: tuple[str, ...]) -> None:
    wanted = tuple(part for part in kind.__args__ if part is not UnsetType)
    if float in wanted and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            finite = math.isfinite(value) and abs(value) <= MAX_MAGNITUDE
        except OverflowError:
            finite = False
        if not finite:
            raise RejectedRecordError("not_finite", f"{_show(path)} is {str(value)[:40]}")
        return
    if isinstance(value, bool) or not isinstance(value, wanted):
        names = "|".join(part.__name__ for part in wanted if part is not type(None))
        raise RejectedRecordError("wrong_type", f"{_show(path)} is a {type(value).__name__}, not {names}")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise RejectedRecordError("invalid_utf8", f"{_show(path)} holds half of a surrogate pair")


def _show(path: tuple[str, ...]) -> str:
    return "$" + "".join(f".{key}" for key in path)
