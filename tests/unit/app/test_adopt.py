"""What a start says that was to adopt and had nothing to."""

from __future__ import annotations

from detector.app.adopt import why_nothing
from detector.kafka.marker import Marker
from detector.kafka.sink_port import CheckpointFacts

EMPTY = CheckpointFacts("new", None, -1, "/state")
USED = CheckpointFacts("new", "a-query", 7, "/state")


def test_a_checkpoint_that_is_not_empty_carries_on_by_itself() -> None:
    marker = Marker(owner_uuid="new", generation=3, spark_query_id="a-query", batch_id=7, emitted_watermark=50.0)

    assert "/state is not empty" in why_nothing(USED, marker)


def test_where_nothing_was_published_there_is_nothing_to_carry_on() -> None:
    assert "there is nothing to carry on" in why_nothing(EMPTY, None)
    assert "there is nothing to carry on" in why_nothing(EMPTY, Marker(owner_uuid="new", generation=1))


def test_a_second_start_says_that_the_first_one_has_adopted() -> None:
    assert "has adopted" in why_nothing(EMPTY, Marker(owner_uuid="new", generation=2, emitted_watermark=50.0))
