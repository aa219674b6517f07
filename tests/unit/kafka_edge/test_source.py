from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from detector.kafka.connection import KafkaConnection
from detector.kafka.source import FIRST, SourceSpec, complete, from_json, to_json

CONNECTION = KafkaConnection("broker:9092")
OFFSETS = st.dictionaries(st.text(min_size=1), st.dictionaries(st.integers(0, 99), st.integers(0, 2**60)))


@given(OFFSETS)
def test_offsets_survive_the_form_of_the_connector(offsets: dict[str, dict[int, int]]) -> None:
    assert from_json(to_json(offsets)) == offsets


def test_offsets_are_written_in_one_order_whatever_theirs() -> None:
    assert to_json({"b": {1: 5, 0: 4}, "a": {}}) == '{"a": {}, "b": {"0": 4, "1": 5}}'
    assert json.loads(to_json({"a": {0: 1}})) == {"a": {"0": 1}}


def test_partitions_without_an_offset_are_begun_with_their_first_record() -> None:
    known = {"plant": 3, "mill": 1}

    assert complete({"plant": {0: 7, 1: 8}}, known) == {"plant": {0: 7, 1: 8, 2: FIRST}, "mill": {0: FIRST}}


def test_a_topic_that_is_gone_has_no_offset() -> None:
    assert complete({"plant": {0: 7}, "mill": {0: 4}}, {"plant": 1}) == {"plant": {0: 7}}


def test_topics_are_subscribed_by_name() -> None:
    options = SourceSpec(CONNECTION, topics=("north", "south")).options()

    assert options["subscribe"] == "north,south"
    assert "subscribePattern" not in options
    assert "minPartitions" not in options


def test_a_pattern_and_a_split_are_handed_on() -> None:
    options = SourceSpec(CONNECTION, topic_pattern="plant-.*", min_partitions=8).options()

    assert options["subscribePattern"] == "plant-.*"
    assert "subscribe" not in options
    assert options["minPartitions"] == "8"


def test_only_committed_records_are_read_and_lost_ones_are_an_error() -> None:
    options = SourceSpec(CONNECTION, topics=("north",)).options()

    assert options["kafka.isolation.level"] == "read_committed"
    assert options["failOnDataLoss"] == "true"
    assert options["kafka.bootstrap.servers"] == "broker:9092"
