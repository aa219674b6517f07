"""Receives what Spark reports about one streaming query and hands it on as plain data.

Not here: what the facts mean for metrics (``metrics``) or readiness (``health``); the reaction to a failed
query, which belongs to the application.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql.streaming.listener import StreamingQueryListener

from detector.observability.progress import BatchProgress, parse_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql.streaming.listener import (
        QueryIdleEvent,
        QueryProgressEvent,
        QueryStartedEvent,
        QueryTerminatedEvent,
    )


@dataclass(frozen=True, slots=True)
class QueryTermination:
    """The end of one run of the query.

    Attributes
    ----------
    run_id : str
        The run that ended. Events arrive late: another run may have started already.
    error : str or None
        The exception with its trace as Spark gives it; None after an orderly stop.
    error_class : str or None
        Spark's name of the kind of error, e.g. ``FOREACH_BATCH_USER_FUNCTION_ERROR``, where it has one.
    """

    run_id: str
    error: str | None
    error_class: str | None


class ProgressListener(StreamingQueryListener):
    """Follows the runs of the query with one name, across restarts; other queries of the session are ignored.

    Register it with ``spark.streams.addListener`` before the query starts: only the start event carries the
    name, later events carry the run. Spark calls it on a thread of its own, one event at a time; an exception
    of a callback is logged by Spark and does not stop the query.

    Parameters
    ----------
    query_name : str
        What ``DataStreamWriter.queryName`` was given.
    on_started : callable
        Takes the run id, before ``start()`` returns.
    on_batch : callable
        Takes the `BatchProgress` of each batch after its commit.
    on_idle : callable
        Takes the run id whenever the source was polled and had nothing new, at most every
        ``spark.sql.streaming.noDataProgressEventInterval`` (10 s unless set).
    on_terminated : callable
        Takes the `QueryTermination` of each run.
    """

    def __init__(
        self,
        query_name: str,
        *,
        on_started: Callable[[str], None],
        on_batch: Callable[[BatchProgress], None],
        on_idle: Callable[[str], None],
        on_terminated: Callable[[QueryTermination], None],
    ) -> None:
        self._query_name = query_name
        self._on_started = on_started
        self._on_batch = on_batch
        self._on_idle = on_idle
        self._on_terminated = on_terminated
        self._runs: set[str] = set()

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's interface
        """Remember the run if the query is the one to follow."""
        if event.name == self._query_name:
            self._runs.add(str(event.runId))
            self._on_started(str(event.runId))

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's interface
        """Hand on a finished batch."""
        if str(event.progress.runId) in self._runs:
            self._on_batch(parse_progress(event.progress))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802 - Spark's interface
        """Hand on that the query is alive and has nothing to do."""
        if str(event.runId) in self._runs:
            self._on_idle(str(event.runId))

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark's interface
        """Hand on the end of the run and forget it."""
        run_id = str(event.runId)
        if run_id in self._runs:
            self._runs.remove(run_id)
            self._on_terminated(QueryTermination(run_id, event.exception, event.errorClassOnException))
