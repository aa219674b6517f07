"""What becomes of a model that is promoted while another runs; the registry is made up."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from detector.app.alias_watch import AliasWatch
from detector.app.judge import Judge, Model
from detector.app.succession import Succession
from detector.errors import ContractError
from detector.settings import load
from models.errors import ArtifactCorruptError
from tests.unit.models.test_models_artifact import MANIFEST

SETTINGS = load(None, ("source.topics=[sensors]",), {})


class Scene:
    """An alias, the versions that can be loaded, and how many were refused."""

    def __init__(self, *broken: str, error: Exception | None = None) -> None:
        self.alias, self.refused = "0001", 0
        self._broken, self._error = broken, error or ContractError("for other windows")
        self.succession = Succession(AliasWatch(lambda: self.alias, "0001"), self._load, self._refuse)

    def _load(self, version: str) -> Judge:
        if version in self._broken:
            raise self._error
        return Judge(SETTINGS, Model(version, MANIFEST))

    def follower(self) -> str | None:
        found = self.succession.take()
        return None if found is None else found.model.version

    def _refuse(self) -> None:
        self.refused += 1


def test_nobody_follows_while_the_alias_stays() -> None:
    scene = Scene()
    scene.succession.look(0.0)

    assert not scene.succession.waiting()
    assert scene.succession.take() is None


def test_a_promoted_version_follows_once() -> None:
    scene = Scene()
    scene.alias = "0002"
    scene.succession.look(0.0)

    assert scene.succession.waiting()
    assert scene.follower() == "0002"
    assert not scene.succession.waiting()


def test_the_newest_of_two_promotions_follows() -> None:
    scene = Scene()
    for at, version in enumerate(["0002", "0003"]):
        scene.alias = version
        scene.succession.look(100.0 * at)

    assert scene.follower() == "0003"


@pytest.mark.parametrize(
    "error", [ContractError("for other windows"), ArtifactCorruptError("bucket-1"), OSError("gone")]
)
def test_a_version_that_cannot_be_used_changes_nothing_and_is_said_once(error: Exception) -> None:
    scene = Scene("0002", error=error)
    scene.alias = "0002"
    with capture_logs() as logs:
        for at in range(3):
            scene.succession.look(100.0 * at)

    assert not scene.succession.waiting()
    assert scene.refused == 1
    (said,) = logs
    assert (said["model"], said["why"]) == ("0002", str(error))


def test_after_a_refusal_the_next_promotion_follows() -> None:
    scene = Scene("0002")
    for at, version in enumerate(["0002", "0003"]):
        scene.alias = version
        scene.succession.look(100.0 * at)

    assert scene.follower() == "0003"


def test_back_to_the_model_that_runs_is_no_change() -> None:
    scene = Scene("0002")
    for at, version in enumerate(["0002", "0001", "0003", "0001"]):
        scene.alias = version
        scene.succession.look(100.0 * at)

    assert not scene.succession.waiting()


def test_after_a_succession_back_to_the_one_before_is_a_change() -> None:
    scene = Scene()
    for at, version in enumerate(["0002", "0001"]):
        scene.alias = version
        scene.succession.look(100.0 * at)
        assert scene.follower() == version
