"""Account for every record of a range of the source topics: what it was read as, and what must speak for it.

The range is read again with the decoder of the query. What the query made of it is known from the checkpoint (how far
it has read, the watermarks of its newest micro-batches) and from the dead-letter topic. Nothing is written, and nobody
is held up: it may run beside the application.

Not here: the classes and the findings (``detector.pipeline.accounting``), the table (``detector.cli.audit``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from detector.app.checkpoint import Checkpoint
from detector.app.distinct import Distinct
from detector.errors import ConfigError, ContractError
from detector.kafka.commit_log import CommitLog
from detector.kafka.dead_letter import read_progress
from detector.kafka.letters import LetterBox, read_letters
from detector.kafka.preflight import Preflight, TopicFacts
from detector.kafka.range_reader import OffsetRange, RangeReader
from detector.kafka.raw import raw_batch
from detector.kafka.source import Offsets
from detector.pipeline.accounting import Account, Longs, Partition, Terms
from detector.pipeline.backlog import Place
from detector.pipeline.decode import RecordDecoder
from detector.pipeline.lateness import watermark_us
from detector.settings import Settings, specs

DEADLINE_SECONDS: Final = 60.0  # without a record where there must be some


@dataclass(frozen=True)
class AuditRange:
    """What is accounted for.

    Parameters
    ----------
    since, until : datetime or None
        Kafka timestamps. None: all that the topic still holds since the query began; up to where the query has read and
        the ledger has published.
    topics : tuple of str
        Some of the source topics; empty for all.
    """

    since: datetime | None = None
    until: datetime | None = None
    topics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What came out.

    Attributes
    ----------
    account : Account
        Records by class, and findings.
    ranges : tuple of OffsetRange
        What was read.
    letters : LetterBox
        Dead letters of those ranges.
    """

    account: Account
    ranges: tuple[OffsetRange, ...]
    letters: LetterBox


@dataclass(frozen=True)
class _Batches:
    """The micro-batches whose offsets the checkpoint still has, and what holds of the last finished one."""

    ends: tuple[Offsets, ...]
    closed_us: tuple[int, ...]
    remembered: Offsets
    read: Offsets
    watermark_us: int


def audit(settings: Settings, wanted: AuditRange, on_progress: Callable[[int, int], None]) -> Audit:
    """Account for a range.

    Parameters
    ----------
    settings : Settings
        Those of the application: other ones judge otherwise.
    wanted : AuditRange
        Which records.
    on_progress : callable
        Told how many offsets of how many have been read.

    Raises
    ------
    ContractError
        If the checkpoint has no finished micro-batch, or a topic is missing.
    TransientError
        If Kafka does not answer.
    """
    spec = specs.source(settings)
    preflight = Preflight(spec.connection)
    facts = preflight.check_source(spec.topics, spec.topic_pattern, require_log_append_time=False)
    partitions = _chosen(facts.partitions, wanted.topics)
    settled = read_progress(specs.ledger(settings)) or {}  # before the checkpoint, and both before the letters
    checkpoint = Checkpoint(settings.state.checkpoint)
    batches = _batches(checkpoint)
    _refuse_other_topics(settings, facts)
    first = checkpoint.first_offsets()
    ranges = _ranges(preflight, partitions, wanted, first, (batches.read, settled))
    letters_topic = _whole(preflight, settings.dead_letter.topic)
    total = sum(each.end - each.start for each in (*letters_topic, *ranges))
    decode = specs.decode(settings)
    decoder, account, shape, done = RecordDecoder(decode), Account(), specs.windows(settings), 0

    def read(offsets: int) -> None:
        nonlocal done
        done += offsets
        on_progress(done, total)

    with contextlib.ExitStack() as stack:
        reader = RangeReader(spec.connection, "tidemark-audit", DEADLINE_SECONDS)
        stack.callback(reader.close)
        distinct = stack.enter_context(Distinct())
        spans = {(each.topic, each.partition): (each.start, each.end) for each in ranges}
        box = read_letters(reader, letters_topic, spans, read)
        terms = Terms(shape, batches.watermark_us, box.since_us, adopted=checkpoint.adoption() is not None)
        remember = None if shape.dedup == "none" else distinct.add
        for each in ranges:
            place = each.topic, each.partition
            known = _partition(place, first, settled, batches, box)
            for messages in reader.read(each):
                if messages:
                    account.take(known, decoder.decode(raw_batch(messages, decode.max_bytes)), terms, remember)
                read(len(messages))
        account.leave_out(*distinct.repeated())
    on_progress(total, total)
    return Audit(account, ranges, box)


