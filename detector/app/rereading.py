"""What the ledger reads again of batches that Spark has committed: which offsets, and what was closed before they came.

A batch that only held rejects is read by the blocks that hold them, one that dropped late records as a whole. Of a
batch of which only its offsets are known (the process ended before its report came) everything is read.

Not here: reading and publishing (``detector.kafka.dead_letter``), the thread that does it (``rejects``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog

from detector.app.checkpoint import Checkpoint, OffsetEntry
from detector.kafka.dead_letter import Reread
from detector.kafka.range_reader import OffsetRange
from detector.kafka.source import Offsets
from detector.pipeline.decoded import BLOCK_OFFSETS
from detector.pipeline.lateness import watermark_us
from detector.pipeline.schema import topic_id

NAMED: Final = 5  # ranges that a warning names

log = structlog.get_logger()


def ranges_of(
    blocks: Iterable[Any], topics: Mapping[int, str], start: Offsets, end: Offsets
) -> tuple[OffsetRange, ...]:
    """Turn observed blocks of offsets into ranges, neighbours joined, within the batch's own offsets.

    Parameters
    ----------
    blocks : iterable of (topic_id, partition, block)
        From the observation ``decoded``.
    topics : mapping of int to str
        Topic names by code; those of the batch itself are known without.
    start, end : Offsets
        The batch.
    """
    names = {**topics, **{topic_id(topic): topic for topic in end}}  # a pattern matches new topics as they come
    found: list[OffsetRange] = []
    for code, partition, block in sorted(tuple(block) for block in blocks):
        topic = names[code]
        first = max(block * BLOCK_OFFSETS, start.get(topic, {}).get(partition, 0))
        last = min((block + 1) * BLOCK_OFFSETS, end[topic][partition])
        before = found[-1] if found else None
        if before is not None and before[:2] == (topic, partition) and before.end == first:
            found[-1] = before._replace(end=last)
        else:
            found.append(OffsetRange(topic, partition, first, last))
    return tuple(found)


def between(start: Offsets, end: Offsets) -> tuple[OffsetRange, ...]:
    """Return what lies between two positions; a partition that `start` does not know begins at 0."""
    return tuple(
        OffsetRange(topic, partition, start.get(topic, {}).get(partition, 0), stop)
        for topic, parts in sorted(end.items())
        for partition, stop in sorted(parts.items())
        if stop > start.get(topic, {}).get(partition, 0)
    )


def reread_whole(checkpoint: Checkpoint, batch_id: int, ranges: tuple[OffsetRange, ...]) -> Reread:
    """Return a batch that is read again as a whole, with the watermark that decided what was late in it."""
    if batch_id > 0 and checkpoint.oldest_batch() >= batch_id:
        _warn_of_unknown(ranges)
        return Reread(ranges)
    return Reread(ranges, watermark_us(_before(checkpoint, batch_id).watermark))


def reread_after(checkpoint: Checkpoint, done: Offsets | None, last: int) -> tuple[Reread, ...]:
    """Return all that lies after a position, batch by batch, up to the end of a committed batch.

    Spark keeps the offsets of its newest batches only. Where those of a batch are gone, its rejects are published all
    the same; which of its records were late can no longer be known, and a warning names the offsets.

    Parameters
    ----------
    checkpoint : Checkpoint
        Has the offsets and the watermark of each batch.
    done : Offsets or None
        Up to where all is published; None for the checkpoint's own beginning.
    last : int
        The batch.
    """
    done = checkpoint.first_offsets() if done is None else done
    oldest = checkpoint.oldest_batch()
    end = checkpoint.offsets(last).end
    found: list[Reread] = []
    for batch_id in range(last, -1, -1):
        left = between(done, end)
        if not left:
            break
        if batch_id > 0 and oldest >= batch_id:
            _warn_of_unknown(left)
            found.append(Reread(left))
            break
        before = _before(checkpoint, batch_id)
        ranges = between(_later(done, before.end), end)
        if ranges:
            found.append(Reread(ranges, watermark_us(before.watermark)))
        end = before.end
    return tuple(reversed(found))


def _before(checkpoint: Checkpoint, batch_id: int) -> OffsetEntry:
    """Return where a batch began, and the watermark that it held records against."""
    return checkpoint.offsets(batch_id - 1) if batch_id > 0 else OffsetEntry("", None, checkpoint.first_offsets())


def _later(one: Offsets, other: Offsets) -> Offsets:
    return {
        topic: {
            partition: max(one.get(topic, {}).get(partition, 0), other.get(topic, {}).get(partition, 0))
            for partition in {**one.get(topic, {}), **other.get(topic, {})}
        }
        for topic in {**one, **other}
    }


def _warn_of_unknown(ranges: tuple[OffsetRange, ...]) -> None:
    named = ", ".join(f"{one.topic}/{one.partition} {one.start}-{one.end}" for one in ranges[:NAMED])
    log.warning(
        "late records of these offsets are neither counted nor published: the checkpoint has the watermarks of their "
        "batches no more",
        offsets=named if len(ranges) <= NAMED else f"{named} and {len(ranges) - NAMED} more",
    )
