"""The life of a model's versions: what there is, what differs, which one is used, whether they are whole.

Not here: making one (``train``), what is printed (``detector.cli.models``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from detector.app.judge import judge_of_version
from detector.app.model_registry import open_registry, trusted_keys
from detector.errors import ContractError
from detector.pipeline.schema import KEY_SEPARATOR
from detector.settings import Settings
from models.comparison import Comparison, compare
from models.errors import ArtifactError, ArtifactUntrustedError
from models.manifest import Manifest
from models.registry import Registry


@dataclass(frozen=True)
class VersionFacts:
    """What there is to know of a version without reading its parts.

    Attributes
    ----------
    version : str
    aliases : tuple of str
        That name it.
    manifest : Manifest or None
        None if it cannot be read.
    signer : str or None
        Key that has signed it, None without one. Checked only if `trusted` is not None.
    trusted : bool or None
        Whether a trusted key has; None if none is asked for.
    problem : str
        Why it cannot be used, as far as its manifest tells; empty without one.
    """

    version: str
    aliases: tuple[str, ...]
    manifest: Manifest | None
    signer: str | None
    trusted: bool | None
    problem: str

    def age_seconds(self, now: float) -> float | None:
        """Return how long ago it was made, None where the manifest does not say; `now` in epoch seconds."""
        try:
            made = datetime.fromisoformat(self.manifest.created_at) if self.manifest else None
        except ValueError:
            return None
        return max(0.0, now - made.timestamp()) if made else None

    def training(self, fact: str) -> int:
        """Return a count of the training, 0 where the manifest has none."""
        count = self.manifest.training.get(fact) if self.manifest else None
        return count if isinstance(count, int) else 0

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain JSON."""
        manifest = self.manifest
        return {
            "version": self.version,
            "aliases": list(self.aliases),
            "created_at": manifest.created_at if manifest else None,
            "sensors": self.training("sensors"),
            "windows": self.training("windows"),
            "bytes": stored_bytes(manifest) if manifest else None,
            "digest": manifest.digest if manifest else None,
            "signed_by": self.signer,
            "trusted": self.trusted,
            "problem": self.problem or None,
        }


def stored_bytes(manifest: Manifest) -> int:
    """Return the bytes of a model's parts."""
    entries = [*manifest.shards.values(), *([manifest.population] if manifest.population else [])]
    return sum(entry.bytes for entry in entries)


def known_versions(settings: Settings) -> list[VersionFacts]:
    """Return all versions of the registry, oldest first; one that is damaged says so itself."""
    registry = Registry(settings.model.registry)
    aliases = registry.aliases()
    return [_facts(settings, registry, version, aliases) for version in registry.versions()]


def version_facts(settings: Settings, ref: str) -> VersionFacts:
    """Return what there is to know of the version that an alias or its own name stands for."""
    registry = Registry(settings.model.registry)
    return _facts(settings, registry, registry.resolve(ref), registry.aliases())


def _facts(settings: Settings, registry: Registry, version: str, aliases: dict[str, str]) -> VersionFacts:
    own = tuple(sorted(alias for alias, named in aliases.items() if named == version))
    facts = VersionFacts(version, own, None, None, None, "")
    try:
        facts = replace(facts, manifest=registry.manifest(version), signer=registry.signer(version))
    except ArtifactError as error:
        return replace(facts, problem=str(error))
    if trusted_keys(settings) is None:
        return facts
    try:
        return replace(facts, trusted=True, signer=open_registry(settings).signer(version))
    except ArtifactUntrustedError as error:
        return replace(facts, trusted=False, problem=str(error))


def difference(settings: Settings, first: str, second: str) -> Comparison:
    """Return what differs between two versions; sensors as ``asset/sensor``."""
    registry = open_registry(settings)
    one, other = registry.resolve(first), registry.resolve(second)
    found = compare(
        registry.manifest(one),
        partial(registry.load_shard, one),
        registry.manifest(other),
        partial(registry.load_shard, other),
    )
    return replace(
        found,
        gained=tuple(map(_readable, found.gained)),
        lost=tuple(map(_readable, found.lost)),
        moved=tuple((_readable(key), move) for key, move in found.moved),
    )


def promote(settings: Settings, ref: str, alias: str) -> tuple[str, str | None]:
    """Point an alias at a version that a start would accept.

    Parameters
    ----------
    settings : Settings
        Whose windows and buckets it must fit.
    ref : str
        A version, or another alias.
    alias : str

    Returns
    -------
    version : str
    before : str or None
        What the alias named, None if it is new.

    Raises
    ------
    ContractError, ArtifactError, RegistryError
        If a start would refuse it; the alias stays.
    """
    registry = open_registry(settings)
    version, before = registry.resolve(ref), registry.aliases().get(alias)
    _require_usable(settings, version, f"{alias} stays at {before}" if before else f"{alias} is not set")
    registry.set_alias(alias, version)
    return version, before


def roll_back(settings: Settings, alias: str) -> tuple[str, str]:
    """Point an alias back at the version before, if a start would accept that; returns it and the one left."""
    registry = open_registry(settings)
    now, before = registry.aliases().get(alias, ""), registry.before(alias)
    _require_usable(settings, before, f"{alias} stays at {now}; tidemark models promote points it at any other")
    registry.roll_back(alias, before)
    return before, now


def _require_usable(settings: Settings, version: str, otherwise: str) -> None:
    try:
        judge_of_version(settings, version)
    except (ArtifactError, ContractError) as error:
        raise type(error)(f"{error}. {otherwise[0].upper()}{otherwise[1:]}") from error


def examine(settings: Settings, refs: list[str]) -> Iterator[tuple[str, ArtifactError | None]]:
    """Read versions completely, all without `refs`; yields each with what is wrong with it."""
    registry = open_registry(settings)
    for version in [registry.resolve(ref) for ref in refs] or registry.versions():
        try:
            registry.verify(version)
        except ArtifactError as error:
            yield version, error
        else:
            yield version, None


def _readable(key: str) -> str:
    return key.replace(KEY_SEPARATOR, "/")