def _refuse_other_topics(settings: Settings, facts: TopicFacts) -> None:
    """Refuse topics that were made again since the application started: the offsets are those of the old ones."""
    marker = CommitLog(specs.log(settings)).read_marker(settled=False)
    known = {} if marker is None else marker.topic_uuids
    again = sorted(topic for topic, uuid in facts.uuids.items() if known.get(topic, uuid) != uuid)
    if again:
        raise ContractError(
            f"topic {', '.join(again)} was deleted and made again: the checkpoint's offsets are those of the old one. "
            "docs/runbook.md says what to do: A source topic was made again"
        )


def _chosen(known: Mapping[str, int], topics: tuple[str, ...]) -> dict[str, int]:
    others = sorted(set(topics) - set(known))
    if others:
        raise ConfigError(f"{', '.join(others)} is no source topic of these settings; they read {', '.join(known)}")
    return {topic: count for topic, count in known.items() if topic in (topics or known)}


def _batches(checkpoint: Checkpoint) -> _Batches:
    """Read the offset log, while Spark may purge its oldest files."""
    last = checkpoint.last_committed()
    if last < 0:
        raise ContractError(
            f"{checkpoint.directory} has no finished micro-batch: nothing has been read yet, or state.checkpoint is "
            "not that of the running application"
        )
    entries = {last: checkpoint.offsets(last)}
    for batch_id in range(last - 1, -1, -1):
        try:
            entries[batch_id] = checkpoint.offsets(batch_id)
        except ContractError:  # purged; nothing older is there
            break
    oldest = min(entries)
    known = [batch_id for batch_id in sorted(entries) if batch_id == 0 or batch_id > oldest]
    closed = tuple(watermark_us(entries[each - 1].watermark if each else None) for each in known)
    return _Batches(
        ends=tuple(entries[each].end for each in known),
        closed_us=closed,
        remembered=checkpoint.first_offsets() if oldest == 0 else entries[oldest].end,
        read=entries[last].end,
        watermark_us=watermark_us(entries[last].watermark),
    )


def _ranges(
    preflight: Preflight,
    partitions: Mapping[str, int],
    wanted: AuditRange,
    first: Offsets,
    reached: tuple[Offsets, Offsets],
) -> tuple[OffsetRange, ...]:
    """Return the offsets of what is wanted, by partition."""
    since = None if wanted.since is None else wanted.since.timestamp()
    low, high = preflight.bounds(partitions)
    begin = low if since is None else preflight.offsets(partitions, at=since)
    until = high if wanted.until is None else preflight.offsets(partitions, at=wanted.until.timestamp())
    found = []
    for topic, parts in sorted(high.items()):
        for partition, end in sorted(parts.items()):
            start, stop = begin[topic][partition], min(end, until[topic][partition])
            if wanted.since is None:
                start = max(start, _at(first, topic, partition))
            if wanted.until is None:
                stop = min(stop, *(_at(each, topic, partition) for each in reached))
            found.append(OffsetRange(topic, partition, start, max(start, stop)))
    return tuple(found)


def _whole(preflight: Preflight, topic: str) -> tuple[OffsetRange, ...]:
    known = preflight.topics()
    if topic not in known:
        raise ContractError(f"topic {topic} does not exist; dead_letter.topic must be that of the application")
    begin, end = (bound[topic] for bound in preflight.bounds({topic: known[topic]}))
    return tuple(OffsetRange(topic, partition, begin[partition], end[partition]) for partition in sorted(end))


def _partition(place: Place, first: Offsets, settled: Offsets, batches: _Batches, box: LetterBox) -> Partition:
    topic, partition = place
    ends: Longs = np.array([_at(end, topic, partition) for end in batches.ends], np.int64)
    return Partition(
        topic,
        partition,
        first=_at(first, topic, partition),
        read=_at(batches.read, topic, partition),
        settled=_at(settled, topic, partition),
        batch_ends=ends,
        batch_closed_us=np.array(batches.closed_us, np.int64),
        remembered=_at(batches.remembered, topic, partition),
        letters=box.letters[place],
    )


def _at(offsets: Offsets, topic: str, partition: int) -> int:
    return offsets.get(topic, {}).get(partition, 0)
