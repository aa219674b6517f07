"""A registry's place in a directory of a local or shared POSIX file system: locks, and atomic by renaming.

Not here: object stores (``object_store``).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import StoreError
from models.store import VERSIONS


class DirectoryStore:
    """Files below a directory.

    Parameters
    ----------
    root : Path
        Created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._versions = root / VERSIONS
        self._staging = root / "staging"

    def __str__(self) -> str:
        """Return the directory."""
        return str(self._root)

    def versions(self) -> list[str]:
        """Return all directories of versions; one is there when it is complete."""
        with _touching(self._versions):
            return [path.name for path in self._versions.iterdir()] if self._versions.is_dir() else []

    def has(self, version: str) -> bool:
        """Tell whether a version is there."""
        with _touching(self._versions):
            return (self._versions / version).is_dir()

    def read(self, name: str, limit: int) -> bytes:
        """Return a file; of a swapped-in giant only the first `limit` bytes."""
        path = self._root / name
        with _touching(path), path.open("rb") as file:
            # Python makes room for all that is asked for, whatever there is.
            return file.read(min(limit, os.fstat(file.fileno()).st_size + 1))

    def replace(self, name: str, data: bytes) -> None:
        """Write a file beside its place, and rename it; the caller holds the lock."""
        path = self._root / name
        beside = path.with_name(f".{path.name}.new")
        with _touching(path, writing=True):
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
            _sync(path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry against other writers, for moments only: a rollback must not wait for a training."""
        with _touching(self._root):
            for directory in (self._versions, self._staging):
                directory.mkdir(parents=True, exist_ok=True)
            lock = (self._root / "lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """Give a directory to write into; what a publisher that died has left behind is removed."""
        with self.locked():
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

    def add(self, staged: Path, version: str) -> None:
        """Rename a staged directory when all of it is on the disk."""
        with _touching(staged, writing=True):
            for path in staged.iterdir():
                _sync(path)
            _sync(staged)
            staged.chmod(0o755)  # mkdtemp makes it private to the publisher; executors may run as someone else
            staged.rename(self._versions / version)
            _sync(self._versions)


@contextmanager
def _touching(path: Path, *, writing: bool = False) -> Iterator[None]:
    """Say of a failure where it was and what to look at; what is not there to be read is the caller's business."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not writing:
            raise
        where = error.filename or path
        raise StoreError(
            f"{where}: {error.strerror or error}; check the disk of model.registry and its rights"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
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
