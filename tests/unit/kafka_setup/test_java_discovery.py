from __future__ import annotations

from pathlib import Path

import pytest

from detector.errors import UnavailableError
from detector.kafka.java import ensure_java, find_java, require_java

WORKS = "printf 'java.home = /opt/{v}\\njava.specification.version = {v}\\n' >&2"
NO_MODULE = 'case "$*" in *--add-modules*) echo "Module not found"; exit 1;; esac; '


def program(place: Path, script: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return place


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    home = program(tmp_path / "home" / "bin" / "java", WORKS.format(v=21))
    on_path = program(tmp_path / "path" / "java", WORKS.format(v=17))
    found = find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)})
    assert found is not None
    assert (found.executable, found.version, found.home) == (home, 21, Path("/opt/21"))


def test_a_java_home_that_is_too_old_gives_way_to_the_path(tmp_path: Path) -> None:
    program(tmp_path / "home" / "bin" / "java", WORKS.format(v="11"))
    on_path = program(tmp_path / "path" / "java", WORKS.format(v=17))
    found = find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)})
    assert found is not None
    assert found.executable == on_path


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (WORKS.format(v="1.8"), "is version 8"),
        (WORKS.format(v="11"), "is version 11"),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "Unable to locate a Java Runtime"),
        ("exit 0", "does not run"),
        (NO_MODULE + WORKS.format(v=21), "without the module jdk.incubator.vector"),
    ],
)
def test_a_java_that_cannot_serve_is_refused_with_the_reason_and_the_way_to_get_one(
    tmp_path: Path, script: str, reason: str
) -> None:
    java = program(tmp_path / "java", script)
    with pytest.raises(UnavailableError) as refused:
        require_java({"PATH": str(tmp_path)})
    message = str(refused.value)
    assert str(java) in message
    assert reason in message
    for manager in ("apt-get install", "dnf install", "brew install"):
        assert manager in message


def test_an_absent_java_is_told_with_the_line_to_type() -> None:
    assert find_java({"PATH": ""}) is None
    with pytest.raises(UnavailableError, match="apt-get install -y openjdk-17-jre-headless"):
        require_java({"PATH": ""})


def test_a_java_that_is_there_is_taken_without_touching_the_system(tmp_path: Path) -> None:
    program(tmp_path / "java", WORKS.format(v=17))
    program(tmp_path / "apt-get", f"touch {tmp_path}/touched")
    said: list[str] = []
    assert ensure_java(said.append, {"PATH": str(tmp_path)}, as_root=True).version == 17
    assert said == []
    assert not (tmp_path / "touched").exists()


def test_root_on_debian_gets_java_installed_and_is_told_so(tmp_path: Path) -> None:
    ready = program(tmp_path / "ready", WORKS.format(v=21))
    # Like Debian 13: the first package is unknown, the second one installs.
    script = f'case "$*" in *openjdk-17*) exit 100;; *openjdk-21*) cp {ready} {tmp_path}/java;; esac'
    program(tmp_path / "apt-get", script)
    said: list[str] = []
    java = ensure_java(said.append, _copy_on_path(tmp_path), as_root=True)
    assert java.executable == tmp_path / "java"
    assert any("openjdk-21-jre-headless" in line for line in said)


def _copy_on_path(place: Path) -> dict[str, str]:
    """Give the fake apt-get its `cp`, but not the java of this machine."""
    program(place / "cp", 'exec /bin/cp "$@"')
    return {"PATH": str(place)}


def test_an_installation_that_fails_ends_with_the_lines_to_type(tmp_path: Path) -> None:
    program(tmp_path / "apt-get", "exit 100")
    with pytest.raises(UnavailableError, match="brew install"):
        ensure_java(lambda _: None, {"PATH": str(tmp_path)}, as_root=True)


def test_nobody_but_root_runs_apt(tmp_path: Path) -> None:
    program(tmp_path / "apt-get", f"touch {tmp_path}/touched")
    with pytest.raises(UnavailableError, match="dnf install"):
        ensure_java(lambda _: None, {"PATH": str(tmp_path)}, as_root=False)
    assert not (tmp_path / "touched").exists()
