"""A model for the workers: loaded from the registry where it is used, each part once per process and version.

Not here: which version runs (``stream``). The registry must be readable on every executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from models.ensemble import ModelShard
from models.population import Population
from models.registry import Registry

CACHED_SHARDS: Final = 256  # of one worker process; 256 shards of 4,000 sensors at 512 B are 0.5 GB


@dataclass(frozen=True)
class ModelLoader:
    """Gives the parts of a model; picklable, so it travels to the workers.

    Parameters
    ----------
    registry : str
        Directory of the registry, or its address.
    version, digest : str
        Which model: what is loaded must be what the driver has verified, so no signature is looked at again.
    """

    registry: str
    version: str
    digest: str

    def shard(self, bucket: int) -> ModelShard | None:
        """Return the model of a bucket, None where it has none."""
        return _shard(self, bucket)

    def population(self) -> Population | None:
        """Return the model of sensors without one of their own, None where the version has none."""
        return _population(self)


@lru_cache(maxsize=CACHED_SHARDS)
def _shard(model: ModelLoader, bucket: int) -> ModelShard | None:
    return Registry(model.registry).load_shard(model.version, bucket, model.digest)


@lru_cache(maxsize=1)
def _population(model: ModelLoader) -> Population | None:
    return Registry(model.registry).load_population(model.version, model.digest)
