"""The stored form of a model's parts: data-only bytes of a shard or of the population's model, named by their digest.

They are tagged tensors; nothing that is read can run code. Names, dtypes and shapes are checked before an array is made
of them.

Not here: what ties the parts together (``manifest``), versions and aliases (``registry``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.base import Parameters, ParameterSpec
from models.calibration import SPECS, TailModel
from models.detectors.isolation_forest import FOREST_SPECS, IsolationForest
from models.encoding import (
    Layout,
    check_layout,
    decode_strings,
    encode_strings,
    layout_of,
    pack,
    sha256,
    unpack,
)
from models.ensemble import ModelShard
from models.errors import ArtifactCorruptError
from models.population import RELATIVE, TAILS, Population, PopulationMembers
from models.profile import ScoringProfile

# Raised when a manifest or shard of before cannot be read as one of now.
FORMAT_VERSION = 2  # 2: the population's model

_KIND, _POPULATION = "shard", "population"
_COMBINED = "combined"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ShardEntry:
    """What the manifest knows of one shard: digest of its bytes, number of sensors, size in bytes.

    The population's model has an entry too; it is of no sensor.
    """

    sha256: str
    sensors: int
    bytes: int

    def __post_init__(self) -> None:
        """Refuse with TypeError what is no digest or no count: a manifest may say anything."""
        counts = all(type(count) is int and count >= 0 for count in (self.sensors, self.bytes))
        if not counts or not _DIGEST.fullmatch(str(self.sha256)):
            raise TypeError(f"{vars(self)} is no digest with two counts")


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
    found = layout_of(data, where)
    text = found["text"][1] if "text" in found else ()
    check_layout(found, {**shard_layout(profile, entry.sensors), "text": (np.dtype(np.uint8), text)}, where)
    _, arrays = unpack(data, _KIND, FORMAT_VERSION, where)
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
    check_layout(layout_of(data, where), population_layout(), where)
    _, arrays = unpack(data, _POPULATION, FORMAT_VERSION, where)
    forest = IsolationForest(**{part: arrays[f"forest/{part}"] for part in FOREST_SPECS})
    if not forest.is_sound(len(RELATIVE)):
        raise corrupt(where, "a tree leads out of its nodes or columns")
    tails = TailModel.from_arrays({part: arrays[f"tail/{part}"] for part in SPECS})
    return Population(PopulationMembers(forest, arrays["usual"], arrays["width"]), tails)


def shard_layout(profile: ScoringProfile, sensors: int) -> Layout:
    """Return what a shard of so many sensors holds; how long the text of its keys is, only the shard knows."""
    tails: dict[str, ParameterSpec] = {f"tail/{part}": spec for part, spec in SPECS.items()}
    wanted = {detector.name: {**detector.parameters, **tails} for detector in profile.detectors}
    return {
        "text": (np.dtype(np.uint8), (0,)),
        "ends": (np.dtype(np.int64), (sensors,)),
        **{
            f"{name}/{part}": (spec.dtype, (sensors, *spec.shape))
            for name, specs in {**wanted, _COMBINED: tails}.items()
            for part, spec in specs.items()
        },
    }


def population_layout() -> Layout:
    """Return what the population's model holds."""
    columns = (np.dtype(np.float64), (len(RELATIVE),))
    return {
        **{f"forest/{part}": (spec.dtype, spec.shape) for part, spec in FOREST_SPECS.items()},
        **{f"tail/{part}": (spec.dtype, (TAILS, *spec.shape)) for part, spec in SPECS.items()},
        "usual": columns,
        "width": columns,
    }


def nbytes(layout: tuple[np.dtype[Any], tuple[int, ...]]) -> int:
    """Return the bytes that an array takes."""
    dtype, shape = layout
    return dtype.itemsize * math.prod(shape)


def _require_intact(data: bytes, entry: ShardEntry, where: str) -> None:
    if len(data) != entry.bytes:
        raise corrupt(where, f"{len(data)} bytes where the manifest names {entry.bytes}")
    if sha256(data) != entry.sha256:
        raise corrupt(where, f"the digest is not {entry.sha256[:8]} as in the manifest")


def corrupt(where: str, problem: str) -> ArtifactCorruptError:
    """Return the error for a file whose bytes are not what was written."""
    return ArtifactCorruptError(f"{where}: {problem}; restore the file from its source, or publish the model again")
