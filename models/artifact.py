"""The stored form of a model: one manifest and one data-only shard per bucket, each named by its digest.

A shard is tagged tensors, a manifest canonical JSON; nothing that is read can run code.

Not here: directories, versions and aliases (``registry``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.base import Parameters, ParameterSpec
from models.calibration import SPECS, TailModel
from models.detectors.isolation_forest import FOREST_SPECS, IsolationForest
from models.encoding import Json, canonical_json, check_arrays, decode_strings, encode_strings, pack, sha256, unpack
from models.ensemble import ModelShard
from models.errors import ArtifactCorruptError, ArtifactIncompatibleError
from models.features import WINDOW_FEATURES
from models.population import RELATIVE, TAILS, Population, PopulationMembers
from models.profile import ScoringProfile

# Raised when a manifest or shard of before cannot be read as one of now.
FORMAT_VERSION = 2  # 2: the population's model

_KIND, _POPULATION = "shard", "population"
_COMBINED = "combined"


@dataclass(frozen=True)
class ShardEntry:
    """What the manifest knows of one shard: digest of its bytes, number of sensors, size in bytes.

    The population's model has an entry too; it is of no sensor.
    """

    sha256: str
    sensors: int
    bytes: int


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
            raise _corrupt(where, f"no manifest ({type(error).__name__}: {error})") from error
        if not intact:
            raise _corrupt(where, "the digest does not match the content")
        if version != FORMAT_VERSION or features != WINDOW_FEATURES.digest():
            raise ArtifactIncompatibleError(
                f"{where}: format {version} with features {str(features)[:8]}, this program serves format "
                f"{FORMAT_VERSION} with features {WINDOW_FEATURES.digest()[:8]}; train a new version"
            )
        try:
            return cls._from_json(value)
        except (KeyError, TypeError, AttributeError) as error:
            raise _corrupt(where, f"{type(error).__name__}: {error}") from error
        except ValueError as error:
            raise ArtifactIncompatibleError(f"{where}: {error}; train a new version") from error

    @classmethod
    def _from_json(cls, value: Json) -> Manifest:
        return cls(
            buckets=value["buckets"],
            window_seconds=value["window_seconds"],
            slide_seconds=value["slide_seconds"],
            profile=ScoringProfile.from_json(value["profile"]),
            training=value["training"],
            created_at=value["created_at"],
            shards={int(bucket): ShardEntry(**entry) for bucket, entry in value["shards"].items()},
            population=ShardEntry(**value["population"]) if value["population"] else None,
        )


def describe_shard(data: bytes, where: str) -> ShardEntry:
    """Return the manifest's entry for the bytes of a shard; errors as `shard_from_bytes`."""
    attributes, _ = unpack(data, _KIND, FORMAT_VERSION, where)
    return ShardEntry(sha256(data), int(attributes.get("sensors", 0)), len(data))


def describe_population(data: bytes, where: str) -> ShardEntry:
    """Return the manifest's entry for the bytes of a population's model; errors as `population_from_bytes`."""
    unpack(data, _POPULATION, FORMAT_VERSION, where)
    return ShardEntry(sha256(data), 0, len(data))


def shard_to_bytes(shard: ModelShard, profile: ScoringProfile) -> bytes:
    """Return the canonical bytes of a shard; equal models give equal bytes."""
    arrays = encode_strings(shard.keys)
    for name in profile.members:
        arrays |= {f"{name}/{part}": values for part, values in shard.parameters[name].items()}
        arrays |= {f"{name}/tail/{part}": values for part, values in shard.calibrations[name].arrays().items()}
    arrays |= {f"{_COMBINED}/tail/{part}": values for part, values in shard.combined.arrays().items()}
    return pack(_KIND, FORMAT_VERSION, {"sensors": len(shard)}, arrays)


