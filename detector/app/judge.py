"""What judges a micro-batch: a model, and the settings that decide windows and scores.

A batch that was published but that Spark has not finished is done again by the judge that its marker names. Otherwise
the state would hold incidents of another judge than the topic: an `opened` that is never resolved, or a `resolved` that
nothing opened. The checkpoint therefore keeps the decisive settings of every judge that has run from it.

Not here: scoring (``detector.pipeline.scoring``), the protocol (``detector.kafka.alert_sink``).
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.app.checkpoint import Checkpoint
from detector.app.model_registry import open_registry
from detector.errors import ContractError
from detector.kafka.marker import Marker
from detector.kafka.sink_port import JudgedBy
from detector.settings import Settings, config_digest, specs, with_decisive
from models.errors import ArtifactError, RegistryError
from models.manifest import Manifest
from models.registry import Registry


@dataclass(frozen=True)
class Model:
    """A model: its version's name and what its manifest says."""

    version: str
    manifest: Manifest


@dataclass(frozen=True)
class Judge:
    """A model under settings."""

    settings: Settings
    model: Model

    @property
    def digests(self) -> JudgedBy:
        """What the marker of a batch says of its judge."""
        return JudgedBy(self.model.manifest.digest, config_digest(self.settings))


def load_judge(settings: Settings) -> Judge:
    """Return the judge that the settings name, checked to fit them.

    Raises
    ------
    ContractError
        If the model was trained for other windows or another number of buckets.
    RegistryError, ArtifactError
        If there is none, or it cannot be used; says what was used before.
    """
    registry = open_registry(settings)
    version = registry.resolve(settings.model.version)
    try:
        manifest = registry.verify(version)  # all: a damaged shard would else end the query on its first window
    except ArtifactError as error:
        raise type(error)(f"{error}. {_way_back(registry, settings.model.version)}") from error
    shape = specs.windows(settings)
    wanted = {
        "windows.length (s)": (manifest.window_seconds, shape.length_seconds),
        "windows.slide (s)": (manifest.slide_seconds, shape.slide_seconds),
        "state.buckets": (manifest.buckets, settings.state.buckets),
    }
    wrong = [
        f"{name}: model {model!r}, setting {setting!r}" for name, (model, setting) in wanted.items() if model != setting
    ]
    if wrong:
        raise ContractError(
            f"model {version} of {settings.model.registry} is for other windows or buckets ({'; '.join(wrong)}); "
            "set them as the model has them, or train again"
        )
    return Judge(settings, Model(version, manifest))


def judge_of_unfinished(marker: Marker | None, checkpoint: Checkpoint, judge: Judge) -> Judge | None:
    """Return the judge that must finish the last published batch; None if `judge` may.

    Parameters
    ----------
    marker : Marker or None
        Of the last published batch, as `AlertSink.start` returned it.
    checkpoint : Checkpoint
        Says whether Spark has finished that batch, and keeps the settings of earlier judges.
    judge : Judge
        Of this start.

    Raises
    ------
    ContractError
        If that judge is not known any more.
    """
    if marker is None or marker.batch_id <= checkpoint.last_committed():
        return None
    wanted = JudgedBy(marker.model_digest, marker.config_digest)
    if wanted == judge.digests:
        return None
    settings = judge.settings
    if wanted.config != judge.digests.config:
        settings = _settings(wanted.config, marker, checkpoint, judge)
    version = open_registry(settings).find(wanted.model)
    if version is None:
        raise ContractError(
            f"batch {marker.batch_id} was published under the model with digest {wanted.model[:12]}, is to be finished "
            f"under it, and {settings.model.registry} does not have it. Put that version back; the start after may use "
            "another"
        )
    return judge_of_version(settings, version)


def judge_of_version(settings: Settings, version: str) -> Judge:
    """Return the judge that the settings name, but with another version of the model; errors as `load_judge`."""
    return load_judge(settings.model_copy(update={"model": settings.model.model_copy(update={"version": version})}))


def _way_back(registry: Registry, alias: str) -> str:
    """Say how to use another model than the one that is refused."""
    try:
        before = registry.before(alias)
    except (RegistryError, ArtifactError):
        return "What else there is: tidemark models list"
    return f"Or go back to {before}: tidemark models rollback"


def _settings(digest: str, marker: Marker, checkpoint: Checkpoint, judge: Judge) -> Settings:
    found = with_decisive(judge.settings, checkpoint.decisive_settings(digest))
    if config_digest(found) != digest:
        raise ContractError(
            f"batch {marker.batch_id} was published under settings that this version reads differently (digest "
            f"{digest[:12]}). Start the version that published it once; the start after may be this one"
        )
    return found
