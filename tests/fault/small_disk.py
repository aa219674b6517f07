"""A disk of some megabytes below a directory: a file system in memory that only the processes started here see.

Not here: what must happen when it is full.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# With root's rights the mount needs a mount namespace only; without, a user namespace in which we are root.
UNSHARE = ("--mount",) if os.geteuid() == 0 else ("--mount", "--user", "--map-root-user")
ENTER = ("--mount",) if os.geteuid() == 0 else ("--mount", "--user", "--preserve-credentials")
READY = b"mounted\n"
BLOCK = bytes(64 * 1024)


class SmallDisk:
    """A disk that can be filled and freed.

    Attributes
    ----------
    enter : tuple of str
        What a command must begin with to see it.
    """

    def __init__(self, directory: Path, holder: int) -> None:
        self.enter = ("nsenter", f"--target={holder}", *ENTER, f"--wd={directory.parent}")
        self.seen = Path(f"/proc/{holder}/root{directory}")
        self._ballast = self.seen / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        try:
            with self._ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(BLOCK)
        except OSError as error:
            if error.strerror != os.strerror(28):
                raise

    def free(self) -> None:
        """Take away what `fill` wrote."""
        self._ballast.unlink()


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk on an empty directory."""
    directory.mkdir()
    script = f'mount -t tmpfs -o size={megabytes}m tidemark-test "$0" && echo mounted && read -r _'
    holder = subprocess.Popen(
        ["unshare", *UNSHARE, "/bin/sh", "-c", script, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == READY
        yield SmallDisk(directory, holder.pid)
    finally:
        holder.communicate()
