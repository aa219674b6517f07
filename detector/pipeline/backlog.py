"""How far apart in event time the partitions of a backlog are while it is read, batch by batch.

Spark's watermark follows the newest event time of all partitions. A rate limit reads the same share of each partition's
backlog in a batch, so a partition whose backlog begins earlier is dropped as late, unless the lateness covers the skew.

Not here: reading samples (``detector.kafka.sampling``), what follows from the skew (``detector.app.catch_up``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

INTERVALS: Final = 32  # of a backlog: the skew is overestimated by what a thirty-second of it spans

Place: TypeAlias = tuple[str, int]  # topic, partition
Span: TypeAlias = tuple[float, float]  # oldest and newest event time of a sample, epoch seconds


def unread(
    read: Mapping[str, Mapping[int, int]], first: Mapping[str, Mapping[int, int]], end: Mapping[str, Mapping[int, int]]
) -> dict[Place, tuple[int, int]]:
    """Return what each partition holds beyond what was read.

    Parameters
    ----------
    read : mapping of str to mapping of int to int
        Topic -> partition -> up to where it was read; a partition that is not there is read from its first record.
    first, end : mapping of str to mapping of int to int
        Topic -> partition -> from where to where (exclusive) it holds records.

    Returns
    -------
    dict of Place to (int, int)
        First offset and end (exclusive) of those that hold any. What retention deleted before it was read is not among
        them.
    """
    return {
        (topic, partition): (begin, stop)
        for topic, parts in end.items()
        for partition, stop in parts.items()
        if (begin := max(first[topic][partition], read.get(topic, {}).get(partition, 0))) < stop
    }


def places(begin: int, end: int) -> list[int]:
    """Return the offsets at which a backlog is sampled.

    Parameters
    ----------
    begin, end : int
        Offsets of one partition, `end` exclusive and beyond `begin`.

    Returns
    -------
    list of int
        Ascending, the first of each of `INTERVALS` parts and the end.
    """
    return [begin + (end - begin) * part // INTERVALS for part in range(INTERVALS + 1)]


def event_time_skew(samples: Mapping[Place, Sequence[Span | None]]) -> float:
    """Return the most that an unread record can be older than a record that was read, in seconds of event time.

    Each partition is taken to be in order between two samples, apart from what its samples show.

    Parameters
    ----------
    samples : mapping of Place to sequence of Span or None
        For each partition with a backlog a sample at each of `places`, the last of them what the backlog ends with;
        None where nothing there decodes.

    Returns
    -------
    float
        0 or more.
    """
    skew = 0.0
    for part in range(INTERVALS):
        unread = [span[0] for spans in samples.values() for span in spans[part:] if span is not None]
        read = [span[1] for spans in samples.values() for span in spans[: part + 2] if span is not None]
        if unread and read:
            skew = max(skew, max(read) - min(unread))
    return skew
