"""Download jars by their coordinates with Ivy, which is part of pyspark and needs nothing but Java.

Not here: which jars, where they are kept and whether they are the right ones (``jars``).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Final, NamedTuple

from detector.errors import UnavailableError

if TYPE_CHECKING:
    from detector.kafka.java import Java

DOWNLOAD_TIMEOUT: Final = 1800  # seconds for all jars together, 52 MB over a slow line
LINES_ON_FAILURE: Final = 6  # from where Ivy sums up its problems: the cause comes first there
# One directory per part, so that a coordinate is read back from a path without guessing at hyphens.
_PATTERN: Final = "[organisation]/[artifact]/[revision]/[artifact].[ext]"
# A jar whose coordinate is known needs no descriptor; without descriptors and their parents a download takes a third.
_SETTINGS: Final = """\
<ivysettings><settings defaultResolver="central"/><resolvers>
<ibiblio name="central" m2compatible="true" usepoms="{usepoms}"/>
</resolvers></ivysettings>
"""

Progress = Callable[[str, int, int], None]  # (name of the jar that came, how many came, how many are wanted)


class Coordinate(NamedTuple):
    """What a published jar is called: ``group:artifact:version``."""

    group: str
    artifact: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Coordinate:
        """Read ``group:artifact:version``; anything else is a ValueError."""
        group, artifact, version = text.split(":")
        return cls(group, artifact, version)

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return ":".join(self)


def download(
    wanted: Sequence[Coordinate],
    workspace: Path,
    java: Java,
    *,
    transitive: bool = False,
    progress: Progress | None = None,
) -> dict[Coordinate, Path]:
    """Download jars into a directory.

    Parameters
    ----------
    wanted : sequence of Coordinate
        What to download.
    workspace : Path
        An empty directory; Ivy's own files go there too.
    java : Java
        What runs Ivy.
    transitive : bool
        Whether to download also what the wanted jars need at run time.
    progress : callable, optional
        Called after each jar.

    Returns
    -------
    dict of Coordinate to Path
        Every jar that came, by its coordinate.

    Raises
    ------
    UnavailableError
        If Ivy fails; the message carries what it said.
    """
    (workspace / "ivy.xml").write_text(_module(wanted, transitive=transitive))
    (workspace / "settings.xml").write_text(_SETTINGS.format(usepoms=str(transitive).lower()))
    command = [str(java.executable), "-cp", str(_ivy_jar()), "org.apache.ivy.Main"]
    command += ["-ivy", "ivy.xml", "-settings", "settings.xml", "-cache", "cache", "-retrieve", f"jars/{_PATTERN}"]
    command += ["-confs", "jars", "-types", "jar", "bundle"]
    said = _run(command, workspace, len(wanted), progress)
    jars = workspace / "jars"
    found = {Coordinate(*path.relative_to(jars).parts[:3]): path for path in sorted(jars.glob("*/*/*/*.jar"))}
    if absent := [str(coordinate) for coordinate in wanted if coordinate not in found]:
        named = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more jars" if absent[3:] else "")
        raise UnavailableError(f"Ivy did not bring {named}. Check the network and try again. Ivy said:\n{said}")
    return found


def _module(wanted: Sequence[Coordinate], *, transitive: bool) -> str:
    lines = [
        f'<dependency org="{group}" name="{artifact}" rev="{version}" conf="jars->default"'
        f' transitive="{str(transitive).lower()}"/>'
        for group, artifact, version in wanted
    ]
    return (
        '<ivy-module version="2.0"><info organisation="tidemark" module="jars"/>'
        '<configurations><conf name="jars"/></configurations>'
        f"<dependencies>{''.join(lines)}</dependencies></ivy-module>"
    )


def _ivy_jar() -> Path:
    spec = find_spec("pyspark")  # imports nothing: pyspark itself would cost half a second
    places = (spec and spec.submodule_search_locations) or []
    for place in places:
        for jar in sorted(Path(place).glob("jars/ivy-*.jar")):
            return jar
    raise UnavailableError("pyspark with its jars is not installed here; install Tidemark's requirements.lock")


def _run(command: list[str], workspace: Path, total: int, progress: Progress | None) -> str:
    """Run Ivy to its end, report each jar as it comes, and return what it said about failures."""
    said: list[str] = []
    came = 0
    with subprocess.Popen(  # noqa: S603  # our own command, no shell
        command,
        cwd=workspace,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as ivy:
        deadline = Timer(DOWNLOAD_TIMEOUT, ivy.kill)
        deadline.start()
        try:
            for line in ivy.stdout or ():
                if "[SUCCESSFUL ]" in line:
                    came += 1
                    if progress is not None:
                        progress(line.split("!")[-1].split("(")[0].strip(), came, max(came, total))
                elif line.strip(" .:\n"):
                    said.append(line.strip())
        except BaseException:  # an interrupt or the caller's own error: do not wait for Ivy
            ivy.kill()
            raise
        finally:
            deadline.cancel()
    summary = next((i for i, line in enumerate(said) if "problems summary" in line), -LINES_ON_FAILURE)
    return "\n".join(list(dict.fromkeys(said[summary:]))[:LINES_ON_FAILURE])
