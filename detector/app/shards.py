"""Model shards for the workers: loaded from the registry where they are used, once per process and version.

Not here: which version runs (``stream``). The registry's directory must be readable on every executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from models.ensemble import ModelShard
from models.registry import Registry

CACHED_SHARDS: Final = 256  # of one worker process; 256 shards of 4,000 sensors at 512 B are 0.5 GB


@dataclass(frozen=True)
class ShardLoader:
    """Gives the model of a bucket; picklable, so it travels to the workers.

    Parameters
    ----------
    registry : str
        Directory of the registry.
    version : str
        Which model.
    """

    registry: str
    version: str

    def __call__(self, bucket: int) -> ModelShard | None:
        """Return the model of a bucket, None where it has none."""
        return _load(self.registry, self.version, bucket)


@lru_cache(maxsize=CACHED_SHARDS)
def _load(registry: str, version: str, bucket: int) -> ModelShard | None:
    return Registry(Path(registry)).load_shard(version, bucket)
