"""Which query runs when, and what begins again after Kafka did not answer; the queries themselves are made up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.app.alias_watch import AliasWatch
from detector.app.catch_up import Backlog
from detector.app.checkpoint import Checkpoint
from detector.app.judge import Judge, Model
from detector.app.outages import MAX_IN_A_ROW, Patience
from detector.app.serving import Serving
from detector.app.succession import Succession
from detector.errors import FencedError, TransientError
from detector.kafka.marker import Marker
from detector.settings import load
from tests.unit.models.test_models_artifact import MANIFEST

FROM_SPARK = "ExecutionException: org.apache.kafka.common.errors.TimeoutException: Timed out. Call: listNodes"
LOST_READ = (
    "An error occurred while calling o106.count.\n: org.apache.spark.SparkException: Job aborted due to stage failure: "
    "java.util.concurrent.TimeoutException: Cannot fetch record for offset 12 in 120000 milliseconds"
)


class FakeQuery:
    """A query that runs until it is stopped, or has ended."""

    def __init__(self, error: str | None, *, runs: bool) -> None:
        self.error, self.isActive = error, runs

    def exception(self) -> Exception | None:
        return None if self.error is None else Exception(self.error)


class FakePublisher:
    """What the queries publish through."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.failure: Exception | None = None


class Scene:
    """Queries that end one after another as a script says: by a text of Spark's, by a failure of the sink, or well."""

    def __init__(self, directory: Path, *script: str | Exception | None) -> None:
        self.script = list(script)
        self.stopping = threading.Event()
        self.publisher = FakePublisher(Checkpoint(directory))
        self.told: list[str] = []
        self.backlogs: list[Backlog | None] = []
        self.judges: list[str] = []
        settings = load(None, ("source.topics=[sensors]",), {})
        self.judge = Judge(settings, Model("0001", MANIFEST))

    @contextlib.contextmanager
    def query(self, judge: Judge, backlog: Backlog | None = None) -> Iterator[FakeQuery]:
        self.told.append("query" if backlog is None else "backlog")
        self.judges.append(judge.model.version)
        end = self.script.pop(0)
        self.publisher.failure = end if isinstance(end, Exception) else None
        if end is None and backlog is None and not self.script:
            self.stopping.set()
        yield FakeQuery(end if isinstance(end, str) else None, runs=end is None and backlog is None)

    def resume(self) -> Marker:
        self.told.append("resume")
        return Marker(owner_uuid="me", generation=1)

    def find_backlog(self) -> Backlog | None:
        return self.backlogs.pop(0) if self.backlogs else None

    @property
    def marker(self) -> Marker:
        return Marker(owner_uuid="me", generation=1)

    def serving(
        self, answered_since: Callable[[float], bool] = lambda _: True, succession: Succession | None = None
    ) -> Serving:
        fake: Any = self
        patience = Patience(answered_since, lambda: -1, self.stopping, first_pause_seconds=0.0)
        return Serving(
            judge=self.judge,
            queries=fake,
            find_backlog=self.find_backlog,
            sink=fake,
            patience=patience,
            metrics="http://here/metrics",
            stopping=self.stopping,
            on_stop=lambda: self.told.append("stop"),
            on_running=lambda: self.told.append("running"),
            on_restart=self.told.append,
            succession=succession,
            on_succession=lambda: self.told.append("succession"),
        )


def test_a_backlog_comes_first_and_is_measured_again_after_it_was_read(tmp_path: Path) -> None:
    scene = Scene(tmp_path, None, None, None)
    scene.backlogs = [Backlog(10, 1.0), Backlog(5, 1.0)]
    scene.serving().run(None)

    assert scene.told == ["backlog", "backlog", "query", "running", "stop"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (FROM_SPARK, "reading"),
        (RuntimeError(LOST_READ), "reading"),
        (TransientError("batch 3 could not be published"), "publishing"),
    ],
)
def test_a_query_that_kafkas_silence_has_ended_begins_again_when_the_sink_has_settled(
    tmp_path: Path, end: str | Exception, reason: str
) -> None:
    scene = Scene(tmp_path, end, None)
    scene.serving().run(None)

    assert scene.told == ["query", "running", reason, "resume", "query", "running", "stop"]


def test_a_silence_while_the_backlog_is_measured_is_waited_out_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path, None)
    silent = iter([True, False])

    def find_backlog() -> Backlog | None:
        if next(silent):
            raise TransientError("Kafka does not answer")
        return None

    scene.find_backlog = find_backlog  # type: ignore[method-assign]
    scene.serving().run(None)

    assert scene.told == ["reading", "resume", "query", "running", "stop"]


def test_what_no_waiting_mends_ends_the_process(tmp_path: Path) -> None:
    for end, error in (("StateStoreException", "the query ended: StateStoreException"), (FencedError("gone"), "gone")):
        scene = Scene(tmp_path, end, None)
        with pytest.raises(Exception, match=error):
            scene.serving().run(None)
        assert scene.told == ["query", "running"]


def test_a_query_that_never_finishes_a_batch_is_not_started_for_ever(tmp_path: Path) -> None:
    scene = Scene(tmp_path, *[FROM_SPARK] * (MAX_IN_A_ROW + 1))

    with pytest.raises(TransientError, match=r"Kafka did not answer Spark .*No batch was finished over"):
        scene.serving().run(None)
    assert scene.told.count("query") == MAX_IN_A_ROW + 1


def test_a_stop_while_kafka_is_away_ends_it_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, FROM_SPARK)

    def stop_instead(_: float) -> bool:
        scene.stopping.set()
        return False

    scene.serving(stop_instead).run(None)

    assert scene.told == ["query", "running", "stop"]


def test_a_promoted_model_takes_over_between_two_batches_after_the_backlog_of_now(tmp_path: Path) -> None:
    scene = Scene(tmp_path, None, None, None)
    successor = Judge(scene.judge.settings, Model("0002", MANIFEST))
    named = iter(["0002"])
    succession = Succession(AliasWatch(lambda: next(named), "0001"), lambda _: successor, lambda: None)
    succession.look(now=0.0)
    scene.backlogs = [None, Backlog(5, 1.0)]
    scene.serving(succession=succession).run(None)

    assert scene.told == ["query", "running", "succession", "backlog", "query", "running", "stop"]
    assert scene.judges == ["0001", "0002", "0002"]


def test_an_outage_after_a_succession_leaves_the_successor_in_charge(tmp_path: Path) -> None:
    scene = Scene(tmp_path, None, FROM_SPARK, None)
    named = iter(["0002"])
    successor = Judge(scene.judge.settings, Model("0002", MANIFEST))
    succession = Succession(AliasWatch(lambda: next(named), "0001"), lambda _: successor, lambda: None)
    succession.look(now=0.0)
    scene.serving(succession=succession).run(None)

    assert scene.judges == ["0001", "0002", "0002"]


def test_a_stop_comes_before_a_succession(tmp_path: Path) -> None:
    scene = Scene(tmp_path, None)
    succession = Succession(AliasWatch(lambda: "0002", "0001"), lambda _: scene.judge, lambda: None)
    succession.look(now=0.0)
    scene.serving(succession=succession).run(None)

    assert scene.judges == ["0001"]
