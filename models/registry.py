"""Published models: numbered immutable versions, and aliases that name one of them and remember those before.

    <root>/versions/0001-1a2b3c4d/manifest.json      number in order of publication, first digits of the digest
    <root>/versions/0001-1a2b3c4d/manifest.sig       only if it is signed
    <root>/versions/0001-1a2b3c4d/bucket-00042.safetensors
    <root>/versions/0001-1a2b3c4d/population.safetensors
    <root>/aliases.json                              {"champion": ["0001-1a2b3c4d", ...]}, the last one holds

Publishing and re-pointing are atomic: a reader sees all of a version or nothing. Rolling back is pointing the
alias at the version that it named before.

Not here: what the files contain (``manifest``, ``artifact``, ``signing``), what they lie in (``directory_store``,
``object_store``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from models.aliases import Aliases
from models.artifact import ShardEntry, describe_population, describe_shard, population_from_bytes, shard_from_bytes
from models.directory_store import DirectoryStore
from models.ensemble import ModelShard
from models.errors import ArtifactCorruptError, RegistryError, StoreError
from models.manifest import Manifest
from models.population import Population
from models.signing import SigningKey, TrustedKeys, claimed_key
from models.store import MANIFEST, VERSIONS, Store

_VERSION = re.compile(r"\d{4,}-[0-9a-f]{8}")
_SIGNATURE = "manifest.sig"
_POPULATION = "population.safetensors"
# A manifest grows with buckets (140 bytes each, 4,096 at most) and partitions; more than this is none.
_MANIFEST_BYTES = 64 * 1024 * 1024
_SIGNATURE_BYTES = 4096


class Registry:
    """Versions and aliases below one root.

    Parameters
    ----------
    root : Path or str
        A directory of a local or shared POSIX file system, created by the first `publish`; or the address of an
        object store, ``scheme://...``, for which fsspec finds a driver.
    trusted : TrustedKeys or None
        Keys of which one must have signed whatever is read; None asks for no signature.

    Raises
    ------
    StoreError
        If there is no driver for the address. Every method raises it when the place cannot be read or written.
    """

    def __init__(self, root: Path | str, trusted: TrustedKeys | None = None) -> None:
        self._store = _open(root)
        self._aliases = Aliases(self._store)
        self._trusted = trusted

    def versions(self) -> list[str]:
        """Return all versions, oldest first."""
        names = [name for name in self._store.versions() if _VERSION.fullmatch(name)]
        return sorted(names, key=lambda name: (_number(name), name))

    def publish(
        self,
        draft: Manifest,
        shards: Iterable[tuple[int, bytes]],
        population: bytes | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """Write a version.

        Parameters
        ----------
        draft : Manifest
            Its `shards` are replaced by those that are written.
        shards : iterable of (int, bytes)
            Bucket and bytes of each shard, consumed one at a time.
        population : bytes or None
            Bytes of the population's model.
        key : SigningKey or None
            Signs the version.

        Returns
        -------
        str
            The new version, or the existing one with the same digest, which the key signs too.

        Raises
        ------
        ArtifactCorruptError, ArtifactIncompatibleError
            If the bytes are no shard.
        RegistryError
            If a bucket comes twice or is out of range.
        """
        with self._store.stage() as staged:
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
            _write(staged / MANIFEST, manifest.to_bytes())
            if key is not None:
                _write(staged / _SIGNATURE, key.sign(manifest.to_bytes()))
            with self._store.locked():
                if (known := self.find(manifest.digest)) is None:
                    return self._add(staged, manifest.digest)
                if key is not None:
                    self._sign(known, key)
                return known

    def _add(self, staged: Path, digest: str) -> str:
        names = self.versions()
        version = f"{_number(names[-1]) + 1 if names else 1:04d}-{digest[:8]}"
        self._store.add(staged, version)
        return version

    def sign(self, version: str, key: SigningKey) -> None:
        """Sign a version that is there, after reading all of it; a signature that it has is replaced.

        Who signs vouches for it, so no signature is asked for. Errors as `verify`.
        """
        self._whole(version, self._parsed(version, self._manifest_bytes(version)))
        with self._store.locked():
            self._sign(version, key)

    def _sign(self, version: str, key: SigningKey) -> None:
        self._store.replace(_path(version, _SIGNATURE), key.sign(self._manifest_bytes(version)))

    def aliases(self) -> dict[str, str]:
        """Return the version that each alias names."""
        return {alias: versions[-1] for alias, versions in self._aliases.histories().items()}

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias at an existing version, atomically.

        Raises
        ------
        RegistryError
            If the alias is no lower-case name, or the version does not exist.
        """
        self._require(version)
        self._aliases.point(alias, version)

    def before(self, alias: str) -> str:
        """Return the version that an alias named before the present one; RegistryError if there is none."""
        return self._aliases.before(alias)

    def roll_back(self, alias: str, to: str) -> None:
        """Point an alias back at the version that it named before, and forget the present one.

        Parameters
        ----------
        alias : str
        to : str
            What `before` returned.

        Raises
        ------
        RegistryError
            If the alias was moved meanwhile, or the version does not exist any more.
        """
        self._require(to)
        self._aliases.roll_back(alias, to)

    def resolve(self, ref: str) -> str:
        """Return the version that an alias or a version's own name stands for; RegistryError if there is none."""
        version = self.aliases().get(ref, ref)
        self._require(version)
        return version

    def find(self, digest: str) -> str | None:
        """Return the version whose manifest has a digest, whoever has signed it; None if there is none."""
        names = (name for name in self.versions() if name.endswith(digest[:8]))
        parsed = ((name, self._parsed(name, self._manifest_bytes(name))) for name in names)
        return next((name for name, manifest in parsed if manifest.digest == digest), None)

    def _require(self, version: str) -> None:
        if not _VERSION.fullmatch(version) or not self._store.has(version):
            known = self.versions()
            promote = "name one of them, or promote one (tidemark models promote)"
            way = promote if known else "train a model first (tidemark train)"
            raise RegistryError(
                f"{self._store} has no version or alias {version!r} (versions: {', '.join(known) or 'none'}; "
                f"aliases: {', '.join(sorted(self.aliases())) or 'none'}); {way}"
            )

    def manifest(self, version: str) -> Manifest:
        """Return the checked manifest of a version.

        Raises
        ------
        RegistryError
            If there is no such version.
        ArtifactUntrustedError
            If no trusted key has signed it.
        ArtifactCorruptError, ArtifactIncompatibleError
            If the manifest is damaged, belongs elsewhere, or is not served by this program.
        """
        data = self._manifest_bytes(version)
        if self._trusted is not None:  # before anything that it says is believed
            self._trusted.check(data, self._signature(version), self._where(version, MANIFEST))
        return self._parsed(version, data)

    def signer(self, version: str) -> str | None:
        """Return the key that has signed a version, None without one; checked only if keys are trusted.

        Raises
        ------
        RegistryError, ArtifactUntrustedError, ArtifactCorruptError
            As `manifest`.
        """
        data, signature, where = self._manifest_bytes(version), self._signature(version), self._where(version, MANIFEST)
        if self._trusted is not None:
            return self._trusted.check(data, signature, where)
        return None if signature is None else claimed_key(signature, where)

    def _manifest_bytes(self, version: str) -> bytes:
        self._require(version)
        return self._read(version, MANIFEST, _MANIFEST_BYTES)

    def _signature(self, version: str) -> bytes | None:
        try:
            return self._store.read(_path(version, _SIGNATURE), _SIGNATURE_BYTES)
        except FileNotFoundError:
            return None

    def _parsed(self, version: str, data: bytes) -> Manifest:
        where = self._where(version, MANIFEST)
        manifest = Manifest.from_bytes(data, where)
        if not version.endswith(manifest.digest[:8]):
            raise ArtifactCorruptError(f"{where}: belongs to another version; publish the model again")
        return manifest

    def load_shard(self, version: str, bucket: int, digest: str | None = None) -> ModelShard | None:
        """Return the checked model of a bucket, None where the version has no sensor.

        Parameters
        ----------
        version : str
        bucket : int
        digest : str or None
            Of the manifest that was checked before: what is read must be just that model.

        Raises
        ------
        RegistryError, ArtifactUntrustedError, ArtifactCorruptError, ArtifactIncompatibleError
            As `manifest`.
        """
        return self._load(version, self._same(version, digest), bucket)

    def load_population(self, version: str, digest: str | None = None) -> Population | None:
        """Return the checked model of the population, None where the version has none; otherwise as `load_shard`."""
        return self._load_population(version, self._same(version, digest))

    def verify(self, version: str) -> Manifest:
        """Read a version completely; errors as `manifest`."""
        return self._whole(version, self.manifest(version))

    def _whole(self, version: str, manifest: Manifest) -> Manifest:
        self._load_population(version, manifest)
        for bucket in manifest.shards:
            self._load(version, manifest, bucket)
        return manifest

    def _same(self, version: str, digest: str | None) -> Manifest:
        manifest = self.manifest(version)
        if digest not in (None, manifest.digest):
            where = self._where(version, MANIFEST)
            raise ArtifactCorruptError(
                f"{where}: is another one than at the start; put the version back, or start again"
            )
        return manifest

    def _load(self, version: str, manifest: Manifest, bucket: int) -> ModelShard | None:
        entry = manifest.shards.get(bucket)
        if entry is None:
            return None
        name = _shard_name(bucket)
        data = self._read(version, name, entry.bytes + 1)
        return shard_from_bytes(data, entry, manifest.profile, self._where(version, name))

    def _load_population(self, version: str, manifest: Manifest) -> Population | None:
        entry = manifest.population
        if entry is None:
            return None
        data = self._read(version, _POPULATION, entry.bytes + 1)
        return population_from_bytes(data, entry, self._where(version, _POPULATION))

    def _read(self, version: str, name: str, limit: int) -> bytes:
        try:
            return self._store.read(_path(version, name), limit)
        except FileNotFoundError as error:
            where = self._where(version, name)
            raise ArtifactCorruptError(f"{where}: is missing; restore it, or publish the model again") from error

    def _where(self, version: str, name: str) -> str:
        return f"{self._store}/{_path(version, name)}"


def _open(root: Path | str) -> Store:
    scheme, separator, rest = str(root).partition("://")
    if not separator or scheme in {"file", "local"}:
        return DirectoryStore(Path(rest if separator else root))
    # A quarter of a second, which only those pay who use it.
    from models.object_store import ObjectStore  # noqa: PLC0415

    return ObjectStore(str(root))


def _path(version: str, name: str) -> str:
    return f"{VERSIONS}/{version}/{name}"


def _number(version: str) -> int:
    return int(version.split("-", 1)[0])


def _shard_name(bucket: int) -> str:
    return f"bucket-{bucket:05d}.safetensors"


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; make room, the model is not published") from error
