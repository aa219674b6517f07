from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from detector.errors import UnavailableError
from detector.kafka.jars import LOCK_FILE, cache_directory, locked_jars, provide

if TYPE_CHECKING:
    from tests.unit.kafka_setup.conftest import FakeRegistry


@pytest.mark.parametrize(("group", "count"), [("broker", 46), ("connector", 4)])
def test_the_lock_declares_each_jar_once_with_a_sha256(group: str, count: int) -> None:
    jars = locked_jars(group)
    assert len({jar.file_name for jar in jars}) == len({jar.coordinate for jar in jars}) == len(jars) == count
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)


def test_the_lock_pins_what_the_design_names() -> None:
    connector = {str(jar.coordinate) for jar in locked_jars("connector")}
    assert connector == {
        "org.apache.commons:commons-pool2:2.12.1",
        "org.apache.kafka:kafka-clients:3.9.2",
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.2.0",
    }
    broker = {str(jar.coordinate) for jar in locked_jars("broker")}
    assert {"org.apache.kafka:kafka_2.13:4.2.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3"} <= broker


def test_the_lock_names_no_registry() -> None:
    assert "://" not in LOCK_FILE.read_text()


def test_the_cache_is_where_the_environment_says() -> None:
    assert cache_directory({"TIDEMARK_CACHE": "/own", "XDG_CACHE_HOME": "/shared"}) == Path("/own")
    assert cache_directory({"XDG_CACHE_HOME": "/shared"}) == Path("/shared/tidemark")
    assert cache_directory({}) == Path.home() / ".cache" / "tidemark"


def test_absent_jars_are_downloaded_and_kept_under_their_names(registry: FakeRegistry, tmp_path: Path) -> None:
    jars = [registry.publish("one", b"first"), registry.publish("two", b"second")]
    came: list[tuple[str, int, int]] = []
    paths = provide(jars, tmp_path / "cache", lambda *event: came.append(event))
    assert [path.name for path in paths] == ["org.example_one-1.0.jar", "org.example_two-1.0.jar"]
    assert [path.read_bytes() for path in paths] == [b"first", b"second"]
    assert came == [("one.jar", 1, 2), ("two.jar", 2, 2)]


def test_a_second_call_starts_no_java(registry: FakeRegistry, tmp_path: Path) -> None:
    jars = [registry.publish("one", b"first")]
    first = provide(jars, tmp_path / "cache")
    starts = registry.java_starts
    assert provide(jars, tmp_path / "cache") == first
    assert registry.java_starts == starts


def test_a_complete_cache_is_only_read(registry: FakeRegistry, tmp_path: Path) -> None:
    jar = registry.publish("one", b"first")
    (tmp_path / jar.file_name).write_bytes(b"first")
    before = sorted(tmp_path.iterdir())
    assert provide([jar], tmp_path) == [tmp_path / jar.file_name]
    assert sorted(tmp_path.iterdir()) == before


def test_only_what_is_absent_is_kept_from_a_download(registry: FakeRegistry, tmp_path: Path) -> None:
    one, two = registry.publish("one", b"first"), registry.publish("two", b"second")
    provide([one], tmp_path / "cache")
    provide([one, two], tmp_path / "cache")
    assert registry.downloads == 2
    assert {path.name for path in (tmp_path / "cache").glob("*.jar")} == {one.file_name, two.file_name}


def test_a_corrupted_jar_is_refused_with_both_digests(registry: FakeRegistry, tmp_path: Path) -> None:
    jar = registry.publish("one", b"first")
    (path,) = provide([jar], tmp_path / "cache")
    path.write_bytes(b"changed")
    with pytest.raises(UnavailableError) as refused:
        provide([jar], tmp_path / "cache")
    message = str(refused.value)
    assert "org.example:one:1.0" in message
    assert f"expected sha256 {jar.sha256}" in message
    assert f"found {hashlib.sha256(b'changed').hexdigest()}" in message
    assert str(path) in message


def test_a_download_with_other_content_is_not_kept(registry: FakeRegistry, tmp_path: Path) -> None:
    jar = registry.publish("one", b"first")
    next(registry.directory.glob("*/*/*/one.jar")).write_bytes(b"somebody else's")
    with pytest.raises(UnavailableError, match=r"org\.example:one:1\.0 is not the jar that Tidemark declares"):
        provide([jar], tmp_path / "cache")
    assert list((tmp_path / "cache").glob("**/*.jar")) == []


def test_a_failed_download_shows_what_ivy_said(registry: FakeRegistry, tmp_path: Path) -> None:
    jar = registry.publish("one", b"first")
    next(registry.directory.glob("*/*/*/one.jar")).unlink()
    registry.says.write_text("UNRESOLVED DEPENDENCIES: one: no route to host\n")
    with pytest.raises(UnavailableError, match=r"org\.example:one:1\.0[\s\S]*no route to host"):
        provide([jar], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(registry: FakeRegistry, tmp_path: Path) -> None:
    jar = registry.publish("one", b"first")
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="TIDEMARK_CACHE"):
        provide([jar], tmp_path / "file" / "cache")


def test_callers_at_the_same_time_download_once(registry: FakeRegistry, tmp_path: Path) -> None:
    jars = [registry.publish("one", b"first"), registry.publish("two", b"second")]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(provide, jars, tmp_path / "cache") for _ in range(4)]
        paths = {tuple(answer.result()) for answer in answers}
    assert len(paths) == 1
    assert registry.downloads == 1
