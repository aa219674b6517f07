"""The fenced-marker protocol: alerts of a micro-batch reach Kafka exactly once.

Spark re-runs a micro-batch until its call returns (at least once) and names it by a batch id. Each
transaction carries, beside the alerts, a marker that names the batch; whoever may publish has fenced all
others before it read the marker (at most once). ::

    start:   look -> [owner alive elsewhere: FencedError; another history: ContractError], nobody was fenced yet
             fence (init_transactions) -> read marker -> check against the checkpoint -> write generation + 1
    adopt:   as start, with an empty checkpoint under another history's marker: before the marker is written, the
             checkpoint learns what that history has published; the new marker names no query and no batch yet
    resume:  after a publish that gave up: look, new producer, read marker, as below; Spark then calls publish again
    publish: batch == marker         -> replay of a published batch: skip
             batch <  marker         -> the checkpoint was rolled back: ContractError
             no alerts, marker young -> nothing to do
             else                    -> begin, alerts, marker, commit
               aborted, uncertain, slow, connection lost
                         -> look: a later owner -> FencedError, and it is not fenced
                            new producer (its epoch voids what is still under way), read marker:
                              this one -> done; the one before -> again, until the deadline; else -> FencedError
               fenced    -> FencedError, never re-initialise

Not here: what it is told and needs (``sink_port``), what a start refuses (``refusals``), Kafka calls (``commit_log``),
Spark (``detector.app.stream``), the checkpoint's files (``detector.app.checkpoint``).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from detector.errors import ContractError, FencedError, TransientError
from detector.kafka import refusals
from detector.kafka.commit_log import AbortedError, OutgoingMessage, UncertainError
from detector.kafka.marker import Marker
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, JudgedBy, Published, SinkSpec, TransactionalLog

SLOW_COMMIT_SECONDS: Final = 1.0  # a slower commit may have been retried behind our back: recycle the producer
RETRY_SECONDS: Final = 0.5  # between attempts, so that a broker that refuses at once is not hammered


class AlertSink:
    """Publishes the alerts of micro-batches exactly once.

    Parameters
    ----------
    log : TransactionalLog
        The port to Kafka.
    spec : SinkSpec
        Identity and patience.
    clock : callable
        Epoch seconds; written into markers and held against them at start, never used for correctness.
    pause : callable
        Waits some seconds between two attempts.
    """

    def __init__(
        self,
        log: TransactionalLog,
        spec: SinkSpec,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._log = log
        self._spec = spec
        self._clock = clock
        self._pause = pause
        self._instance = uuid.uuid4().hex
        self._marker: Marker | None = None
        self._recycle = False

    @property
    def marker(self) -> Marker:
        """The newest marker this process knows; there is one after `start`."""
        if self._marker is None:
            raise RuntimeError("the sink was not started")
        return self._marker

    def start(self, checkpoint: CheckpointFacts, adopt: Callable[[Marker], None] | None = None) -> Marker | None:
        """Take ownership.

        Parameters
        ----------
        checkpoint : CheckpointFacts
            The checkpoint that this process will run from.
        adopt : callable or None
            Lets an empty checkpoint carry on what another one has published: told of that one's marker when nobody
            can publish any more, it makes durable what the checkpoint must know of it. It may be called again by a
            later start. None: another history is refused.

        Returns
        -------
        Marker or None
            The marker of the last batch that was published from this checkpoint before this start.

        Raises
        ------
        FencedError
            If another checkpoint's process seems alive under the same identity.
        ContractError
            If marker and checkpoint contradict each other.
        TransientError
            If Kafka does not answer.
        """
        seen = self._log.read_marker(settled=False)
        adoptable = adopt is not None and checkpoint.query_id is None
        if seen is not None:  # a start that will be refused must not fence the one that runs
            refusals.a_living_owner(seen, checkpoint, self._spec, self._clock())
            refusals.other_topics(seen, checkpoint, self._spec)
            refusals.another_history(seen, checkpoint, self._spec, adoptable=adoptable)
        self._log.open()
        found = self._log.read_marker()
        refusals.a_lost_marker(found, checkpoint, self._spec)
        before = found or Marker(owner_uuid=checkpoint.owner_uuid, generation=0)
        refusals.another_history(before, checkpoint, self._spec, adoptable=adoptable)
        if adopt is not None and refusals.of_another(before, checkpoint):
            adopt(before)
            before = Marker(
                owner_uuid=checkpoint.owner_uuid,
                generation=before.generation,
                emitted_watermark=before.emitted_watermark,
            )
        mine = msgspec.structs.replace(
            before,
            owner_uuid=checkpoint.owner_uuid,
            generation=before.generation + 1,
            instance=self._instance,
            topic_uuids=dict(self._spec.topic_uuids),
            time=self._clock(),
        )
        self._transact(list, found, mine, time.monotonic() + self._spec.deadline_seconds)
        self._marker = mine
        return before if found else None

    def resume(self) -> Marker:
        """Go on in this process after `publish` gave up: settle what is under way, and learn what was published.

        Returns
        -------
        Marker
            The marker of the last batch that was published.

        Raises
        ------
        FencedError
            If another owner has started since; that one is not fenced.
        TransientError
            If Kafka does not answer; it may be called again.
        """
        found = self._settle(self.marker.generation)
        if found is None or found.instance != self._instance:
            raise self._fenced_by(found)
        self._marker = found
        return found

    def publish(
        self, batch: BatchFacts, judged_by: JudgedBy, messages: Callable[[], Iterable[OutgoingMessage]], count: int
    ) -> Published:
        """Publish one micro-batch; returns when its alerts are committed or need not be.

        Parameters
        ----------
        batch : BatchFacts
            The batch as the checkpoint names it.
        judged_by : JudgedBy
            What judged it.
        messages : callable
            Yields the batch's alerts, the same each time it is called.
        count : int
            How many there are.

        Returns
        -------
        Published

        Raises
        ------
        FencedError, ContractError, TransientError
            As in `start`; the batch is then not committed, or known to be by its marker.
        """
        started = time.monotonic()
        marker = self.marker
        if batch.batch_id == marker.batch_id:
            self._check_replay(batch)
            return Published("skipped_replay", time.monotonic() - started)
        if batch.batch_id < marker.batch_id:
            raise ContractError(
                f"batch {batch.batch_id} comes after batch {marker.batch_id} was published: the checkpoint was rolled "
                "back. Restore the newer checkpoint, or move it away and start with --adopt"
            )
        if not count and self._clock() - marker.time < self._spec.marker_interval_seconds:
            return Published("empty", time.monotonic() - started)
        following = msgspec.structs.replace(
            marker,
            spark_query_id=batch.query_id,
            batch_id=batch.batch_id,
            offsets_sha256=batch.offsets_sha256,
            end_offsets=batch.end_offsets,
            emitted_watermark=_later(marker.emitted_watermark, batch.watermark),
            model_digest=judged_by.model,
            config_digest=judged_by.config,
            time=self._clock(),
        )
        uncertain, aborted = self._transact(messages, marker, following, started + self._spec.deadline_seconds)
        self._marker = following
        return Published("committed", time.monotonic() - started, uncertain, aborted)

    def close(self) -> None:
        """Drop the producer."""
        self._log.close()

    def _transact(
        self, messages: Callable[[], Iterable[OutgoingMessage]], before: Marker | None, marker: Marker, deadline: float
    ) -> tuple[int, int]:
        """Commit one transaction; returns how often its outcome was uncertain and how often it was aborted."""
        uncertain = aborted = 0
        while True:
            try:
                doubtful = self._recycle or self._log.disconnects > 0
                if doubtful and self._reopen(before, marker):
                    return uncertain, aborted
                seconds = self._log.publish(messages(), marker)
                self._recycle = seconds > SLOW_COMMIT_SECONDS
            except AbortedError as error:
                aborted += 1
                last: Exception = error
            except (UncertainError, TransientError) as error:
                uncertain += 1
                last = error
            else:
                return uncertain, aborted
            self._recycle = True
            if time.monotonic() > deadline:
                raise TransientError(
                    f"batch {marker.batch_id} of {self._spec.deployment!r} could not be published ({last}); it will be "
                    "published after a restart. Check the brokers"
                ) from last
            self._pause(RETRY_SECONDS)

    def _reopen(self, before: Marker | None, marker: Marker) -> bool:
        """Recycle the producer; True if `marker` was committed."""
        newest = self._settle(marker.generation)
        if newest not in (before, marker):
            raise self._fenced_by(newest)
        return newest == marker

    def _settle(self, generation: int) -> Marker | None:
        """Recycle the producer, which settles every earlier transaction; return the marker that stands then."""
        seen = self._log.read_marker(settled=False)
        if seen is not None and seen.instance != self._instance and seen.generation >= generation:
            raise self._fenced_by(seen)
        self._log.open()
        newest = self._log.read_marker()
        self._recycle = False
        return newest

    def _fenced_by(self, owner: Marker | None) -> FencedError:
        who = f"{owner.owner_uuid} (start {owner.generation})" if owner else "nobody, its marker is gone"
        return FencedError(f"{self._spec.deployment!r} belongs to {who} now; this instance stops")

    def _check_replay(self, batch: BatchFacts) -> None:
        marker = self.marker
        if (marker.offsets_sha256, marker.spark_query_id) != (batch.offsets_sha256, batch.query_id):
            raise ContractError(
                f"batch {batch.batch_id} was published from other offsets than the checkpoint names now: this "
                f"checkpoint of {self._spec.deployment!r} is not the one that published it. Restore that one, or move "
                "this one away and start with --adopt"
            )


def _later(one: float | None, other: float | None) -> float | None:
    """Return the later watermark: one that adopts reads again what was judged before, and that stays published."""
    return max((each for each in (one, other) if each is not None), default=None)
