"""A model for many sensors from the really trained model of few: sensor i gets the parameters of sensor i modulo few.

The load's sensors behave alike under the same modulus (`bench.load.Load.levels`), so the parameters fit, and
scoring costs what it costs for a model that was trained on all of them.

Not here: training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bench.feed import sensor_ids
from bench.load import IntArray
from bench.placement import buckets_of
from detector.pipeline.schema import KEY_SEPARATOR
from models.artifact import shard_to_bytes
from models.base import select_rows
from models.calibration import TailModel
from models.ensemble import ModelShard
from models.manifest import Manifest
from models.registry import Registry


@dataclass(frozen=True)
class Tiling:
    """Which sensors the tiled model is for.

    Attributes
    ----------
    sensors : int
        How many.
    buckets : int
        Buckets of the deployment, a power of two.
    """

    sensors: int
    buckets: int


def tile(source: Registry, version: str, target: Registry, tiling: Tiling) -> str:
    """Publish a tiled model as champion of another registry and return its version.

    Raises
    ------
    ValueError
        If the trained sensors are not those of a load, numbered from 0.
    """
    manifest = source.manifest(version)
    pool = _merged(source, version, manifest)
    training = {**manifest.training, "tiled_from": manifest.digest, "sensors": tiling.sensors}
    draft = replace(manifest, buckets=tiling.buckets, training=training)
    published = target.publish(draft, _shards(pool, manifest, tiling))
    target.set_alias("champion", published)
    return published


def _merged(registry: Registry, version: str, manifest: Manifest) -> ModelShard:
    """Return all shards as one, in the order of the sensors' numbers."""
    shards = [shard for bucket in manifest.shards if (shard := registry.load_shard(version, bucket)) is not None]
    keys = np.concatenate([shard.keys for shard in shards])
    order = np.argsort(keys)
    if keys[order].tolist() != _keys(np.arange(len(keys))).tolist():
        raise ValueError(f"model {version} is not for sensors 0 to {len(keys) - 1} of a load; train it on one")

    def joined(tails: list[TailModel]) -> TailModel:
        arrays = [tail.arrays() for tail in tails]
        return TailModel.from_arrays({name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]}).rows(
            order
        )

    members = manifest.profile.members
    return ModelShard(
        keys[order],
        {
            name: {
                part: np.concatenate([shard.parameters[name][part] for shard in shards])[order]
                for part in shards[0].parameters[name]
            }
            for name in members
        },
        {name: joined([shard.calibrations[name] for shard in shards]) for name in members},
        joined([shard.combined for shard in shards]),
    )


def _shards(pool: ModelShard, manifest: Manifest, tiling: Tiling) -> Iterator[tuple[int, bytes]]:
    numbers = np.arange(tiling.sensors)
    bucket = buckets_of(sensor_ids(numbers), tiling.buckets)
    for wanted in np.unique(bucket).tolist():
        own = numbers[bucket == wanted]
        rows = own % len(pool)
        shard = ModelShard(
            _keys(own),
            {name: select_rows(parameters, rows) for name, parameters in pool.parameters.items()},
            {name: tail.rows(rows) for name, tail in pool.calibrations.items()},
            pool.combined.rows(rows),
        )
        yield wanted, shard_to_bytes(shard, manifest.profile)


def _keys(numbers: IntArray) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Return the models' keys of sensors: the default asset is the sensor itself."""
    return np.array([f"{name}{KEY_SEPARATOR}{name}" for name in sensor_ids(numbers)], object)
