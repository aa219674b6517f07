"""Records that retention deleted before they were read: a start refuses to go on, or counts them and does.

Not here: topics that were deleted and made again (``detector.kafka.alert_sink`` knows them by their ids).
"""

from __future__ import annotations

from typing import Final

import structlog

from detector.errors import ContractError
from detector.kafka.source import Offsets
from detector.settings import Settings

SHOWN: Final = 5  # partitions that a message names

log = structlog.get_logger()


def lost_records(read: Offsets, first: Offsets) -> dict[tuple[str, int], tuple[int, int]]:
    """Return what is gone: (topic, partition) -> first offset and end (exclusive).

    Parameters
    ----------
    read : Offsets
        How far was read.
    first : Offsets
        From where the topics still have records.
    """
    return {
        (topic, partition): (offset, first[topic][partition])
        for topic, parts in sorted(read.items())
        for partition, offset in sorted(parts.items())
        if first.get(topic, {}).get(partition, 0) > offset
    }


def settle(settings: Settings, read: Offsets, first: Offsets) -> dict[str, int]:
    """Refuse to start where records are lost, or count them by topic, as ``source.on_data_loss`` says.

    Raises
    ------
    ContractError
        If some are lost and that is not allowed.
    """
    lost = lost_records(read, first)
    if not lost:
        return {}
    named = [f"{topic}/{partition} offsets {begin} to {end - 1}" for (topic, partition), (begin, end) in lost.items()]
    more = f" and {len(named) - SHOWN} more partitions" if len(named) > SHOWN else ""
    what = f"retention deleted records before they were read: {', '.join(named[:SHOWN])}{more}"
    if settings.source.on_data_loss == "fail":
        raise ContractError(
            f"{what}. Set source.on_data_loss: continue to go on without them (they are counted), and give the topic "
            "a longer retention"
        )
    log.warning("records are lost", what=what)
    counts: dict[str, int] = {}
    for (topic, _), (begin, end) in lost.items():
        counts[topic] = counts.get(topic, 0) + end - begin
    return counts
