"""What a start must do about records that came while nothing ran: how many, and how late they may be.

A backlog that one micro-batch can read needs nothing. A larger one is read up to the end that it has now, batch by
batch, with a lateness that covers how far its partitions are apart in event time; otherwise those that are behind would
be dropped as late.

Not here: the skew itself (``detector.pipeline.backlog``), running the query (``lifecycle``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from detector.app.checkpoint import Checkpoint
from detector.kafka.preflight import Preflight
from detector.kafka.raw import raw_batch
from detector.kafka.sampling import Sampler
from detector.pipeline import columns as c
from detector.pipeline.backlog import INTERVALS, Place, Span, event_time_skew, places, unread
from detector.pipeline.decode import RecordDecoder
from detector.settings import Settings, specs

RECORDS: Final = 64  # of a sample: enough to show how much out of order a partition is


@dataclass(frozen=True)
class Backlog:
    """Records that wait.

    Attributes
    ----------
    records : int
        How many offsets.
    skew_seconds : float
        How much older than a record that was read one may be that was not, in event time.
    """

    records: int
    skew_seconds: float


def find_backlog(settings: Settings, checkpoint: Checkpoint) -> Backlog | None:
    """Measure the backlog that the topics of the source hold now; None if one micro-batch can read it.

    Parameters
    ----------
    settings : Settings
        Source and records.
    checkpoint : Checkpoint
        Says how far the query has read.

    Raises
    ------
    ContractError
        If a topic is missing.
    TransientError
        If Kafka does not answer.
    """
    ranges = _unread(settings, checkpoint)
    records = sum(end - begin for begin, end in ranges.values())
    if records <= settings.source.max_records_per_batch:
        return None
    with contextlib.closing(Sampler(specs.connection(settings))) as sampler:
        return Backlog(records, event_time_skew(_samples(settings, sampler, ranges)))


def _unread(settings: Settings, checkpoint: Checkpoint) -> dict[Place, tuple[int, int]]:
    read = checkpoint.read_offsets()
    if not read and settings.source.starting_offsets == "latest":
        return {}
    source = specs.stream_source(settings, read)
    preflight = Preflight(source.connection)
    return unread(read, *preflight.bounds(preflight.source_topics(source.topics, source.topic_pattern)))


def _samples(
    settings: Settings, sampler: Sampler, ranges: Mapping[Place, tuple[int, int]]
) -> dict[Place, list[Span | None]]:
    decode = specs.decode(settings)
    decoder = RecordDecoder(decode)
    at = {place: places(begin, end) for place, (begin, end) in ranges.items()}
    samples: dict[Place, list[Span | None]] = {place: [] for place in ranges}
    for part in range(INTERVALS + 1):
        wanted = {}
        for place, (begin, end) in ranges.items():
            first = at[place][part] if part < INTERVALS else max(begin, end - RECORDS)
            wanted[place] = (first, min(first + RECORDS, end))
        for place, messages in sampler.read(wanted).items():
            rows = decoder.decode(raw_batch(messages, decode.max_bytes)).to_pydict() if messages else {}
            times = [
                instant.timestamp()
                for instant, reason in zip(rows.get(c.EVENT_TIME, []), rows.get(c.REJECT_REASON, []), strict=True)
                if reason is None
            ]
            samples[place].append((min(times), max(times)) if times else None)
    return samples
