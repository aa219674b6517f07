from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detector.app import class_archive, class_recording
from detector.kafka.java import Java


def fake_java(home: Path) -> Java:
    (home / "lib").mkdir(parents=True)
    (home / "lib" / "modules").write_bytes(b"modules")
    return Java(executable=home / "bin" / "java", home=home, version=17)


def test_without_an_archive_the_jvm_gets_no_option(tmp_path: Path) -> None:
    java = fake_java(tmp_path)
    assert not class_archive.exists(java)
    assert class_archive.use_option(java) == ""


def test_another_java_has_another_archive(tmp_path: Path) -> None:
    one = fake_java(tmp_path / "one")
    path = class_archive.archive_path(one)
    assert path == class_archive.archive_path(one)
    assert path != class_archive.archive_path(replace(one, home=fake_java(tmp_path / "two").home))


def test_a_java_that_was_replaced_has_another_archive(tmp_path: Path) -> None:
    java = fake_java(tmp_path)
    before = class_archive.archive_path(java)
    (tmp_path / "lib" / "modules").unlink()
    assert class_archive.archive_path(java) != before


def test_an_environment_that_cannot_be_written_is_said_and_nothing_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "share").write_text("a file where the directory would be")
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    said: list[str] = []
    class_recording.prepare(fake_java(tmp_path / "java"), said.append)
    assert len(said) == 1
    assert "cannot be written" in said[0]