def shard_from_bytes(data: bytes, entry: ShardEntry, profile: ScoringProfile, where: str) -> ModelShard:
    """Undo `shard_to_bytes` after checking size, digest, names, dtypes and shapes.

    Parameters
    ----------
    data : bytes
        The whole file.
    entry : ShardEntry
        What the manifest promises.
    profile : ScoringProfile
        Of the manifest: it says which members the shard must hold.
    where : str
        Name of the file, for messages.

    Raises
    ------
    ArtifactCorruptError
        If the bytes are not those that the manifest names.
    ArtifactIncompatibleError
        If they are of another format.
    """
    _require_intact(data, entry, where)
    _, arrays = unpack(data, _KIND, FORMAT_VERSION, where)
    text = arrays["text"].size if "text" in arrays else 0
    expected: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
        "text": (np.dtype(np.uint8), (text,)),
        "ends": (np.dtype(np.int64), (entry.sensors,)),
    }
    tails: dict[str, ParameterSpec] = {f"tail/{part}": spec for part, spec in SPECS.items()}
    wanted = {detector.name: {**detector.parameters, **tails} for detector in profile.detectors}
    for name, specs in {**wanted, _COMBINED: tails}.items():
        expected |= {f"{name}/{part}": (s.dtype, (entry.sensors, *s.shape)) for part, s in specs.items()}
    check_arrays(arrays, expected, where)
    parameters: dict[str, Parameters] = {
        detector.name: {part: arrays[f"{detector.name}/{part}"] for part in detector.parameters}
        for detector in profile.detectors
    }

    def tail(name: str) -> TailModel:
        return TailModel.from_arrays({part: arrays[f"{name}/tail/{part}"] for part in SPECS})

    return ModelShard(
        keys=decode_strings(arrays["text"], arrays["ends"], where),
        parameters=parameters,
        calibrations={name: tail(name) for name in profile.members},
        combined=tail(_COMBINED),
    )


def population_to_bytes(population: Population) -> bytes:
    """Return the canonical bytes of a population's model; equal models give equal bytes."""
    members = population.members
    arrays = {
        **{f"forest/{part}": values for part, values in vars(members.forest).items()},
        **{f"tail/{part}": values for part, values in population.tails.arrays().items()},
        "usual": members.usual,
        "width": members.width,
    }
    return pack(_POPULATION, FORMAT_VERSION, {}, arrays)


def population_from_bytes(data: bytes, entry: ShardEntry, where: str) -> Population:
    """Undo `population_to_bytes` after checking size, digest, names, dtypes, shapes and the trees' ways.

    Raises
    ------
    ArtifactCorruptError
        If the bytes are not those that the manifest names.
    ArtifactIncompatibleError
        If they are of another format.
    """
    _require_intact(data, entry, where)
    _, arrays = unpack(data, _POPULATION, FORMAT_VERSION, where)
    columns = (np.dtype(np.float64), (len(RELATIVE),))
    check_arrays(
        arrays,
        {
            **{f"forest/{part}": (spec.dtype, spec.shape) for part, spec in FOREST_SPECS.items()},
            **{f"tail/{part}": (spec.dtype, (TAILS, *spec.shape)) for part, spec in SPECS.items()},
            "usual": columns,
            "width": columns,
        },
        where,
    )
    forest = IsolationForest(**{part: arrays[f"forest/{part}"] for part in FOREST_SPECS})
    if not forest.is_sound(len(RELATIVE)):
        raise _corrupt(where, "a tree leads out of its nodes or columns")
    tails = TailModel.from_arrays({part: arrays[f"tail/{part}"] for part in SPECS})
    return Population(PopulationMembers(forest, arrays["usual"], arrays["width"]), tails)


def _require_intact(data: bytes, entry: ShardEntry, where: str) -> None:
    if len(data) != entry.bytes:
        raise _corrupt(where, f"{len(data)} bytes where the manifest names {entry.bytes}")
    if sha256(data) != entry.sha256:
        raise _corrupt(where, f"the digest is not {entry.sha256[:8]} as in the manifest")


def _corrupt(where: str, problem: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(f"{where}: {problem}; restore the file from its source, or publish the model again")
