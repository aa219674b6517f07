"""A registry's place in an object store (s3, gs, abfs, ...), by the driver that fsspec finds for its address.

Objects are written whole, and there is no renaming: a version is complete with its manifest, which is written last.
There are no locks either. Two that publish at once make two versions; of two that move an alias at once the later one
wins.

Not here: directories (``directory_store``), credentials, which are the driver's own business.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsspec.core import url_to_fs

from models.errors import StoreError
from models.store import MANIFEST, VERSIONS


class ObjectStore:
    """Objects below an address.

    Parameters
    ----------
    address : str
        For example ``s3://bucket/models``.

    Raises
    ------
    StoreError
        If there is no driver for it, or the driver refuses it.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with self._asking():
            self._files, self._root = url_to_fs(address)

    def __str__(self) -> str:
        """Return the address."""
        return self._address

    def versions(self) -> list[str]:
        """Return the versions whose manifest is there."""
        with self._asking():
            self._files.invalidate_cache()  # drivers remember lists, and others write too
            try:
                found = self._files.ls(f"{self._root}/{VERSIONS}", detail=False)
            except FileNotFoundError:
                return []
            names = sorted({path.rstrip("/").rsplit("/", 1)[-1] for path in found})
        return [name for name in names if self.has(name)]

    def has(self, version: str) -> bool:
        """Tell whether a version's manifest is there."""
        with self._asking():
            self._files.invalidate_cache()
            try:
                self._files.info(f"{self._root}/{VERSIONS}/{version}/{MANIFEST}")
            except FileNotFoundError:
                return False
            return True

    def read(self, name: str, limit: int) -> bytes:
        """Return an object, of a larger one the first `limit` bytes."""
        with self._asking():
            return bytes(self._files.cat_file(f"{self._root}/{name}", start=0, end=limit))

    def replace(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self._asking(writing=True):
            self._files.pipe_file(f"{self._root}/{name}", data)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep out nobody."""
        yield

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """Give a temporary directory: the name of a version is known when all of it is."""
        with tempfile.TemporaryDirectory(prefix="tidemark-model-") as staged:
            yield Path(staged)

    def add(self, staged: Path, version: str) -> None:
        """Upload a version, its manifest last."""
        files = sorted(staged.iterdir(), key=lambda path: path.name == MANIFEST)
        with self._asking(writing=True):
            for path in files:
                self._files.put_file(str(path), f"{self._root}/{VERSIONS}/{version}/{path.name}")

    @contextmanager
    def _asking(self, *, writing: bool = False) -> Iterator[None]:
        """Turn whatever a driver raises into one error; what is not there to be read is the caller's business."""
        try:
            yield
        except ImportError as error:
            raise StoreError(f"{self._address}: {error}; the driver is a package of its own, install it") from error
        except Exception as error:  # drivers raise the errors of their own libraries
            if isinstance(error, FileNotFoundError) and not writing:
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise StoreError(f"{self._address}: {reason}; check model.registry, network and credentials") from error
