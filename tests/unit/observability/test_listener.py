from __future__ import annotations

import uuid

from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
)

from detector.observability.listener import ProgressListener, QueryTermination

from .recorded import FIRST_BATCH, LATER_BATCH, QUERY_ID, RUN_ID, report

OTHER_RUN = "00000000-0000-4000-8000-000000000000"


class Heard:
    """Collects what the listener hands on, in order."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.listener = ProgressListener(
            "tidemark",
            on_started=lambda run: self.events.append(("started", run)),
            on_batch=lambda progress: self.events.append(("batch", progress.run_id, progress.batch_id)),
            on_idle=lambda run: self.events.append(("idle", run)),
            on_terminated=self.events.append,
        )

    def start(self, name: str | None, run: str) -> None:
        self.listener.onQueryStarted(
            QueryStartedEvent(uuid.UUID(QUERY_ID), uuid.UUID(run), name, "2026-11-22T16:17:02.000Z", set())
        )

    def progress(self, run: str, batch: dict[str, object]) -> None:
        self.listener.onQueryProgress(QueryProgressEvent(report(batch, runId=run)))

    def idle(self, run: str) -> None:
        self.listener.onQueryIdle(QueryIdleEvent(uuid.UUID(QUERY_ID), uuid.UUID(run), "2026-11-22T16:17:40.000Z"))

    def end(self, run: str, error: str | None = None, error_class: str | None = None) -> None:
        self.listener.onQueryTerminated(QueryTerminatedEvent(uuid.UUID(QUERY_ID), uuid.UUID(run), error, error_class))


def test_a_run_is_followed_from_its_start_to_its_end() -> None:
    heard = Heard()
    heard.start("tidemark", RUN_ID)
    heard.progress(RUN_ID, FIRST_BATCH)
    heard.idle(RUN_ID)
    heard.progress(RUN_ID, LATER_BATCH)
    heard.end(RUN_ID)
    assert heard.events == [
        ("started", RUN_ID),
        ("batch", RUN_ID, 0),
        ("idle", RUN_ID),
        ("batch", RUN_ID, 2),
        QueryTermination(RUN_ID, error=None, error_class=None),
    ]


def test_other_queries_of_the_session_are_ignored() -> None:
    heard = Heard()
    for name, run in [("another", RUN_ID), (None, OTHER_RUN)]:
        heard.start(name, run)
        heard.progress(run, FIRST_BATCH)
        heard.idle(run)
        heard.end(run)
    assert heard.events == []


def test_a_failed_run_gives_the_text_and_the_class_of_its_error() -> None:
    heard = Heard()
    heard.start("tidemark", RUN_ID)
    heard.end(RUN_ID, "ValueError: boom in batch 4", "FOREACH_BATCH_USER_FUNCTION_ERROR")
    assert heard.events[-1] == QueryTermination(
        RUN_ID, error="ValueError: boom in batch 4", error_class="FOREACH_BATCH_USER_FUNCTION_ERROR"
    )


def test_a_restarted_query_is_followed_while_the_end_of_its_old_run_is_still_on_the_way() -> None:
    heard = Heard()
    heard.start("tidemark", RUN_ID)
    heard.start("tidemark", OTHER_RUN)
    heard.end(RUN_ID)
    heard.progress(OTHER_RUN, LATER_BATCH)
    assert heard.events[2:] == [QueryTermination(RUN_ID, error=None, error_class=None), ("batch", OTHER_RUN, 2)]
