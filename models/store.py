"""What a registry asks of the place that it lies in: named files, written whole or not at all.

Not here: the places themselves (``directory_store``, ``object_store``), what the files are (``registry``).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

# The file with which a version is complete.
MANIFEST: Final = "manifest.json"
VERSIONS: Final = "versions"


class Store(Protocol):
    """Files below one root, named by paths with slashes. What fails raises StoreError."""

    def __str__(self) -> str:
        """Return where it is, for messages."""

    def versions(self) -> list[str]:
        """Return the names below `VERSIONS` that are complete."""

    def has(self, version: str) -> bool:
        """Tell whether a name below `VERSIONS` is complete."""

    def read(self, name: str, limit: int) -> bytes:
        """Return a file, of a larger one the first `limit` bytes or a few more; FileNotFoundError without one."""

    def replace(self, name: str, data: bytes) -> None:
        """Write a file: a reader sees the one before or all of this one."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other writers out, for moments only; a place without locks keeps out nobody."""

    def stage(self) -> AbstractContextManager[Path]:
        """Give a local directory to write a version into; it is gone afterwards."""

    def add(self, staged: Path, version: str) -> None:
        """Make a staged directory a version: a reader sees none of it or all."""
