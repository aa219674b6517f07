"""What became of records, and what speaks against it; a window is 10 s long, instants are in seconds after `BEGAN`.

Not here: lateness itself (``tests/property``), reading all of this (``tests/integration/test_audit.py``).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.accounting import NOT_LATE, Account, Letters, Partition, Terms, record_hashes
from detector.pipeline.windows import WindowSpec

US = 1_000_000
BEGAN = 1_795_000_000 * US  # begins a window
FIRST, READ, SETTLED = 100, 200, 190  # offsets
# Batches end at 150, 160 and 200; the checkpoint has forgotten what was before 150.
ENDS, CLOSED = (160, 200), (20, 40)
TUMBLING, SLIDING = WindowSpec(10, 10), WindowSpec(10, 5)


def partition(letters: Letters | None = None) -> Partition:
    return Partition(
        "north", 3, FIRST, READ, SETTLED,
        np.array(ENDS), np.array([BEGAN + each * US for each in CLOSED]), 150, letters or Letters(),
    )  # fmt: skip


def letters(*found: tuple[int, float | None]) -> Letters:
    """Letters of offsets, late ones with the watermark that they name."""
    closed = [NOT_LATE if at is None else BEGAN + round(at * US) for _, at in found]
    return Letters(np.array([offset for offset, _ in found]), np.array(closed))


def decoded(*records: tuple[int, float | str]) -> pa.RecordBatch:
    """Records by offset: an event time, or why it is rejected; received by Kafka at the second of their offset."""
    rejected = [isinstance(what, str) for _, what in records]
    event = [0 if isinstance(what, str) else BEGAN + round(what * US) for _, what in records]
    n = len(records)
    columns = {
        c.TOPIC_ID: [0] * n,
        c.PARTITION: [3] * n,
        c.OFFSET: [offset for offset, _ in records],
        c.KAFKA_TIMESTAMP: [offset * US for offset, _ in records],
        c.ASSET_ID: ["pump"] * n,
        c.SENSOR_ID: ["flow"] * n,
        c.EVENT_TIME: event,
        c.READING: [1.0] * n,
        c.UNIT_HIGH: [0] * n,
        c.UNIT_LOW: [0] * n,
        c.RECORD_ORDER: [0] * n,
        c.OUT_OF_RANGE: [False] * n,
        c.REJECT_REASON: [what if bad else None for bad, (_, what) in zip(rejected, records, strict=True)],
        c.LEADS: [False] * n,
    }
    arrays = [pa.array(columns[field.name], field.type) for field in schema.DECODED]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.DECODED)


def account(
    *records: tuple[int, float | str],
    found: Letters | None = None,
    shape: WindowSpec = TUMBLING,
    letters_since: int = 0,
    adopted: bool = False,
) -> Account:
    terms = Terms(shape, BEGAN + 60 * US, letters_since * US, adopted=adopted)
    made = Account()
    made.take(partition(found), decoded(*records), terms, None)
    return made


def test_every_record_is_of_one_class_and_they_add_up() -> None:
    records = [(99, 70.0), (150, "bad_json"), (151, "too_large"), (155, 15.0), (160, 45.0), (170, 61.0), (200, 70.0)]

    found = account(*records, found=letters((150, None), (151, None), (155, 20.0)))

    assert (found.rejected, found.late) == ({"bad_json": 1, "too_large": 1}, 1)
    assert (found.closed, found.open, found.unread) == (1, 1, 2)
    assert found.records == len(records)
    assert found.matched == 3
    assert found.findings == {}


def test_a_window_that_ends_at_the_watermark_is_closed_and_one_of_several_keeps_a_record_open() -> None:
    assert account((170, 59.9)).closed == 1
    assert account((170, 60.0)).open == 1
    assert account((170, 54.9), shape=SLIDING).closed == 1
    assert account((170, 55.0), shape=SLIDING).open == 1


@pytest.mark.parametrize("offset", [150, 159])
def test_a_batch_is_held_against_its_own_watermark(offset: int) -> None:
    assert account((offset, 25.0)).late == 0
    assert account((offset, 15.0), found=letters((offset, 20.0))).late == 1
    assert account((160, 25.0), found=letters((160, 40.0))).late == 1


def test_a_reject_without_its_letter_is_found_and_named() -> None:
    found = account(*((offset, "bad_json") for offset in range(150, 160)), found=letters((150, None), (151, None)))

    assert found.rejected == {"bad_json": 10}
    assert found.findings == {
        "reject without dead letter": (8, [f"north/3/{offset}" for offset in (152, 153, 154, 155, 156)])
    }


def test_a_late_record_without_its_letter_is_found() -> None:
    assert account((155, 5.0)).findings == {"late record without dead letter": (1, ["north/3/155"])}


def test_what_the_ledger_has_not_reached_yet_needs_no_letter() -> None:
    found = account((189, 45.0), (190, "bad_json"), (191, 5.0))

    assert (found.rejected, found.late, found.findings) == ({"bad_json": 1}, 1, {})


@pytest.mark.parametrize("letter", [(170, None), (170, 60.0)])
def test_a_letter_of_a_record_that_was_used_is_found(letter: tuple[int, float | None]) -> None:
    assert account((170, 45.0), found=letters(letter)).findings == {
        "dead letter without a reason": (1, ["north/3/170"])
    }


def test_a_letter_that_says_late_of_a_reject_is_found() -> None:
    found = account((170, "bad_json"), found=letters((170, 40.0)))

    assert list(found.findings) == ["dead letter without a reason"]


def test_of_batches_that_are_forgotten_a_letter_decides_if_it_proves_itself() -> None:
    found = account((120, 5.0), (121, 5.0), (122, 5.0), found=letters((120, 10.0), (121, 9.9)))

    assert (found.late, found.closed, found.forgotten) == (1, 2, 3)
    assert found.findings == {"dead letter without a reason": (1, ["north/3/121"])}


def test_a_letter_of_the_checkpoint_that_was_adopted_stands() -> None:
    found = account((170, 45.0), found=letters((170, 60.0)), adopted=True)

    assert (found.late, found.closed, found.findings) == (0, 1, {})


def test_a_reject_that_is_older_than_the_oldest_letters_is_not_called_lost() -> None:
    found = account((170, "bad_json"), (171, "bad_json"), letters_since=171)

    assert found.expired == 1
    assert found.findings == {"reject without dead letter": (1, ["north/3/171"])}


def test_records_that_came_too_late_for_some_windows_are_used_and_counted_beside() -> None:
    found = account((155, 18.0), (155, 22.0), shape=SLIDING)

    assert (found.partly_late, found.closed, found.late) == (1, 2, 0)


def test_only_what_was_used_is_remembered_and_what_repeats_it_is_a_class_of_its_own() -> None:
    taken: list[tuple[int, list[bool]]] = []
    made = Account()
    batch = decoded((150, "bad_json"), (155, 5.0), (170, 45.0), (171, 61.0), (172, 61.0))
    terms = Terms(WindowSpec(10, 10, dedup="within_window"), BEGAN + 60 * US)

    made.take(
        partition(letters((150, None), (155, 20.0))), batch, terms,
        lambda hashes, still_open: taken.append((len(set(hashes.tolist())), still_open.tolist())),
    )  # fmt: skip
    made.leave_out(0, 1)

    assert taken == [(2, [False, True, True])]
    assert (made.closed, made.open, made.deduplicated) == (1, 1, 1)
    assert made.records == 5


def test_two_records_hash_alike_if_asset_sensor_time_and_reading_are_the_same() -> None:
    first, again, other = record_hashes(decoded((1, 5.0), (2, 5.0), (3, 5.1))).tolist()

    assert first == again != other
