"""Account for records: what became of each, and what speaks against it.

A record is of exactly one class, the first that fits: not read yet; rejected; late; a duplicate that was left out; in
windows of which one is still open; in closed windows. Rejects and late records must each have a dead letter, and a dead
letter must have such a record: what does not fit is a finding.

Not here: reading records, dead letters and the checkpoint (``detector.app.audit``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from detector.pipeline import columns as c
from detector.pipeline.lateness import lateness, window_ends
from detector.pipeline.windows import WindowSpec

Bools: TypeAlias = NDArray[np.bool_]
Longs: TypeAlias = NDArray[np.int64]
Finding = Literal["reject without dead letter", "late record without dead letter", "dead letter without a reason"]
Remember: TypeAlias = Callable[[NDArray[np.uint64], Bools], None]

NAMED: Final = 5  # places that are named of each finding
NOT_LATE: Final = np.iinfo(np.int64).min  # in place of the watermark of a dead letter that has another reason
KEY: Final = [c.ASSET_ID, c.SENSOR_ID, c.EVENT_TIME, c.READING]  # as `detector.pipeline.windows.deduplicate` has it


@dataclass(frozen=True)
class Letters:
    """Dead letters of one partition of a source topic, by the offset of their record, ascending, each offset once.

    Parameters
    ----------
    offsets : ndarray of int64, shape (n,)
        Of the records.
    closed_until_us : ndarray of int64, shape (n,)
        The watermark that a late one names, microseconds since 1970; `NOT_LATE` of another reason.
    """

    offsets: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    closed_until_us: Longs = field(default_factory=lambda: np.empty(0, np.int64))

    def of(self, offsets: Longs) -> tuple[Bools, Longs]:
        """Tell which records have a letter, and the watermark that it names."""
        if not len(self.offsets):
            return np.zeros(len(offsets), np.bool_), np.full(len(offsets), NOT_LATE)
        at = np.searchsorted(self.offsets, offsets).clip(max=len(self.offsets) - 1)
        has = self.offsets[at] == offsets
        return has, np.where(has, self.closed_until_us[at], NOT_LATE)


@dataclass(frozen=True)
class Partition:
    """What is known of one partition of a source topic.

    Parameters
    ----------
    topic, partition : str, int
        Which.
    first, read, settled : int
        Offsets at which the query began, up to which it has read, and up to which the ledger has published.
    batch_ends, batch_closed_us : ndarray of int64, shape (batches,)
        Where each micro-batch that the checkpoint remembers ends, and the watermark that was held against it.
    remembered : int
        First offset of those batches.
    letters : Letters
        Its dead letters.
    """

    topic: str
    partition: int
    first: int
    read: int
    settled: int
    batch_ends: Longs
    batch_closed_us: Longs
    remembered: int
    letters: Letters

    def closed_before(self, offsets: Longs) -> tuple[Bools, Longs]:
        """Tell of which records the checkpoint knows what was closed before they came, and up to when."""
        batch = np.searchsorted(self.batch_ends, offsets, side="right")
        known = (offsets >= self.remembered) & (batch < len(self.batch_ends))
        closed = np.full(len(offsets), NOT_LATE)
        closed[known] = self.batch_closed_us[batch[known]]
        return known, closed


@dataclass(frozen=True)
class Terms:
    """What holds for all partitions.

    Parameters
    ----------
    shape : WindowSpec
        The windows.
    closed_us : int
        Watermark of the last finished micro-batch, microseconds since 1970: windows up to it are closed.
    letters_since_us : int
        Kafka timestamp, microseconds since 1970, from which on no dead letter can have been deleted by retention.
    adopted : bool
        The checkpoint carries on where another one ended: that one's verdict on a late record stands in its letter.
    """

    shape: WindowSpec
    closed_us: int
    letters_since_us: int = NOT_LATE
    adopted: bool = False


@dataclass
class Account:
    """What became of the records.

    Attributes
    ----------
    rejected : Counter of str
        Records by reason.
    late, deduplicated, closed, open, unread : int
        Records of the other classes.
    partly_late : int
        Records among `closed` and `open` that came too late for some of their windows; of remembered batches only.
    forgotten : int
        Records of batches that the checkpoint does not remember: that they were late only their letters say.
    expired : int
        Rejects whose letter retention may have deleted.
    matched : int
        Dead letters that are of a record.
    findings : dict of Finding to (int, list of str)
        How many records each is about, and the first places.
    """

    rejected: Counter[str] = field(default_factory=Counter)
    late: int = 0
    partly_late: int = 0
    deduplicated: int = 0
    closed: int = 0
    open: int = 0
    unread: int = 0
    forgotten: int = 0
    expired: int = 0
    matched: int = 0
    findings: dict[Finding, tuple[int, list[str]]] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """All of them: every record is in one class."""
        used = self.closed + self.open
        return self.rejected.total() + self.late + self.deduplicated + used + self.unread

    def take(self, partition: Partition, decoded: pa.RecordBatch, terms: Terms, remember: Remember | None) -> None:
        """Account for some records of one partition.

        Parameters
        ----------
        partition : Partition
            Where they are from.
        decoded : pyarrow.RecordBatch of `schema.DECODED`
            What the decoder says of them.
        terms : Terms
            What holds for all.
        remember : callable or None
            Takes the hash of each record that was used, and whether a window of it is open, where repeated records are
            left out: those that repeat another one are taken from `closed` or `open` by `leave_out` at the end.
        """
        offsets = decoded.column(c.OFFSET).to_numpy()
        unread = (offsets < partition.first) | (offsets >= partition.read)
        self.unread += int(unread.sum())
        decoded = decoded.filter(pa.array(~unread))
        offsets = offsets[~unread]
        event_us = decoded.column(c.EVENT_TIME).cast(pa.int64()).to_numpy()
        reasons = decoded.column(c.REJECT_REASON)
        rejected = np.array(reasons.is_valid())
        self.rejected.update(reasons.drop_null().to_pylist())
        late = self._judge(partition, decoded, event_us, rejected, terms)
        used = ~rejected & ~late
        _, last_end = window_ends(event_us[used], terms.shape)
        still_open = last_end > terms.closed_us
        self.open += int(still_open.sum())
        self.closed += int((~still_open).sum())
        if remember is not None:
            remember(record_hashes(decoded.filter(pa.array(used))), still_open)

    def leave_out(self, closed: int, still_open: int) -> None:
        """Move so many records of closed and of open windows to those that repeat another one."""
        self.closed -= closed
        self.open -= still_open
        self.deduplicated += closed + still_open

    def _judge(
        self, partition: Partition, decoded: pa.RecordBatch, event_us: Longs, rejected: Bools, terms: Terms
    ) -> Bools:
        """Return which records were late, and note what does not fit their letters."""
        offsets = decoded.column(c.OFFSET).to_numpy()
        known, closed = partition.closed_before(offsets)
        has, named = partition.letters.of(offsets)
        found = lateness(event_us, closed, terms.shape)
        proven = (named != NOT_LATE) & lateness(event_us, named, terms.shape).late
        late = ~rejected & np.where(known, found.late, proven)
        settled = offsets < partition.settled
        missing = rejected & settled & ~has
        kept = decoded.column(c.KAFKA_TIMESTAMP).cast(pa.int64()).to_numpy() >= terms.letters_since_us
        unfounded = has & np.where(rejected, named != NOT_LATE, ~late & ~(proven & terms.adopted))
        self.late += int(late.sum())
        self.partly_late += int((found.partly & known & ~rejected).sum())
        self.forgotten += int((~known).sum())
        self.expired += int((missing & ~kept).sum())
        self.matched += int(has.sum())
        self._note("reject without dead letter", partition, offsets[missing & kept])
        self._note("late record without dead letter", partition, offsets[late & settled & ~has & kept])
        self._note("dead letter without a reason", partition, offsets[unfounded])
        return late

    def _note(self, finding: Finding, partition: Partition, offsets: Longs) -> None:
        if len(offsets):
            count, places = self.findings.get(finding, (0, []))
            more = [f"{partition.topic}/{partition.partition}/{offset}" for offset in offsets[: NAMED - len(places)]]
            self.findings[finding] = (count + len(offsets), [*places, *more])


def record_hashes(decoded: pa.RecordBatch) -> NDArray[np.uint64]:
    """Return a 64-bit hash of what makes two records duplicates, one a record."""
    columns = {name: decoded.column(name).to_numpy(zero_copy_only=False) for name in KEY}
    return pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy().astype(np.uint64)
