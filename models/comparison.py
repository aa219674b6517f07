"""What differs between two models: what they were made with, which sensors they know, how far their parameters moved.

Not here: reading them (``registry``), what is printed (``detector.cli``).
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.ensemble import ModelShard
from models.features import FloatArray, KeyArray
from models.manifest import Manifest

LISTED: Final = 10  # sensors that moved most, which are named

LoadShard = Callable[[int], ModelShard | None]


@dataclass(frozen=True)
class Drift:
    """How far one parameter of a member moved, over the sensors that both models know.

    A move is ``2 |b - a| / (|a| + |b|)``, with Euclidean norms over a sensor's values: 0 is none, 2 the greatest.

    Attributes
    ----------
    name : str
        Member and parameter.
    sensors : int
        Those that have it in both models.
    median, most : float
        Move of the median sensor, and what 95 % of the sensors do not exceed; 0 without any.
    gained, lost : int
        Sensors that have it only in the second model, only in the first: elsewhere it could not be fitted.
    """

    name: str
    sensors: int
    median: float
    most: float
    gained: int
    lost: int


@dataclass(frozen=True)
class Comparison:
    """What differs between a first model and a second.

    Attributes
    ----------
    facts : mapping of str to (object, object)
        What the manifests say otherwise, by dotted path; None where one says nothing. Not the digests of parts.
    common : int
        Sensors that both models know.
    gained, lost : tuple of str
        Keys of sensors that only the second model knows, only the first.
    drift : tuple of Drift
        Of every parameter that both models have.
    moved : tuple of (str, float)
        Keys of the `LISTED` sensors that moved most, with the largest move of any of their parameters.
    """

    facts: Mapping[str, tuple[Any, Any]]
    common: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    drift: tuple[Drift, ...]
    moved: tuple[tuple[str, float], ...]


def compare(first: Manifest, load_first: LoadShard, second: Manifest, load_second: LoadShard) -> Comparison:
    """Compare two models, bucket by bucket where both have the same buckets.

    Parameters
    ----------
    first, second : Manifest
    load_first, load_second : callable
        Give the model of a bucket, None where there is none.
    """
    tallies: dict[str, _Tally] = {}
    gained: list[str] = []
    lost: list[str] = []
    moved: list[tuple[str, float]] = []
    common = 0
    for a, b in _pairs(first, load_first, second, load_second):
        keys, rows_a, rows_b = np.intersect1d(a.keys, b.keys, assume_unique=True, return_indices=True)
        gained += np.setdiff1d(b.keys, keys, assume_unique=True).tolist()
        lost += np.setdiff1d(a.keys, keys, assume_unique=True).tolist()
        common += len(keys)
        worst = np.zeros(len(keys))
        for name in sorted(a.arrays.keys() & b.arrays.keys()):
            one, other = a.arrays[name][rows_a], b.arrays[name][rows_b]
            if one.shape == other.shape:
                move = tallies.setdefault(name, _Tally()).add(_flat(one), _flat(other))
                worst = np.fmax(worst, move)
        moved = _largest([*moved, *zip(keys.tolist(), worst.tolist(), strict=True)])
    return Comparison(
        facts=_differences(_facts(first), _facts(second)),
        common=common,
        gained=tuple(sorted(gained)),
        lost=tuple(sorted(lost)),
        drift=tuple(tally.drift(name) for name, tally in sorted(tallies.items())),
        moved=tuple(moved),
    )


@dataclass(frozen=True)
class _Part:
    """Some sensors of a model, and their parameters by member and name."""

    keys: KeyArray
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, shard: ModelShard | None) -> _Part:
        if shard is None:
            return cls(np.empty(0, object), {})
        members = shard.parameters.items()
        return cls(shard.keys, {f"{member}.{name}": array for member, own in members for name, array in own.items()})

    @classmethod
    def joined(cls, parts: list[_Part]) -> _Part:
        names = parts[0].arrays if parts else ()
        keys = np.concatenate([np.empty(0, object), *(part.keys for part in parts)])
        return cls(keys, {name: np.concatenate([part.arrays[name] for part in parts]) for name in names})


@dataclass
class _Tally:
    """What is known of one parameter so far."""

    moves: list[NDArray[np.float32]] = field(default_factory=list)
    gained: int = 0
    lost: int = 0

    def add(self, one: FloatArray, other: FloatArray) -> FloatArray:
        """Take the values (n, K) of n sensors; returns their moves, NaN where one model has none."""
        has_one, has_other = (np.isfinite(values).all(axis=1) for values in (one, other))
        self.gained += int((has_other & ~has_one).sum())
        self.lost += int((has_one & ~has_other).sum())
        size = np.linalg.norm(one, axis=1) + np.linalg.norm(other, axis=1)
        move = 2 * np.linalg.norm(other - one, axis=1) / np.where(size > 0, size, 1.0)
        self.moves.append(move[has_one & has_other].astype(np.float32))
        return np.where(has_one & has_other, move, np.nan)

    def drift(self, name: str) -> Drift:
        moves = np.concatenate(self.moves)
        median, most = np.quantile(moves, (0.5, 0.95)).tolist() if len(moves) else (0.0, 0.0)
        return Drift(name, len(moves), median, most, self.gained, self.lost)


def _pairs(
    first: Manifest, load_first: LoadShard, second: Manifest, load_second: LoadShard
) -> Iterator[tuple[_Part, _Part]]:
    """Give parts of both models that hold the same sensors; all at once where the buckets differ."""
    if first.buckets == second.buckets:
        for bucket in sorted({*first.shards, *second.shards}):
            yield _Part.of(load_first(bucket)), _Part.of(load_second(bucket))
        return
    wholes = (
        _Part.joined([_Part.of(load(bucket)) for bucket in sorted(manifest.shards)])
        for manifest, load in ((first, load_first), (second, load_second))
    )
    yield next(wholes), next(wholes)


def _flat(values: NDArray[Any]) -> FloatArray:
    return values.reshape(len(values), -1).astype(np.float64)


def _largest(moved: list[tuple[str, float]]) -> list[tuple[str, float]]:
    return heapq.nsmallest(LISTED, ((key, move) for key, move in moved if move > 0), key=lambda it: (-it[1], it[0]))


def _facts(manifest: Manifest) -> dict[str, Any]:
    """Return what a manifest says besides its parts, by dotted path."""
    whole = json.loads(manifest.to_bytes())
    kept = {key: value for key, value in whole.items() if key not in ("shards", "population", "digest", "created_at")}
    return dict(_leaves(kept, ""))


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, below in value.items():
        if isinstance(below, dict):
            yield from _leaves(below, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", below


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted(first.keys() | second.keys())
    return {name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)}
