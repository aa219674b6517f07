"""The jars of the embedded broker and of Spark's Kafka connector: declared once, downloaded once, verified.

``jars.lock.json`` declares them: the roots by hand, every jar with its sha256 by ``relock``. They are kept
in one flat directory of the user's cache and verified on every call (0.1 s for all of them), so a started
JVM has only ever seen the declared bytes. Where all are present nothing is started and nothing is written,
so the cache may be baked into a read-only image.

Not here: the download (``ivy``) and the commands (``python -m detector.kafka``).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from detector.errors import UnavailableError
from detector.kafka.ivy import Coordinate, Progress, download
from detector.kafka.java import require_java

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LOCK_FILE: Final = Path(__file__).with_name("jars.lock.json")


@dataclass(frozen=True)
class LockedJar:
    """A jar and the only content it may have.

    Attributes
    ----------
    coordinate : Coordinate
        Group, artifact and version.
    sha256 : str
        64 lower-case hexadecimal digits.
    """

    coordinate: Coordinate
    sha256: str

    @property
    def file_name(self) -> str:
        """Name in the cache; the group is part of it, because artifacts of two groups share names."""
        return "{}_{}-{}.jar".format(*self.coordinate)


def cache_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Return where downloads are kept: ``TIDEMARK_CACHE``, else ``tidemark`` in the user's cache."""
    environ = os.environ if environ is None else environ
    if own := environ.get("TIDEMARK_CACHE"):
        return Path(own).absolute()
    shared = environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "tidemark"


def broker_jars(progress: Progress | None = None) -> list[Path]:
    """Return the verified class path of a Kafka broker; see `provide` for errors."""
    return provide(locked_jars("broker"), cache_directory() / "jars", progress)


def connector_jars(progress: Progress | None = None) -> list[Path]:
    """Return the verified jars that Spark needs beside its own to read Kafka; see `provide` for errors."""
    return provide(locked_jars("connector"), cache_directory() / "jars", progress)


def locked_jars(group: str) -> list[LockedJar]:
    """Return what the lock declares for ``broker`` or ``connector``."""
    jars: Mapping[str, str] = _read_lock()[group]["jars"]
    return [LockedJar(Coordinate.parse(coordinate), sha256) for coordinate, sha256 in jars.items()]


def provide(jars: Sequence[LockedJar], directory: Path, progress: Progress | None = None) -> list[Path]:
    """Make sure that jars are in a directory, each with its declared content.

    Parameters
    ----------
    jars : sequence of LockedJar
        What is needed.
    directory : Path
        Where they are kept; created where needed. Safe with several processes at once.
    progress : callable, optional
        Called after each downloaded jar with (name, how many came, how many are wanted).

    Returns
    -------
    list of Path
        One path a jar, in the order of `jars`.

    Raises
    ------
    UnavailableError
        If a jar cannot be downloaded (no network, no Java, no permission), or a jar's content is not the
        declared one; the message names the jar, and the expected and the found digest.
    """
    if absent(jars, directory):
        try:
            with _sole_writer(directory):
                if missing := absent(jars, directory):
                    _fetch(missing, directory, progress)
        except OSError as error:
            raise UnavailableError(
                f"cannot keep jars in {directory}: {error}. Make it writable, or set TIDEMARK_CACHE."
            ) from error
    paths = [directory / jar.file_name for jar in jars]
    for jar, path in zip(jars, paths, strict=True):
        _verify(jar, path, "Delete the file and run the command again; it is then downloaded anew.")
    return paths


def absent(jars: Sequence[LockedJar], directory: Path) -> list[LockedJar]:
    """Return the jars that a directory does not have."""
    return [jar for jar in jars if not (directory / jar.file_name).is_file()]


def relock(progress: Progress | None = None) -> None:
    """Write the lock anew from its roots: resolve what they need, download it and take its digests.

    Raises
    ------
    UnavailableError
        If something cannot be resolved.
    """
    lock = _read_lock()
    for group in lock.values():
        roots = [Coordinate.parse(root) for root in group["roots"]]
        with tempfile.TemporaryDirectory() as workspace:
            found = download(roots, Path(workspace), require_java(), transitive=group["transitive"], progress=progress)
            group["jars"] = {str(coordinate): _sha256(path) for coordinate, path in sorted(found.items())}
    LOCK_FILE.write_text(json.dumps(lock, indent=2) + "\n")


def _read_lock() -> dict[str, Any]:
    lock: dict[str, Any] = json.loads(LOCK_FILE.read_text())
    return lock


@contextmanager
def _sole_writer(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # ends with the handle, also when this process is killed
        yield


def _fetch(jars: Sequence[LockedJar], directory: Path, progress: Progress | None) -> None:
    # The workspace is inside the directory: a rename then stays on one file system and is atomic.
    with tempfile.TemporaryDirectory(dir=directory, prefix=".download-") as workspace:
        found = download([jar.coordinate for jar in jars], Path(workspace), require_java(), progress=progress)
        for jar in jars:
            _verify(jar, found[jar.coordinate], "Nothing was kept. What sits between you and the registry?")
        for jar in jars:
            found[jar.coordinate].replace(directory / jar.file_name)


def _verify(jar: LockedJar, path: Path, advice: str) -> None:
    found = _sha256(path)
    if found != jar.sha256:
        raise UnavailableError(
            f"{jar.coordinate} is not the jar that Tidemark declares ({path}): "
            f"expected sha256 {jar.sha256}, found {found}. {advice}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
