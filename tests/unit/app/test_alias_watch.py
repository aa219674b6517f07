"""A registry that is asked now and then; its alias moves, and it is away for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from detector.app.alias_watch import AliasWatch
from models.errors import ArtifactCorruptError, StoreError


@dataclass
class FakeRegistry:
    """Answers with a version, or fails."""

    version: str = "0001"
    failure: Exception | None = None
    asked: int = 0

    def resolve(self) -> str:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.version


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def moved(registry: FakeRegistry) -> Callable[[float], str | None]:
    return AliasWatch(registry.resolve, "0001", every_seconds=5.0).moved


def test_a_move_is_told_once(registry: FakeRegistry, moved: Callable[[float], str | None]) -> None:
    assert moved(100.0) is None
    registry.version = "0002"

    assert moved(105.0) == "0002"
    assert moved(110.0) is None


def test_the_registry_is_asked_at_most_so_often(registry: FakeRegistry, moved: Callable[[float], str | None]) -> None:
    assert moved(100.0) is None
    registry.version = "0002"
    assert [moved(100.0 + seconds) for seconds in (0.2, 2.5, 4.9)] == [None, None, None]

    assert registry.asked == 1
    assert moved(105.0) == "0002"
    assert registry.asked == 2


def test_a_move_back_and_a_move_to_what_was_refused_before_are_moves(
    registry: FakeRegistry, moved: Callable[[float], str | None]
) -> None:
    told = []
    for second, version in enumerate(("0002", "0001", "0001", "0002")):
        registry.version = version
        told.append(moved(100.0 + 5 * second))

    assert told == ["0002", "0001", None, "0002"]


@pytest.mark.parametrize(
    "failure", [StoreError("s3 is away"), ArtifactCorruptError("aliases.json: no JSON"), TimeoutError("nfs")]
)
def test_a_registry_that_is_away_is_warned_of_once_and_asked_again_no_more_often(
    registry: FakeRegistry, moved: Callable[[float], str | None], failure: Exception
) -> None:
    registry.failure = failure
    with capture_logs() as logs:
        assert [moved(100.0 + second) for second in range(20)] == [None] * 20
    assert registry.asked == 4
    assert [(line["log_level"], line["why"], line["model"]) for line in logs] == [("warning", str(failure), "0001")]


def test_what_moved_while_the_registry_was_away_is_told_when_it_is_back(
    registry: FakeRegistry, moved: Callable[[float], str | None]
) -> None:
    registry.failure = StoreError("away")
    with capture_logs() as logs:
        assert moved(100.0) is None
        registry.failure, registry.version = None, "0002"
        assert moved(105.0) == "0002"
        registry.failure = StoreError("away again")
        assert moved(110.0) is None

    assert [line["log_level"] for line in logs] == ["warning", "info", "warning"]


def test_a_defect_is_not_taken_for_a_registry_that_is_away(
    registry: FakeRegistry, moved: Callable[[float], str | None]
) -> None:
    registry.failure = KeyError("defect")
    with pytest.raises(KeyError):
        moved(100.0)
