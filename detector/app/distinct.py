"""Count hashes that come more than once, of more records than memory holds.

Hashes are put by their first bits into files of a temporary directory, each of which then fits into memory.

Not here: what is hashed (``detector.pipeline.accounting``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

PARTS_BITS: Final = 8
PARTS: Final = 1 << PARTS_BITS  # a thousand million hashes of 8 bytes: 31 MB each
FLAG: Final = np.uint64(1)  # the last bit of a hash makes room for its kind


class Distinct:
    """Hashes of two kinds; equal ones are of one kind.

    Use it as a context: it removes its files.
    """

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="tidemark-audit-")

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the files."""
        self._directory.cleanup()

    def add(self, hashes: NDArray[np.uint64], kind: NDArray[np.bool_]) -> None:
        """Add hashes, each with its kind."""
        kept = np.sort(hashes & ~FLAG | kind.astype(np.uint64))
        places = (kept >> np.uint64(64 - PARTS_BITS)).astype(np.int64)
        for part in np.unique(places).tolist():
            with self._file(part).open("ab") as file:
                file.write(kept[places == part].tobytes())

    def repeated(self) -> tuple[int, int]:
        """Return how many of the first kind (False), and of the second, repeat another one."""
        found = [0, 0]
        for part in range(PARTS):
            if self._file(part).exists():
                hashes = np.fromfile(self._file(part), np.uint64)
                for kind, of_kind in enumerate((hashes[hashes & FLAG == 0], hashes[hashes & FLAG == 1])):
                    found[kind] += len(of_kind) - len(np.unique(of_kind))
        return found[0], found[1]

    def _file(self, part: int) -> Path:
        return Path(self._directory.name) / str(part)
