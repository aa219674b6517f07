"""Published models in a directory: numbered immutable versions, and aliases that name one of them.

    <root>/versions/0001-1a2b3c4d/manifest.json      number in order of publication, first digits of the digest
    <root>/versions/0001-1a2b3c4d/bucket-00042.safetensors
    <root>/versions/0001-1a2b3c4d/population.safetensors
    <root>/aliases.json                              {"champion": "0001-1a2b3c4d"}

Publishing and re-pointing are atomic: a reader sees all of a version or nothing. Rolling back is pointing the
alias at an older version.

Not here: what the files contain (``artifact``).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from models.artifact import (
    Manifest,
    ShardEntry,
    describe_population,
    describe_shard,
    population_from_bytes,
    shard_from_bytes,
)
from models.encoding import canonical_json
from models.ensemble import ModelShard
from models.errors import ArtifactCorruptError, RegistryError
from models.population import Population

_VERSION = re.compile(r"\d{4,}-[0-9a-f]{8}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_MANIFEST = "manifest.json"
_ALIASES = "aliases.json"
_POPULATION = "population.safetensors"


class Registry:
    """Versions and aliases below one directory of a local or shared POSIX file system.

    Parameters
    ----------
    root : Path
        Created by the first `publish`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._versions = root / "versions"
        self._staging = root / "staging"

    def versions(self) -> list[str]:
        """Return all versions, oldest first."""
        if not self._versions.is_dir():
            return []
        names = [path.name for path in self._versions.iterdir() if _VERSION.fullmatch(path.name)]
        return sorted(names, key=lambda name: int(name.split("-")[0]))

    def publish(self, draft: Manifest, shards: Iterable[tuple[int, bytes]], population: bytes | None = None) -> str:
        """Write a version.

        Parameters
        ----------
        draft : Manifest
            Its `shards` are replaced by those that are written.
        shards : iterable of (int, bytes)
            Bucket and bytes of each shard, consumed one at a time.
        population : bytes or None
            Bytes of the population's model.

        Returns
        -------
        str
            The new version, or the existing one with the same digest.

        Raises
        ------
        ArtifactCorruptError, ArtifactIncompatibleError
            If the bytes are no shard.
        RegistryError
            If a bucket comes twice or is out of range.
        """
        with self._stage() as staged:
            entries: dict[int, ShardEntry] = {}
            for bucket, data in shards:
                if bucket in entries or not 0 <= bucket < draft.buckets:
                    raise RegistryError(
                        f"bucket {bucket} comes twice or is not below {draft.buckets}; train with one bucket setting"
                    )
                entries[bucket] = describe_shard(data, _shard_name(bucket))
                _write(staged / _shard_name(bucket), data)
            entry = None
            if population is not None:
                entry = describe_population(population, _POPULATION)
                _write(staged / _POPULATION, population)
            manifest = draft.with_shards(entries, entry)
            _write(staged / _MANIFEST, manifest.to_bytes())
            with self._locked():
                return self._adopt(staged, manifest.digest)

    def _adopt(self, staged: Path, digest: str) -> str:
        if (known := self.find(digest)) is not None:
            return known
        names = self.versions()
        number = int(names[-1].split("-")[0]) + 1 if names else 1
        version = f"{number:04d}-{digest[:8]}"
        _sync(staged)
        staged.chmod(0o755)  # mkdtemp makes it private to the publisher; executors may run as someone else
        staged.rename(self._versions / version)
        _sync(self._versions)
        return version

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the registry against other writers, for moments only: a rollback must not wait for a training."""
        for directory in (self._versions, self._staging):
            directory.mkdir(parents=True, exist_ok=True)
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _stage(self) -> Iterator[Path]:
        """Give a directory to write into; what a publisher that died has left behind is removed."""
        with self._locked():
            for leftover in self._staging.iterdir():
                with _held(leftover) as dead:
                    if dead:
                        shutil.rmtree(leftover)
            staged = Path(tempfile.mkdtemp(dir=self._staging))
            life = os.open(staged, os.O_RDONLY)
            fcntl.flock(life, fcntl.LOCK_EX)  # released by the kernel when the publisher ends, however it ends
        try:
            yield staged
        finally:
            os.close(life)
            shutil.rmtree(staged, ignore_errors=True)  # already gone when it became a version

    def aliases(self) -> dict[str, str]:
        """Return the version that each alias names."""
        path = self._root / _ALIASES
        try:
            value = json.loads(path.read_bytes())
            return {str(alias): str(version) for alias, version in value.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            raise ArtifactCorruptError(f"{path}: {error}; delete it and set the aliases anew") from error

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias at an existing version, atomically.

        Raises
        ------
        RegistryError
            If the alias is no lower-case name, or the version does not exist.
        """
        if not _ALIAS.fullmatch(alias):
            raise RegistryError(f"alias {alias!r} must match {_ALIAS.pattern}; choose another name")
        self._require(version)
        with self._stage() as staged, self._locked():
            _write(staged / _ALIASES, canonical_json({**self.aliases(), alias: version}))
            (staged / _ALIASES).rename(self._root / _ALIASES)
            _sync(self._root)

    def resolve(self, ref: str) -> str:
        """Return the version that an alias or a version's own name stands for; RegistryError if there is none."""
        version = self.aliases().get(ref, ref)
        self._require(version)
        return version

    def find(self, digest: str) -> str | None:
        """Return the version whose manifest has a digest, None if there is none."""
        names = (name for name in self.versions() if name.endswith(digest[:8]))
        return next((name for name in names if self.manifest(name).digest == digest), None)

    def _require(self, version: str) -> None:
        if not _VERSION.fullmatch(version) or not (self._versions / version).is_dir():
            raise RegistryError(
                f"{self._root} has no version or alias {version!r} (versions: {', '.join(self.versions()) or 'none'}; "
                f"aliases: {', '.join(sorted(self.aliases())) or 'none'}); train a model first (tidemark train)"
            )

    def manifest(self, version: str) -> Manifest:
        """Return the checked manifest of a version.

        Raises
        ------
        RegistryError
            If there is no such version.
        ArtifactCorruptError, ArtifactIncompatibleError
            If the manifest is damaged, belongs elsewhere, or is not served by this program.
        """
        self._require(version)
        path = self._versions / version / _MANIFEST
        manifest = Manifest.from_bytes(_read(path), str(path))
        if not version.endswith(manifest.digest[:8]):
            raise ArtifactCorruptError(f"{path}: belongs to another version; publish the model again")
        return manifest

    def load_shard(self, version: str, bucket: int) -> ModelShard | None:
        """Return the checked model of a bucket, None where the version has no sensor; errors as `manifest`."""
        return self._load(version, self.manifest(version), bucket)

    def _load(self, version: str, manifest: Manifest, bucket: int) -> ModelShard | None:
        entry = manifest.shards.get(bucket)
        if entry is None:
            return None
        path = self._versions / version / _shard_name(bucket)
        return shard_from_bytes(_read(path, limit=entry.bytes + 1), entry, manifest.profile, str(path))

    def load_population(self, version: str) -> Population | None:
        """Return the checked model of the population, None where the version has none; errors as `manifest`."""
        entry = self.manifest(version).population
        if entry is None:
            return None
        path = self._versions / version / _POPULATION
        return population_from_bytes(_read(path, limit=entry.bytes + 1), entry, str(path))

    def verify(self, version: str) -> Manifest:
        """Read a version completely; errors as `manifest`."""
        manifest = self.manifest(version)
        self.load_population(version)
        for bucket in manifest.shards:
            self._load(version, manifest, bucket)
        return manifest


def _shard_name(bucket: int) -> str:
    return f"bucket-{bucket:05d}.safetensors"


def _read(path: Path, limit: int = -1) -> bytes:
    """Read a file, at most `limit` bytes so that a swapped-in giant is not loaded."""
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except FileNotFoundError as error:
        raise ArtifactCorruptError(f"{path}: is missing; restore it, or publish the model again") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _held(directory: Path) -> Iterator[bool]:
    """Try to lock a directory; False where its publisher is alive."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
