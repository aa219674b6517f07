"""The thread of the ledger, against a ledger that a test holds at each call."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from detector.app.rejects import SAVE_EVERY_BATCHES, FinishedBatch, LedgerWorker
from detector.errors import TransientError
from detector.kafka.dead_letter import PublishedLetters, Reread
from detector.kafka.range_reader import OffsetRange
from detector.kafka.source import Offsets

PATIENCE = 10.0  # seconds until a test fails instead of hanging


class FakeLedger:
    """Does each call as the test's next answer says, and tells of it."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[str, object]] = queue.Queue()
        self.answers: queue.Queue[Exception | None] = queue.Queue()

    def publish(self, rereads: tuple[Reread, ...]) -> PublishedLetters:
        self._answer("publish", rereads)
        return PublishedLetters(Counter({"bad_json": len(rereads)}))

    def save_progress(self, end: Offsets) -> None:
        self._answer("save", end)

    def close(self) -> None:
        self.calls.put(("close", None))

    def allow(self, *answers: Exception | None) -> None:
        for answer in answers:
            self.answers.put(answer)

    def next_call(self) -> tuple[str, object]:
        return self.calls.get(timeout=PATIENCE)

    def _answer(self, name: str, argument: object) -> None:
        self.calls.put((name, argument))
        answer = self.answers.get(timeout=PATIENCE)
        if answer is not None:
            raise answer


class Desk:
    """A running worker and its ledger."""

    def __init__(self, max_backlog: int = 2) -> None:
        self.ledger = FakeLedger()
        self.published: list[PublishedLetters] = []
        self.worker = LedgerWorker(self.ledger, max_backlog, self.published.append, retry_seconds=0.01)  # type: ignore[arg-type]

    def stop(self) -> bool:
        self.ledger.allow(*[None] * 8)
        return self.worker.stop(PATIENCE)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.stop()


def batch(number: int, *, rejects: bool = True) -> FinishedBatch:
    rereads = (Reread((OffsetRange("sensors", 0, 10 * number, 10 * number + 1),)),) if rejects else ()
    return FinishedBatch(number, {"sensors": {0: 10 * number + 10}}, rereads)


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_rejects_are_published_and_then_recorded_as_done(desk: Desk) -> None:
    desk.ledger.allow(None, None)
    desk.worker.start()
    desk.worker.add(batch(1))

    assert desk.ledger.next_call() == ("publish", batch(1).rereads)
    assert desk.ledger.next_call() == ("save", batch(1).end)
    assert desk.published == [PublishedLetters(Counter(bad_json=1))]


def test_batches_are_worked_through_in_their_order(desk: Desk) -> None:
    for number in range(3):
        desk.worker.add(batch(number))
    desk.ledger.allow(*[None] * 6)
    desk.worker.start()

    calls = [desk.ledger.next_call() for _ in range(6)]

    assert [argument for name, argument in calls if name == "save"] == [batch(n).end for n in range(3)]
    assert [name for name, _ in calls] == ["publish", "save"] * 3


def test_a_stop_works_off_the_backlog_saves_the_progress_and_closes() -> None:
    desk = Desk()
    desk.worker.add(batch(1, rejects=False))
    desk.worker.add(batch(2, rejects=False))
    desk.worker.start()

    assert desk.stop()
    calls = [desk.ledger.next_call() for _ in range(4)]
    assert [name for name, _ in calls] == ["publish", "publish", "save", "close"]
    assert calls[2][1] == batch(2).end
    assert desk.worker.backlog == 0


def test_the_progress_of_batches_without_letters_is_saved_before_the_checkpoint_forgets_them(desk: Desk) -> None:
    desk.ledger.allow(*[None] * (SAVE_EVERY_BATCHES + 1))
    for number in range(SAVE_EVERY_BATCHES):
        desk.worker.add(batch(number, rejects=False))
    desk.worker.start()

    calls = [desk.ledger.next_call() for _ in range(SAVE_EVERY_BATCHES + 1)]

    assert [name for name, _ in calls] == ["publish"] * SAVE_EVERY_BATCHES + ["save"]
    assert calls[-1][1] == batch(SAVE_EVERY_BATCHES - 1).end


def test_a_failed_publication_is_tried_again(desk: Desk) -> None:
    desk.ledger.allow(TransientError("no answer"), None, None)
    desk.worker.start()
    desk.worker.add(batch(1))

    calls = [desk.ledger.next_call() for _ in range(3)]

    assert [name for name, _ in calls] == ["publish", "publish", "save"]
    assert desk.published == [PublishedLetters(Counter(bad_json=1))]


def test_progress_that_cannot_be_saved_does_not_publish_the_rejects_again(desk: Desk) -> None:
    desk.ledger.allow(None, TransientError("no answer"), None, None)
    desk.worker.start()
    desk.worker.add(batch(1))
    first = [desk.ledger.next_call() for _ in range(2)]
    desk.worker.add(batch(2))

    then = [desk.ledger.next_call() for _ in range(2)]

    assert [name for name, _ in first] == ["publish", "save"]
    assert then == [("publish", batch(2).rereads), ("save", batch(2).end)]


def test_a_failure_while_stopping_leaves_the_batch_for_the_next_start() -> None:
    desk = Desk()
    desk.worker.start()
    desk.worker.add(batch(1))
    assert desk.ledger.next_call()[0] == "publish"
    stopped: list[bool] = []
    stopping = in_thread(lambda: stopped.append(desk.worker.stop(PATIENCE)))
    desk.ledger.allow(TransientError("no answer"))
    stopping.join(PATIENCE)

    assert stopped == [False]
    assert desk.ledger.next_call() == ("close", None)
    assert desk.worker.backlog == 1


def test_a_stop_does_not_wait_longer_than_it_was_told() -> None:
    desk = Desk()
    desk.worker.start()
    desk.worker.add(batch(1))
    desk.ledger.next_call()

    assert not desk.worker.stop(0.0)
    assert desk.stop()


def test_a_full_backlog_holds_the_query_until_a_batch_is_done(desk: Desk) -> None:
    desk.worker.add(batch(1))
    desk.worker.add(batch(2))
    desk.worker.start()
    desk.ledger.next_call()
    waiting = in_thread(desk.worker.wait_for_room)

    assert waiting.is_alive()
    assert desk.worker.backlog == 2
    desk.ledger.allow(None)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_a_stop_lets_go_of_a_query_that_waits() -> None:
    desk = Desk(max_backlog=1)
    desk.worker.start()
    desk.worker.add(batch(1))
    desk.ledger.next_call()
    waiting = in_thread(desk.worker.wait_for_room)
    desk.worker.stop(0.0)
    waiting.join(PATIENCE)

    assert not waiting.is_alive()
    desk.stop()


def test_a_thread_that_ended_by_a_defect_is_told_to_the_query() -> None:
    desk = Desk(max_backlog=1)
    desk.ledger.allow(ZeroDivisionError("a defect"))
    desk.worker.add(batch(1))
    desk.worker.start()

    with pytest.raises(ZeroDivisionError, match="a defect"):
        desk.worker.wait_for_room()
    assert [desk.ledger.next_call()[0] for _ in range(2)] == ["publish", "close"]
