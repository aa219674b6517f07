"""Fixed-width codes of units and the types of rows on Spark.

Not here: the order of records, a property (``tests/property/test_pipeline_schema.py``).
"""

from __future__ import annotations

import pytest

from detector.pipeline import schema
from tests.reference import unpack_unit


@pytest.mark.parametrize("unit", ["degC", "°C", "m³/h", "mm/s", "12345678", "123456789", "1234567890123456"])
def test_a_unit_of_up_to_16_bytes_comes_back_as_it_was(unit):
    assert unpack_unit(*schema.pack_unit(unit)) == unit


@pytest.mark.parametrize("unit", [None, ""])
def test_no_unit_is_two_zeros(unit):
    assert schema.pack_unit(unit) == (0, 0)
    assert unpack_unit(0, 0) is None


@pytest.mark.parametrize(
    ("unit", "kept"),
    [
        ("12345678901234567", "1234567890123456"),
        ("12345678901234°C", "12345678901234°"),
        ("123456789012345°C", "123456789012345"),
        ("12345678901234温度", "12345678901234"),
        ("1234567890123😀", "1234567890123"),
    ],
)
def test_a_longer_unit_is_cut_between_two_characters(unit, kept):
    assert unpack_unit(*schema.pack_unit(unit)) == kept
    assert schema.pack_unit(unit) == schema.pack_unit(kept)


def test_units_with_another_text_have_another_code():
    units = ["degC", "degF", "°C", "°F", "12345678", "123456789", None]

    assert len({schema.pack_unit(unit) for unit in units}) == len(units)


@pytest.mark.parametrize("rows", [schema.RAW, schema.DECODED, schema.SCORED])
def test_every_column_has_a_type_on_spark(rows):
    columns = schema.ddl(rows).split(", ")

    assert [column.split("`")[1] for column in columns] == rows.names
