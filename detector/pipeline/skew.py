"""How far the partitions that are being read are apart in event time.

The watermark follows the newest event time of all partitions: a partition that is behind by more than the lateness
loses its records as late.

Not here: carrying the newest records to the driver (``decode``); the skew of a backlog before it is read (``backlog``),
which decides how late its records may be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_PARTITION_BITS: Final = 30  # a topic's code has 32


def leads(
    topic: NDArray[np.int64], partition: NDArray[np.int32], event_us: NDArray[np.int64], usable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which records have the newest event time of their partition, one of each.

    Parameters
    ----------
    topic, partition, event_us : ndarray, shape (n,)
        Code of the topic, partition, and event time in microseconds of n records.
    usable : ndarray of bool, shape (n,)
        Which of them count.
    """
    found = np.zeros(len(topic), bool)
    place = (topic << _PARTITION_BITS) + partition
    read = place[usable]
    alone = read.size and read.min() == read.max()  # as in most batches; sorting them would take the longest
    for each in read[:1] if alone else np.unique(read):
        rows = np.flatnonzero(usable & (place == each))
        found[rows[event_us[rows].argmax()]] = True
    return found


def newest_and_skew(leads: Iterable[tuple[int, int, int]], newest_before: float) -> tuple[float, float]:
    """Return the newest event time up to a batch (epoch seconds) and how far behind it a partition's newest is.

    Parameters
    ----------
    leads : iterable of (topic_id, partition, event time in microseconds)
        Of records among which are the newest of each partition that the batch read.
    newest_before : float
        Up to the batch before; ``-inf`` where there is none.

    Returns
    -------
    newest, skew : float
        The skew is over the partitions that the batch read: one that is idle lags behind nobody.
    """
    newest: dict[tuple[int, int], float] = {}
    for topic, partition, event_us in leads:
        newest[topic, partition] = max(newest.get((topic, partition), -math.inf), event_us / 1e6)
    last = max([newest_before, *newest.values()])
    return last, last - min(newest.values()) if newest else 0.0
