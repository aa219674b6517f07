"""A new checkpoint carries on what another one has published: `tidemark run --adopt`, for a checkpoint that was lost.

What it must know is looked up when nobody can publish any more, and kept in the checkpoint before the new owner's
marker is written: how far alerts are published, which incidents are open, from where records are read again.

Not here: how that is used (``detector.pipeline.adoption``), the protocol (``detector.kafka.alert_sink``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import structlog

from detector.app import data_loss
from detector.kafka.marker import Marker
from detector.kafka.preflight import Preflight, TopicFacts
from detector.kafka.range_reader import OffsetRange, RangeReader
from detector.kafka.sink_port import CheckpointFacts
from detector.kafka.source import Offsets
from detector.pipeline.adoption import Adoption, open_incidents, reread_from
from detector.pipeline.instants import iso
from detector.settings import Settings, specs

READ_SECONDS: Final = 60.0  # how long Kafka may keep a read of the alerts waiting

log = structlog.get_logger()


def look_up(settings: Settings, topics: TopicFacts, marker: Marker) -> Adoption | None:
    """Return what a new checkpoint must know; None if no window had been judged that it could judge again.

    Parameters
    ----------
    settings : Settings
        Of the new start.
    topics : TopicFacts
        The source topics as they are now.
    marker : Marker
        Of the last batch from the checkpoint that was lost.

    Raises
    ------
    ContractError
        If records that were not read yet are gone, and ``source.on_data_loss`` does not allow it.
    TransientError
        If Kafka does not answer.
    """
    until = marker.emitted_watermark
    if until is None:
        log.info("nothing is adopted", why="the lost checkpoint had not judged a window yet")
        return None
    preflight = Preflight(specs.connection(settings))
    data_loss.settle(settings, _read_of(marker, topics), preflight.offsets(topics.partitions))
    shape, bound = specs.windows(settings), settings.records.future_bound.total_seconds()
    since = reread_from(until, shape.length_seconds, shape.slide_seconds, bound)
    incidents = open_incidents(_alerts(settings, preflight), specs.identity(settings))
    log.info("adopting", published_until=iso(until), open_incidents=len(incidents), read_again_since=iso(since))
    starting = {topic: dict(parts) for topic, parts in preflight.offsets(topics.partitions, at=since).items()}
    return Adoption(until=until, starting=starting, incidents=incidents)


def why_nothing(checkpoint: CheckpointFacts, before: Marker | None) -> str:
    """Say why a start that was to adopt had nothing to.

    Parameters
    ----------
    checkpoint : CheckpointFacts
        The checkpoint that the start runs from, as it was before.
    before : Marker or None
        Of the last batch that was published from it, as `AlertSink.start` returned it.
    """
    if checkpoint.query_id is not None:
        return f"the checkpoint {checkpoint.place} is not empty: it carries on by itself"
    if before is None or before.emitted_watermark is None:
        return "no marker tells of a published batch: there is nothing to carry on"
    return f"an earlier start with the checkpoint {checkpoint.place} has adopted, and this one carries that on"


def _read_of(marker: Marker, topics: TopicFacts) -> Offsets:
    """Return how far the topics were read; one that was made again since has other offsets."""
    return {
        topic: {int(partition): offset for partition, offset in parts.items()}
        for topic, parts in marker.end_offsets.items()
        if topic in topics.uuids and marker.topic_uuids.get(topic, topics.uuids[topic]) == topics.uuids[topic]
    }


def _alerts(settings: Settings, preflight: Preflight) -> Iterator[bytes]:
    """Yield all that the alerts topic holds, one partition after another."""
    topic = settings.alerts.topic
    first, end = (bound[topic] for bound in preflight.bounds({topic: preflight.topics()[topic]}))
    with contextlib.closing(RangeReader(specs.connection(settings), "tidemark-adopt", READ_SECONDS)) as reader:
        for partition, begin in first.items():
            for messages in reader.read(OffsetRange(topic, partition, begin, end[partition])):
                yield from (message.value() or b"" for message in messages)
