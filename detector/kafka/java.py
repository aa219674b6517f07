"""Find a Java that runs Spark and the embedded broker, or install it where the system lets us.

Not here: the jars that Java runs (``jars``).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detector.errors import UnavailableError

MINIMUM_VERSION: Final = 17  # Spark 4 and Kafka 4 brokers are compiled for it
PROBE_TIMEOUT: Final = 30  # seconds; a JVM starts in 0.1 s, a busy machine may need some more
INSTALL_TIMEOUT: Final = 900  # seconds for one package manager call, a slow network included
# What Spark's launcher asks for; runtimes cut down with jlink often lack it.
REQUIRED_MODULE: Final = "jdk.incubator.vector"
# Tried in this order: no Debian or Ubuntu release has all of them, and the default may be older than 17.
APT_PACKAGES: Final = ("openjdk-17-jre-headless", "openjdk-21-jre-headless", "default-jre-headless")
INSTALL_HELP: Final = """\
  Debian, Ubuntu:  sudo apt-get install -y openjdk-17-jre-headless
  Fedora, RHEL:    sudo dnf install -y java-17-openjdk-headless  (or java-21-openjdk-headless)
  macOS:           brew install openjdk@17 && export JAVA_HOME="$(brew --prefix openjdk@17)\""""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Java:
    """A Java runtime that was started once and is new enough.

    Attributes
    ----------
    executable : Path
        The ``java`` to start.
    home : Path
        What ``JAVA_HOME`` must be for Spark to use the same runtime.
    version : int
        Feature version, 17 or higher.
    """

    executable: Path
    home: Path
    version: int


def find_java(environ: Mapping[str, str] | None = None) -> Java | None:
    """Return the first usable Java of ``JAVA_HOME`` and ``PATH``, or None.

    Parameters
    ----------
    environ : mapping of str to str, optional
        Where the two variables are read; default is the process's environment.
    """
    return next((found for found in map(_probe, _candidates(environ)) if isinstance(found, Java)), None)


def require_java(environ: Mapping[str, str] | None = None) -> Java:
    """Return a usable Java.

    Raises
    ------
    UnavailableError
        If there is none; the message says what was found instead and how to install one.
    """
    refused: list[str] = []
    for candidate in _candidates(environ):
        found = _probe(candidate)
        if isinstance(found, Java):
            return found
        refused.append(f"{candidate}: {found}")
    seen = "".join(f"\n  {line}" for line in refused) or " nothing"
    raise UnavailableError(
        f"Java {MINIMUM_VERSION} or newer is needed; JAVA_HOME and PATH hold{':' if refused else ''}{seen}\n"
        f"Install it, then run the same command again:\n{INSTALL_HELP}"
    )


def ensure_java(say: Say, environ: Mapping[str, str] | None = None, *, as_root: bool | None = None) -> Java:
    """Return a usable Java, installed by apt where there is none and this process may.

    Parameters
    ----------
    say : callable
        Receives one line before each thing done to the system.
    environ : mapping of str to str, optional
        As in `find_java`; also the environment of apt.
    as_root : bool, optional
        Whether the system may be changed; default is whether this process is root.

    Raises
    ------
    UnavailableError
        If there is no Java and it could not be installed.
    """
    environ = os.environ if environ is None else environ
    found = find_java(environ)
    if found is None and (os.geteuid() == 0 if as_root is None else as_root):
        _install(say, environ)
    return found or require_java(environ)


def _candidates(environ: Mapping[str, str] | None) -> list[Path]:
    environ = os.environ if environ is None else environ
    home, on_path = environ.get("JAVA_HOME"), shutil.which("java", path=environ.get("PATH", ""))
    places = [Path(home) / "bin" / "java"] if home else []
    return places + ([Path(on_path)] if on_path else [])


def _probe(executable: Path) -> Java | str:
    """Start a Java once and tell what it is, or why it cannot be used (some are stubs, some too old)."""
    settings = ["-XshowSettings:properties", "-version"]
    code, output = _run(executable, [f"--add-modules={REQUIRED_MODULE}", *settings])
    has_module = code == 0
    if not has_module:
        code, output = _run(executable, settings)
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", output)
    home = re.search(r"java\.home = (.+)", output)
    if code != 0 or version is None or home is None:
        return f"does not run ({(output.strip().splitlines() or ['no output'])[0]})"
    if int(version[1]) < MINIMUM_VERSION:
        return f"is version {version[1]}"
    if not has_module:
        return f"is version {version[1]} without the module {REQUIRED_MODULE}, which Spark needs"
    return Java(executable, Path(home[1].strip()), int(version[1]))


def _run(executable: Path, arguments: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603  # the user's own Java, no shell
            [executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PROBE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout.decode(errors="replace")


def _install(say: Say, environ: Mapping[str, str]) -> None:
    apt = shutil.which("apt-get", path=environ.get("PATH", ""))
    if apt is None:
        return
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    say("No Java here. Refreshing the package lists: apt-get update")
    _apt([apt, "update", "-q"], quiet)
    for package in APT_PACKAGES:
        command = [apt, "install", "-y", "-q", "--no-install-recommends", package]
        say(f"Installing Java: apt-get install -y --no-install-recommends {package}")
        if _apt(command, quiet) and find_java(environ):
            return
    say("apt-get could not install Java")


def _apt(command: list[str], environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
