"""Windows of a finite set of records: what they hold, whatever the order and partitioning.

Not here: streams (``test_windows_stream``).
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from detector.pipeline import columns as c
from detector.pipeline.windows import WindowSpec, deduplicate, in_record_order, windows
from tests.reference import US, Record, Shape, batch_windows, repeated, without_repeats
from tests.spark.agreement import assert_agree, assert_same
from tests.spark.records import START_US, by_key, disturbed, frame, plant

TUMBLING, SLIDING = WindowSpec(10, 10), WindowSpec(12, 3)
RECORDS = plant(40)


def shape_of(spec: WindowSpec) -> Shape:
    return Shape(spec.length_seconds, spec.slide_seconds, spec.lateness_seconds)


def one_sensor(readings: list[float], every_us: int = 500_000) -> list[Record]:
    return [Record("pump", "temp", START_US + i * every_us, value, offset=i) for i, value in enumerate(readings)]


@pytest.mark.parametrize("spec", [TUMBLING, SLIDING, WindowSpec(0.5, 0.25)], ids=["tumbling", "sliding", "short"])
def test_windows_of_shuffled_and_repeated_records_agree_with_the_reference(spark, spec):
    records = disturbed(RECORDS, 20 * US)

    found = by_key(windows(frame(spark, records), spec))

    assert_agree(found, batch_windows(records, shape_of(spec)))


def test_windows_before_1970_agree_with_the_reference(spark):
    records = [replace(record, event_us=record.event_us - START_US - 15 * US) for record in RECORDS]

    assert_agree(by_key(windows(frame(spark, records), SLIDING)), batch_windows(records, shape_of(SLIDING)))


def test_the_order_and_partitioning_of_records_does_not_matter(spark):
    records = random.Random(1).sample(RECORDS, len(RECORDS))

    one = by_key(windows(frame(spark, RECORDS).coalesce(1), TUMBLING))
    other = by_key(windows(frame(spark, records).repartition(5), TUMBLING))

    assert_same(one, other)


def test_training_gets_the_same_bits_from_any_order_and_partitioning(spark):
    records = random.Random(2).sample(RECORDS, len(RECORDS))
    wide = spark.newSession()
    wide.conf.set("spark.sql.shuffle.partitions", "5")

    one = by_key(windows(in_record_order(frame(spark, RECORDS).coalesce(1)), SLIDING))
    other = by_key(windows(in_record_order(frame(wide, records).repartition(7)), SLIDING))

    assert one == other


def test_a_constant_window_has_no_deviation_and_no_slope(spark):
    (row,) = by_key(windows(frame(spark, one_sensor([0.1] * 7)), TUMBLING)).values()

    assert (row[c.COUNT], row[c.STD], row[c.SLOPE]) == (7, 0.0, 0.0)
    assert (row[c.MIN], row[c.MAX], row[c.FIRST], row[c.LAST]) == (0.1,) * 4
    assert row[c.MEAN] == pytest.approx(0.1, rel=1e-15)


def test_a_window_of_one_record_has_no_deviation_and_no_slope(spark):
    (row,) = by_key(windows(frame(spark, one_sensor([7.25])), TUMBLING)).values()

    assert [row[name] for name in c.STATISTICS] == [1, 7.25, 0.0, 7.25, 7.25, 7.25, 7.25, 0.0]


def test_records_of_one_instant_have_a_deviation_but_no_slope(spark):
    (row,) = by_key(windows(frame(spark, one_sensor([1.0, 3.0], every_us=0)), TUMBLING)).values()

    assert (row[c.STD], row[c.SLOPE]) == (pytest.approx(2**0.5), 0.0)


def test_a_window_without_records_is_no_row(spark):
    records = [*one_sensor([1.0]), Record("pump", "temp", START_US + 30 * US, 2.0, offset=9)]

    starts = sorted(start for start, _, _ in by_key(windows(frame(spark, records), TUMBLING)))

    assert starts == [START_US, START_US + 30 * US]


def test_the_slope_is_in_units_per_second(spark):
    (row,) = by_key(windows(frame(spark, one_sensor([5.0 + 0.25 * i for i in range(10)])), TUMBLING)).values()

    assert row[c.SLOPE] == pytest.approx(0.5, rel=1e-12)


def test_first_and_last_of_one_instant_are_decided_by_partition_and_then_offset(spark):
    places = [(1, 0, 10.0), (0, 5, 20.0), (0, 7, 30.0), (1, 3, 40.0)]
    records = [Record("pump", "temp", START_US, value, partition, offset) for partition, offset, value in places]

    (row,) = by_key(windows(frame(spark, records), TUMBLING)).values()

    assert (row[c.FIRST], row[c.LAST]) == (20.0, 40.0)


@pytest.mark.parametrize(
    ("units", "unit", "conflict"),
    [
        (["°C", "°C"], "°C", False),
        ([None, None], None, False),
        (["degC", "degF"], None, True),
        (["degC", None], None, True),
        (["m³/h per segment", "m³/h per segment"], "m³/h per segmen", False),
        (["123456789012345°C", "123456789012345°F"], "123456789012345", False),
    ],
)
def test_a_window_has_the_unit_on_which_its_records_agree(spark, units, unit, conflict):
    records = [replace(record, unit=unit) for record, unit in zip(one_sensor([1.0, 2.0]), units, strict=True)]

    (row,) = by_key(windows(frame(spark, records), TUMBLING)).values()

    assert (row[c.UNIT], row[c.UNIT_CONFLICT]) == (unit, conflict)


def test_distinct_records_indicate_no_duplicates_and_repeated_ones_never_too_many(spark):
    distinct = [
        replace(record, sensor=f"distinct-{size}")
        for size in (1, 5, 20, 100, 2000)
        for record in one_sensor([i * 0.37 for i in range(size)], every_us=1_000)
    ]
    often = [
        replace(record, sensor=f"thrice-{size}")
        for size in (5, 40, 80)
        for record in 3 * one_sensor([i * 0.37 for i in range(size)], every_us=1_000)
    ]

    rows = by_key(windows(frame(spark, distinct + often), TUMBLING))
    found = {sensor: row[c.DUPLICATES] for (_, _, sensor), row in rows.items()}

    assert {sensor: n for sensor, n in found.items() if sensor.startswith("distinct")} == {
        f"distinct-{size}": 0 for size in (1, 5, 20, 100, 2000)
    }
    for size in (5, 40, 80):
        assert 0 < found[f"thrice-{size}"] <= 2 * size


def test_repeated_records_count_unless_deduplication_is_chosen(spark):
    records = disturbed(RECORDS, 20 * US)
    spec = replace(TUMBLING, dedup="within_window")

    found = by_key(windows(deduplicate(frame(spark, records), spec), spec))
    plain = by_key(windows(deduplicate(frame(spark, records), TUMBLING), TUMBLING))

    assert repeated(records) > 0
    assert sum(row[c.COUNT] for row in plain.values()) == len(records)
    assert_agree(found, batch_windows(without_repeats(records), shape_of(spec)), places=False)


def test_the_aggregation_of_a_batch_never_sorts(spark, capsys):
    windows(frame(spark, RECORDS), SLIDING).explain()

    plan = capsys.readouterr().out
    assert "HashAggregate" in plan
    assert "SortAggregate" not in plan
