"""A stand-in for Java that also plays Ivy, and the directory that it downloads from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from detector.kafka.ivy import Coordinate
from detector.kafka.jars import LockedJar

if TYPE_CHECKING:
    from pathlib import Path

FAKE_JAVA = """#!/bin/sh
echo "$*" >> "{calls}"
case "$*" in
  *-version*) printf 'java.home = /opt/java\\njava.specification.version = 17\\n' >&2;;
  *) mkdir jars && cp -R "{registry}/." jars && cat "{registry}.says"; exit 1;;
esac
"""


@dataclass
class FakeRegistry:
    """What the stand-in for Ivy brings, and a record of how often Java was started."""

    directory: Path
    calls: Path

    def publish(self, name: str, content: bytes) -> LockedJar:
        place = self.directory / "org.example" / name / "1.0"
        place.mkdir(parents=True)
        (place / f"{name}.jar").write_bytes(content)
        with self.says.open("a") as says:
            says.write(f"\t[SUCCESSFUL ] org.example#{name};1.0!{name}.jar (12ms)\n")
        return LockedJar(Coordinate("org.example", name, "1.0"), hashlib.sha256(content).hexdigest())

    @property
    def says(self) -> Path:
        return self.directory.with_suffix(".says")

    @property
    def java_starts(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    @property
    def downloads(self) -> int:
        return sum("ivy" in line for line in self.java_starts)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    fake = FakeRegistry(tmp_path / "registry", tmp_path / "java-calls")
    fake.directory.mkdir()
    fake.says.touch()
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(FAKE_JAVA.format(calls=fake.calls, registry=fake.directory))
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(java.parent.parent))
    return fake
