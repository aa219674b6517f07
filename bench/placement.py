"""Which bucket a sensor is in: Spark's ``pmod(xxhash64(asset_id), buckets)`` over arrays, without a JVM.

Not here: what a bucket is for (``detector.pipeline.scoring``, which asks Spark itself).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SPARK_SEED: Final = 42  # of Spark's xxhash64
STRIPE: Final = 32  # bytes from which XXH64 works on four lanes; ids of the load are shorter

# The primes of XXH64 (Collet, "xxHash fast digest algorithm", specification 0.1.1, section "XXH64").
_PRIMES: Final = tuple(
    np.uint64(prime)
    for prime in (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
)
_Words = NDArray[np.uint64]


def buckets_of(ids: NDArray[np.object_], buckets: int) -> NDArray[np.int64]:
    """Return the bucket of each asset id, shape (n,).

    Parameters
    ----------
    ids : ndarray of object, shape (n,)
        ASCII, all of one length below `STRIPE`.
    buckets : int
        A power of two.
    """
    data = np.frombuffer("".join(ids.tolist()).encode("ascii"), np.uint8).reshape(len(ids), -1)
    if data.shape[1] >= STRIPE:
        raise ValueError(f"ids of {data.shape[1]} bytes; only ids below {STRIPE} are placed, shorten them")
    return (xxhash64(data) % np.uint64(buckets)).astype(np.int64)


def xxhash64(data: NDArray[np.uint8]) -> _Words:
    """Return the XXH64 of each row of `data`, shape (n, length) -> (n,), for rows shorter than a stripe."""
    prime1, prime2, prime3, prime4, prime5 = _PRIMES
    rows, length = data.shape
    total = np.full(rows, np.uint64(SPARK_SEED) + prime5 + np.uint64(length), np.uint64)
    words, half = length // 8, length // 8 * 8
    for word in np.ascontiguousarray(data[:, :half]).view("<u8").reshape(rows, words).T:
        lane = _rotate(word * prime2, 31) * prime1
        total = _rotate(total ^ lane, 27) * prime1 + prime4
    if length - half >= 4:  # noqa: PLR2004 - a half word
        lane = np.ascontiguousarray(data[:, half : half + 4]).view("<u4").reshape(rows).astype(np.uint64)
        total = _rotate(total ^ (lane * prime1), 23) * prime2 + prime3
        half += 4
    for byte in data[:, half:].T.astype(np.uint64):
        total = _rotate(total ^ (byte * prime5), 11) * prime1
    for shift, factor in ((33, prime2), (29, prime3)):
        total = (total ^ (total >> np.uint64(shift))) * factor
    mixed: _Words = total ^ (total >> np.uint64(32))
    return mixed


def _rotate(word: _Words, bits: int) -> _Words:
    rotated: _Words = (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))
    return rotated
