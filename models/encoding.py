"""The two byte forms in which everything is stored: canonical JSON and tagged tensors.

Both are data only (nothing that is read can run code) and canonical: equal content gives equal
bytes, so a digest names the content.

Not here: what the bytes mean (``state``, ``artifact``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.errors import ArtifactCorruptError, ArtifactIncompatibleError

Json: TypeAlias = dict[str, Any]
Array: TypeAlias = NDArray[Any]
# Dtypes and shapes of named arrays.
Layout: TypeAlias = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]

# The one metadata key. safetensors writes metadata in no fixed order, so a second key would cost canonicity.
_TAG = "tidemark"
# Bytes of the little-endian header length that opens a safetensors file (format description, "Format").
_LENGTH_BYTES = 8
# Names of the format (format description, "Format") for the dtypes that are stored.
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


def canonical_json(value: object) -> bytes:
    """Encode JSON with sorted keys and no white space; NaN and infinity are refused with ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def encode_strings(values: NDArray[np.object_]) -> dict[str, Array]:
    """Turn strings into ``{"text": (bytes,) uint8, "ends": (n,) int64}``, UTF-8 laid end to end."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([len(item) for item in encoded], dtype=np.int64)
    return {"text": np.frombuffer(b"".join(encoded), np.uint8), "ends": ends}


def decode_strings(text: Array, ends: Array, where: str) -> NDArray[np.object_]:
    """Undo `encode_strings`.

    Raises
    ------
    ArtifactCorruptError
        If the ends do not partition the text, or it is not UTF-8.
    """
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends
    if (ends < starts).any() or (int(ends[-1]) if len(ends) else 0) != len(text):
        raise ArtifactCorruptError(f"{where}: the sensor keys do not add up; restore the file from its source")
    data = text.tobytes()
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    out = np.empty(len(ends), object)
    try:
        out[:] = [data[start:end].decode() for start, end in spans]
    except UnicodeDecodeError as error:
        raise ArtifactCorruptError(f"{where}: a sensor key is not UTF-8; restore the file from its source") from error
    return out


def pack(kind: str, version: int, attributes: Json, arrays: Mapping[str, Array]) -> bytes:
    """Write arrays with a tag that says what they are.

    Parameters
    ----------
    kind : str
        What the bytes are, for example ``"state"``.
    version : int
        Version of the layout of this kind.
    attributes : dict
        Plain JSON that `unpack` gives back.
    arrays : mapping of str to ndarray
        Any shapes; numeric or boolean dtypes.
    """
    tag = canonical_json({"kind": kind, "version": version, "attributes": attributes}).decode()
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return bytes(save(tensors, metadata={_TAG: tag}))


def unpack(data: bytes, kind: str, version: int, where: str) -> tuple[Json, dict[str, Array]]:
    """Read what `pack` wrote.

    Parameters
    ----------
    data : bytes
        The whole file.
    kind, version : str, int
        What the reader can use; anything else is refused.
    where : str
        Name of the file or place, for messages.

    Returns
    -------
    attributes : dict
    arrays : dict of str to ndarray
        Read-only views of `data`.

    Raises
    ------
    ArtifactCorruptError
        If the bytes are truncated, altered or no tagged tensors at all.
    ArtifactIncompatibleError
        If they are another kind or version.
    """
    tag = _read_tag(data, where)
    if (tag.get("kind"), tag.get("version")) != (kind, version):
        raise ArtifactIncompatibleError(
            f"{where}: holds {tag.get('kind')} version {tag.get('version')}, this program reads {kind} version "
            f"{version}; use the program that wrote it, or write it anew with this one"
        )
    try:
        arrays = load(data)
    except (SafetensorError, ValueError) as error:
        raise ArtifactCorruptError(f"{where}: {error}; restore the file from its source") from error
    return tag["attributes"], arrays


def layout_of(data: bytes, where: str) -> Layout:
    """Return what the header of packed bytes promises, without making an array; errors as `unpack`.

    Parameters
    ----------
    data : bytes
        What `pack` wrote, or claims to be.
    where : str
        Name of the file or place, for messages.
    """
    header = _read_header(data, where)
    try:
        return {
            name: (np.dtype(_DTYPES[entry["dtype"]]), tuple(int(length) for length in entry["shape"]))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError) as error:
        raise _no_file(where, error) from error


def _read_tag(data: bytes, where: str) -> Json:
    header = _read_header(data, where)
    try:
        tag = json.loads(header["__metadata__"][_TAG])
        if not isinstance(tag["attributes"], dict):
            raise TypeError("the attributes are no mapping")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_file(where, error) from error
    return dict(tag)


def _read_header(data: bytes, where: str) -> Json:
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    try:
        if length > len(data) - _LENGTH_BYTES:
            raise ValueError(f"{len(data)} bytes are too few")
        return dict(json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length]))
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_file(where, error) from error


def _no_file(where: str, error: Exception) -> ArtifactCorruptError:
    return ArtifactCorruptError(
        f"{where}: is not a file of Tidemark or is truncated ({type(error).__name__}: {error}); "
        "restore it from its source"
    )


def check_arrays(arrays: Mapping[str, Array], expected: Layout, where: str) -> None:
    """Compare arrays with what the reader needs; errors as `check_layout`."""
    check_layout({name: (array.dtype, array.shape) for name, array in arrays.items()}, expected, where)


def check_layout(found: Layout, expected: Layout, where: str) -> None:
    """Compare names, dtypes and shapes with what the reader needs.

    Raises
    ------
    ArtifactCorruptError
        Naming the first array that differs.
    """
    if set(found) != set(expected):
        differing = ", ".join(sorted(set(found) ^ set(expected)))
        raise ArtifactCorruptError(f"{where}: lacks or adds {differing}; restore the file from its source")
    for name, (dtype, shape) in expected.items():
        if found[name] != (dtype, shape):
            other_dtype, other_shape = found[name]
            raise ArtifactCorruptError(
                f"{where}: {name} is {other_dtype}{other_shape}, expected {dtype}{shape}; restore the file"
            )
