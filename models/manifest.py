"""The manifest of a model: what it is, what it was made of, and digest and size of every part, as canonical JSON.

Sizes are checked against what the profile's members need, so that a manifest that lies has nothing read.

Not here: the parts' bytes (``artifact``), versions and aliases (``registry``), who published them (``signing``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from models.artifact import FORMAT_VERSION, ShardEntry, corrupt, nbytes, population_layout, shard_layout
from models.encoding import Json, canonical_json, sha256
from models.errors import ArtifactIncompatibleError
from models.features import WINDOW_FEATURES
from models.profile import ScoringProfile

# More than a file's header takes: some 30 arrays at 100 bytes each.
_HEADER_BYTES = 64 * 1024
# More than a sensor's key takes: two identifiers of 256 characters of at most 4 bytes.
_KEY_BYTES = 4096


@dataclass(frozen=True)
class Manifest:
    """What a model is, what it was made of, and how to check that its shards are the ones meant.

    Attributes
    ----------
    buckets : int
        Number of buckets that sensors hash to; a shard exists for buckets with trained sensors.
    window_seconds, slide_seconds : float
        Length and slide of the windows the model was trained on, > 0.
    profile : ScoringProfile
        How the model scores.
    training : mapping
        Plain JSON facts: topics, offset ranges, event-time range, configuration digest, seed, row counts.
    created_at : str
        Given by the caller; not part of the digest, so that training twice gives the same model.
    shards : mapping of int to ShardEntry
        By bucket.
    population : ShardEntry or None
        Of the population's model, if there is one.
    feature_names, feature_digest : tuple of str, str
        Of the feature spec that it was trained on.
    format_version : int
    """

    buckets: int
    window_seconds: float
    slide_seconds: float
    profile: ScoringProfile
    training: Mapping[str, Any]
    created_at: str
    shards: Mapping[int, ShardEntry] = field(default_factory=dict)
    population: ShardEntry | None = None
    feature_names: tuple[str, ...] = WINDOW_FEATURES.names
    feature_digest: str = WINDOW_FEATURES.digest()
    format_version: int = FORMAT_VERSION

    @property
    def digest(self) -> str:
        """SHA-256 of everything but `created_at`: the identity of the model."""
        return sha256(canonical_json(self._content()))

    def with_shards(self, shards: Mapping[int, ShardEntry], population: ShardEntry | None = None) -> Manifest:
        """Return the manifest with its files known."""
        return replace(self, shards=dict(shards), population=population)

    def to_bytes(self) -> bytes:
        """Return the manifest as indented JSON with its own digest."""
        whole = {**self._content(), "created_at": self.created_at, "digest": self.digest}
        return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def _content(self) -> Json:
        return {
            "format_version": self.format_version,
            "features": {"names": list(self.feature_names), "digest": self.feature_digest},
            "buckets": self.buckets,
            "window_seconds": self.window_seconds,
            "slide_seconds": self.slide_seconds,
            "profile": self.profile.to_json(),
            # Once through JSON: number keys (partitions) would sort as numbers here and as text once read back.
            "training": json.loads(canonical_json(dict(self.training))),
            "shards": {str(bucket): vars(self.shards[bucket]) for bucket in sorted(self.shards)},
            "population": vars(self.population) if self.population else None,
        }

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Manifest:
        """Undo `to_bytes`.

        Parameters
        ----------
        data : bytes
        where : str
            Name of the file, for messages.

        Raises
        ------
        ArtifactCorruptError
            If it is no manifest, or its digest does not match its content.
        ArtifactIncompatibleError
            If it is of another format, feature spec or set of members than this program serves.
        """
        try:
            value = json.loads(data)
            version, features = value["format_version"], value["features"]["digest"]
            content = {key: value[key] for key in value if key not in ("created_at", "digest")}
            intact = sha256(canonical_json(content)) == value["digest"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise corrupt(where, f"no manifest ({type(error).__name__}: {error})") from error
        if not intact:
            raise corrupt(where, "the digest does not match the content")
        if version != FORMAT_VERSION or features != WINDOW_FEATURES.digest():
            raise ArtifactIncompatibleError(
                f"{where}: format {version} with features {str(features)[:8]}, this program serves format "
                f"{FORMAT_VERSION} with features {WINDOW_FEATURES.digest()[:8]}; train a new version"
            )
        try:
            manifest = cls._from_json(value)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise corrupt(where, f"{type(error).__name__}: {error}") from error
        except ValueError as error:
            raise ArtifactIncompatibleError(f"{where}: {error}; train a new version") from error
        _require_sizes(manifest, where)
        return manifest

    @classmethod
    def _from_json(cls, value: Json) -> Manifest:
        return cls(
            buckets=int(value["buckets"]),
            window_seconds=float(value["window_seconds"]),
            slide_seconds=float(value["slide_seconds"]),
            profile=ScoringProfile.from_json(value["profile"]),
            training=dict(value["training"].items()),
            created_at=str(value["created_at"]),
            shards={int(bucket): ShardEntry(**entry) for bucket, entry in value["shards"].items()},
            population=ShardEntry(**value["population"]) if value["population"] else None,
        )


def _require_sizes(manifest: Manifest, where: str) -> None:
    """Refuse parts of sizes that the members cannot have: nothing of such a size is to be read."""
    rows = shard_layout(manifest.profile, sensors=1)
    each = sum(nbytes(layout) for name, layout in rows.items() if name != "text")
    for bucket, entry in manifest.shards.items():
        spare = entry.bytes - entry.sensors * each
        if not 0 <= bucket < manifest.buckets or not 0 < spare <= _HEADER_BYTES + entry.sensors * _KEY_BYTES:
            raise corrupt(where, f"bucket {bucket} cannot have {entry.sensors} sensors in {entry.bytes} bytes")
    if manifest.population is not None:
        spare = manifest.population.bytes - sum(map(nbytes, population_layout().values()))
        if not 0 < spare <= _HEADER_BYTES:
            raise corrupt(where, f"the population's model cannot have {manifest.population.bytes} bytes")
