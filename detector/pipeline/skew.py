"""How far the partitions that are being read are apart in event time.

The watermark follows the newest event time of all partitions: a partition that is behind by more than the lateness
loses its records as late. Each micro-batch therefore notes the newest event time of each partition that it read.

Not here: the skew of a backlog before it is read (``backlog``), which decides how late its records may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from detector.pipeline import columns as c

EVENT_TIMES_OBSERVATION: Final = "event_times"
SLOTS: Final = 32  # partitions that are told apart, at 3 ns a record and slot; of more, some share one
_SLOT: Final = "slot"


def observe_event_times(records: DataFrame) -> DataFrame:
    """Note the newest event time of each slot of partitions as records pass, under `EVENT_TIMES_OBSERVATION`."""
    slot = f.pmod(f.col(c.TOPIC_ID) + f.col(c.PARTITION), f.lit(SLOTS)).cast("int")
    newest = [
        f.max(f.when(f.col(_SLOT) == number, f.unix_micros(c.EVENT_TIME))).alias(f"newest_{number}")
        for number in range(SLOTS)
    ]
    return records.withColumn(_SLOT, slot).observe(EVENT_TIMES_OBSERVATION, *newest).drop(_SLOT)


def newest_and_skew(observed: Mapping[str, Any], newest_before: float) -> tuple[float, float]:
    """Return the newest event time up to a batch (epoch seconds) and how far behind it a partition's newest is.

    Parameters
    ----------
    observed : mapping
        The observation of the batch.
    newest_before : float
        Up to the batch before; ``-inf`` where there is none.

    Returns
    -------
    newest, skew : float
        The skew is over the partitions that the batch read: one that is idle lags behind nobody.
    """
    read = [each / 1e6 for each in observed.values() if each is not None]
    newest = max([newest_before, *read])
    return newest, newest - min(read) if read else 0.0
