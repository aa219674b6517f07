from __future__ import annotations

import numpy as np
import pytest

from models.encoding import canonical_json, decode_strings, encode_strings, pack, unpack
from models.errors import ArtifactCorruptError, ArtifactIncompatibleError

ARRAYS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.empty((0, 4)), "c": np.array([1], np.int64)}


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": [1.5, "µ"]}) == canonical_json({"a": [1.5, "µ"], "b": 1})


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})


def test_packed_arrays_come_back_with_their_attributes() -> None:
    attributes, arrays = unpack(pack("thing", 3, {"n": 2}, ARRAYS), "thing", 3, "here")

    assert attributes == {"n": 2}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_packing_does_not_depend_on_the_order_of_arrays() -> None:
    assert pack("thing", 1, {}, ARRAYS) == pack("thing", 1, {}, dict(reversed(ARRAYS.items())))


@pytest.mark.parametrize(("kind", "version"), [("other", 1), ("thing", 2)])
def test_another_kind_or_version_is_incompatible(kind: str, version: int) -> None:
    with pytest.raises(ArtifactIncompatibleError, match="here: holds thing version 1"):
        unpack(pack("thing", 1, {}, ARRAYS), kind, version, "here")


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x80\x04pickle",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"{}",
        (2**63 - 1).to_bytes(8, "little") + b"{}",
        pack("thing", 1, {}, ARRAYS)[:-1],
        pack("thing", 1, {}, ARRAYS) + b"x",
        pack("thing", 1, {}, ARRAYS).replace(b'"__metadata__"', b'"--metadata--"'),
    ],
)
def test_damaged_bytes_are_corrupt(damaged: bytes) -> None:
    with pytest.raises(ArtifactCorruptError, match="here"):
        unpack(damaged, "thing", 1, "here")


def test_strings_come_back_with_any_characters() -> None:
    values = np.array(["", "pump-3\x1ftemp", "Prüfstand µ", "\x00", "温度"], object)

    assert decode_strings(**encode_strings(values), where="here").tolist() == values.tolist()


@pytest.mark.parametrize(
    ("text", "ends"),
    [(b"ab", [1]), (b"ab", [2, 1]), (b"ab", []), (b"ab", [-1, 2]), (b"\xff\xfe", [2])],
)
def test_strings_that_do_not_add_up_are_corrupt(text: bytes, ends: list[int]) -> None:
    with pytest.raises(ArtifactCorruptError, match="sensor key"):
        decode_strings(np.frombuffer(text, np.uint8), np.array(ends, np.int64), "here")
