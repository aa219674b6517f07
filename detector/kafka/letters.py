"""Read the dead-letter topic: which records of the source topics it holds.

Some 16 bytes are kept of a letter.

Not here: writing it (``dead_letter``), what must be in it (``detector.pipeline.accounting``).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from confluent_kafka import Message

from detector.kafka.range_reader import OffsetRange, RangeReader
from detector.pipeline.accounting import NOT_LATE, Letters
from detector.pipeline.backlog import Place
from detector.pipeline.lateness import LATE


@dataclass(frozen=True)
class LetterBox:
    """Dead letters of given ranges of the source topics.

    Attributes
    ----------
    letters : dict of Place to Letters
        By partition of the source.
    found, repeated : int
        Letters, and those of them that are of a record that had one already: delivery is at least once.
    since_us : int
        Kafka timestamp, microseconds since 1970, of the newest letter before which one may have been deleted by
        retention; `NOT_LATE` where nothing has been deleted.
    """

    letters: Mapping[Place, Letters]
    found: int
    repeated: int
    since_us: int


def read_letters(
    reader: RangeReader,
    topic: tuple[OffsetRange, ...],
    wanted: Mapping[Place, tuple[int, int]],
    on_records: Callable[[int], None],
) -> LetterBox:
    """Read the dead letters of ranges of offsets.

    Parameters
    ----------
    reader : RangeReader
        Reads.
    topic : tuple of OffsetRange
        What the dead-letter topic holds, by partition.
    wanted : mapping of (topic, partition) to (int, int)
        First offset and end (exclusive) of the source.
    on_records : callable
        Told how many letters were read.

    Raises
    ------
    TransientError
        If Kafka does not answer.
    """
    offsets = {place: array("q") for place in wanted}
    closed = {place: array("q") for place in wanted}
    since_us = NOT_LATE
    for part in topic:
        oldest = None
        for messages in reader.read(part):
            oldest = oldest if oldest is not None or not messages else messages[0].timestamp()[1] * 1000
            for message in messages:
                place, offset, closed_us = _subject(message)
                if place in wanted and wanted[place][0] <= offset < wanted[place][1]:
                    offsets[place].append(offset)
                    closed[place].append(closed_us)
            on_records(len(messages))
        if part.start > 0 and oldest is not None:
            since_us = max(since_us, oldest)
    letters = {place: _sorted(offsets[place], closed[place]) for place in wanted}
    found = sum(map(len, offsets.values()))
    return LetterBox(letters, found, found - sum(len(each.offsets) for each in letters.values()), since_us)


def _subject(message: Message) -> tuple[Place, int, int]:
    """Return which record a letter is of, and the watermark it names; a foreign message is of none."""
    found: Any = message.headers() or []  # the library's type leaves out what it hands over: a list of pairs
    headers = {name: value for name, value in found if value is not None}
    try:
        place = headers["topic"].decode(), int(headers["partition"])
        closed_us = int(headers["watermark"]) * 1000 if headers["reason"].decode() == LATE else NOT_LATE
        return place, int(headers["offset"]), closed_us
    except (KeyError, ValueError):
        return ("", -1), -1, NOT_LATE


def _sorted(offsets: array[int], closed: array[int]) -> Letters:
    unique, first = np.unique(np.array(offsets, np.int64), return_index=True)
    return Letters(unique, np.array(closed, np.int64)[first])
