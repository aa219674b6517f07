"""What a start refuses, and what a person can do then: a marker and a checkpoint that contradict each other.

Each function passes or raises; nothing is written and nobody is fenced.

Not here: when they are asked (``alert_sink``).
"""

from __future__ import annotations

from typing import Final

from detector.errors import ContractError, FencedError
from detector.kafka.marker import Marker
from detector.kafka.sink_port import CheckpointFacts, SinkSpec

ALIVE_INTERVALS: Final = 3  # an owner whose marker is younger than this many marker intervals is taken for alive


def a_living_owner(found: Marker, checkpoint: CheckpointFacts, spec: SinkSpec, now: float) -> None:
    """Refuse while another checkpoint's process seems alive under the identity, unless it is to be fenced."""
    if found.owner_uuid == checkpoint.owner_uuid or spec.take_over:
        return
    age = now - found.time
    quiet = ALIVE_INTERVALS * spec.marker_interval_seconds
    if age < quiet:
        raise FencedError(
            f"{spec.deployment!r} is run from another checkpoint (owner {found.owner_uuid}, last seen "
            f"{max(0.0, age):.0f} s ago). Stop that instance, or give this one its own app.deployment. If it has "
            f"ended, wait until that is {quiet:.0f} s ago or pass --take-over, with --adopt beside it if its "
            "checkpoint is lost"
        )


def a_lost_marker(found: Marker | None, checkpoint: CheckpointFacts, spec: SinkSpec) -> None:
    """Refuse a used checkpoint whose own marker is not there: what it has published is not known."""
    ours = found is not None and (found.spark_query_id is not None or found.owner_uuid == checkpoint.owner_uuid)
    if not ours and checkpoint.last_batch >= 0:
        raise ContractError(
            f"the checkpoint {checkpoint.place} has published batches but the commits topic has no marker for "
            f"{spec.deployment!r}: was the topic deleted? Restore it, or start an empty checkpoint under another "
            "app.deployment"
        )


def other_topics(found: Marker, checkpoint: CheckpointFacts, spec: SinkSpec) -> None:
    """Refuse offsets that are those of a topic which is gone; another history brings its own way back."""
    current = spec.topic_uuids
    again = sorted(topic for topic, uuid in found.topic_uuids.items() if current.get(topic, uuid) != uuid)
    if again and checkpoint.query_id is not None:
        raise ContractError(
            f"topic {', '.join(again)} was deleted and made again since the last start of "
            f"{spec.deployment!r}: the offsets in checkpoint {checkpoint.place} are those of the old one. "
            + _way_back(checkpoint)
        )


def another_history(found: Marker, checkpoint: CheckpointFacts, spec: SinkSpec, *, adoptable: bool) -> None:
    """Refuse a checkpoint that is not the one the marker was written from, or an older copy of it."""
    if (found.spark_query_id, found.emitted_watermark) == (None, None):
        return
    if of_another(found, checkpoint):
        if adoptable:
            return
        raise ContractError(
            f"the marker of {spec.deployment!r} belongs to query {found.spark_query_id} of owner "
            f"{found.owner_uuid}, the checkpoint {checkpoint.place} to "
            f"{checkpoint.query_id or 'none (it is empty)'} of {checkpoint.owner_uuid}. " + _way_back(checkpoint)
        )
    if found.batch_id > checkpoint.last_batch:
        raise ContractError(
            f"batch {found.batch_id} was published but the checkpoint {checkpoint.place} ends at batch "
            f"{checkpoint.last_batch}: it was rolled back. {_way_back(checkpoint)}"
        )


def _way_back(checkpoint: CheckpointFacts) -> str:
    away = "start with --adopt" if checkpoint.query_id is None else "move it away and start with --adopt"
    return f"Restore the matching checkpoint in {checkpoint.place}, or {away}: docs/runbook.md says what that does"


def of_another(marker: Marker, checkpoint: CheckpointFacts) -> bool:
    """Whether a marker tells of another query than the checkpoint's, or of another checkpoint that has none yet."""
    if marker.spark_query_id is None:
        return marker.owner_uuid != checkpoint.owner_uuid
    return marker.spark_query_id != checkpoint.query_id
