"""A model for the workers: loaded from the registry where it is used, each part once per process and version.

Not here: which version runs (``stream``). The registry's directory must be readable on every executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
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
        Directory of the registry.
    version : str
        Which model.
    """

    registry: str
    version: str

    def shard(self, bucket: int) -> ModelShard | None:
        """Return the model of a bucket, None where it has none."""
        return _shard(self.registry, self.version, bucket)

    def population(self) -> Population | None:
        """Return the model of sensors without one of their own, None where the version has none."""
        return _population(self.registry, self.version)


@lru_cache(maxsize=CACHED_SHARDS)
def _shard(registry: str, version: str, bucket: int) -> ModelShard | None:
    return Registry(Path(registry)).load_shard(version, bucket)


@lru_cache(maxsize=1)
def _population(registry: str, version: str) -> Population | None:
    return Registry(Path(registry)).load_population(version)
