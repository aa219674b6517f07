"""The fenced-marker protocol: alerts of a micro-batch reach Kafka exactly once.

Spark re-runs a micro-batch until its call returns (at least once) and names it by a batch id. Each
transaction carries, beside the alerts, a marker that names the batch; whoever may publish has fenced all
others before it read the marker (at most once). ::

    start:   look -> [owner alive elsewhere: FencedError; another history: ContractError], nobody was fenced yet
             fence (init_transactions) -> read marker -> check against the checkpoint -> write generation + 1
    publish: batch == marker         -> replay of a published batch: skip
             batch <  marker         -> the checkpoint was rolled back: ContractError
             no alerts, marker young -> nothing to do
             else                    -> begin, alerts, marker, commit
               aborted, uncertain, slow, connection lost
                         -> look: a later owner -> FencedError, and it is not fenced
                            new producer (its epoch voids what is still under way), read marker:
                              this one -> done; the one before -> again, until the deadline; else -> FencedError
               fenced    -> FencedError, never re-initialise

Not here: what it is told and needs (``sink_port``), Kafka calls (``commit_log``), Spark
(``detector.app.stream``), the checkpoint's files (``detector.app.checkpoint``).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from detector.errors import ContractError, FencedError, TransientError
from detector.kafka.commit_log import AbortedError, Marker, OutgoingMessage, UncertainError
from detector.kafka.sink_port import BatchFacts, CheckpointFacts, JudgedBy, Published, SinkSpec, TransactionalLog

SLOW_COMMIT_SECONDS: Final = 1.0  # a slower commit may have been retried behind our back: recycle the producer
RETRY_SECONDS: Final = 0.5  # between attempts, so that a broker that refuses at once is not hammered
ALIVE_INTERVALS: Final = 3  # an owner whose marker is younger than this many marker intervals is taken for alive


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
        self._disconnects = 0
        self._recycle = False

    @property
    def marker(self) -> Marker:
        """The newest marker this process knows; there is one after `start`."""
        if self._marker is None:
            raise RuntimeError("the sink was not started")
        return self._marker

    def start(self, checkpoint: CheckpointFacts) -> Marker | None:
        """Take ownership.

        Parameters
        ----------
        checkpoint : CheckpointFacts
            The checkpoint that this process will run from.

        Returns
        -------
        Marker or None
            The marker of the last published batch before this start.

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
        if seen is not None:  # a start that will be refused must not fence the one that runs
            self._refuse_a_living_owner(seen, checkpoint)
            self._refuse_another_history(seen, checkpoint)
        self._log.open()
        self._disconnects = self._log.disconnects
        found = self._log.read_marker()
        self._refuse_a_lost_marker(found, checkpoint)
        if found is not None:
            self._refuse_another_history(found, checkpoint)
        before = found or Marker(owner_uuid=checkpoint.owner_uuid, generation=0)
        mine = msgspec.structs.replace(
            before,
            owner_uuid=checkpoint.owner_uuid,
            generation=before.generation + 1,
            instance=self._instance,
            time=self._clock(),
        )
        self._transact(list, found, mine, time.monotonic() + self._spec.deadline_seconds)
        self._marker = mine
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
                f"back. Restore the newer checkpoint, or start an empty one under another app.deployment than "
                f"{self._spec.deployment!r}"
            )
        if not count and self._clock() - marker.time < self._spec.marker_interval_seconds:
            return Published("empty", time.monotonic() - started)
        following = msgspec.structs.replace(
            marker,
            spark_query_id=batch.query_id,
            batch_id=batch.batch_id,
            offsets_sha256=batch.offsets_sha256,
            end_offsets=batch.end_offsets,
            emitted_watermark=batch.watermark,
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
                doubtful = self._recycle or self._log.disconnects != self._disconnects
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
        """Recycle the producer, which settles every earlier transaction; True if `marker` was committed."""
        seen = self._log.read_marker(settled=False)
        if seen is not None and seen.instance != self._instance and seen.generation >= marker.generation:
            raise self._fenced_by(seen)
        self._log.open()
        self._disconnects = self._log.disconnects
        newest = self._log.read_marker()
        if newest not in (before, marker):
            raise self._fenced_by(newest)
        self._recycle = False
        return newest == marker

    def _fenced_by(self, owner: Marker | None) -> FencedError:
        who = f"{owner.owner_uuid} (start {owner.generation})" if owner else "nobody, its marker is gone"
        return FencedError(f"{self._spec.deployment!r} belongs to {who} now; this instance stops")

    def _refuse_a_living_owner(self, found: Marker, checkpoint: CheckpointFacts) -> None:
        if found.owner_uuid == checkpoint.owner_uuid or self._spec.take_over:
            return
        age = self._clock() - found.time
        if age < ALIVE_INTERVALS * self._spec.marker_interval_seconds:
            raise FencedError(
                f"{self._spec.deployment!r} is run from another checkpoint (owner {found.owner_uuid}, last seen "
                f"{age:.0f} s ago). Stop that instance, give this one its own app.deployment, or pass --take-over"
            )

    def _refuse_a_lost_marker(self, found: Marker | None, checkpoint: CheckpointFacts) -> None:
        """Refuse a used checkpoint whose own marker is not there: what it has published is not known."""
        ours = found is not None and (found.spark_query_id is not None or found.owner_uuid == checkpoint.owner_uuid)
        if not ours and checkpoint.last_batch >= 0:
            raise ContractError(
                f"the checkpoint {checkpoint.place} has published batches but the commits topic has no marker for "
                f"{self._spec.deployment!r}: was the topic deleted? {self._way_back(checkpoint)}"
            )

    def _refuse_another_history(self, found: Marker, checkpoint: CheckpointFacts) -> None:
        if found.spark_query_id is None:
            return
        if found.spark_query_id != checkpoint.query_id:
            raise ContractError(
                f"the marker of {self._spec.deployment!r} belongs to query {found.spark_query_id}, the checkpoint "
                f"{checkpoint.place} to {checkpoint.query_id or 'none (it is empty)'}. {self._way_back(checkpoint)}"
            )
        if found.batch_id > checkpoint.last_batch:
            raise ContractError(
                f"batch {found.batch_id} was published but the checkpoint {checkpoint.place} ends at batch "
                f"{checkpoint.last_batch}: it was rolled back. {self._way_back(checkpoint)}"
            )

    def _way_back(self, checkpoint: CheckpointFacts) -> str:
        return (
            f"Restore the matching checkpoint in {checkpoint.place}, or start an empty one with another app.deployment "
            f"than {self._spec.deployment!r}"
        )

    def _check_replay(self, batch: BatchFacts) -> None:
        marker = self.marker
        if (marker.offsets_sha256, marker.spark_query_id) != (batch.offsets_sha256, batch.query_id):
            raise ContractError(
                f"batch {batch.batch_id} was published from other offsets than the checkpoint names now: this "
                f"checkpoint of {self._spec.deployment!r} is not the one that published it. Restore it, or start an "
                "empty one under another app.deployment"
            )
