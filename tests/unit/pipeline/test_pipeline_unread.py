"""What waits in each partition of a source."""

from __future__ import annotations

from detector.pipeline.backlog import unread


def test_what_waits_begins_where_reading_stopped() -> None:
    read, first, end = {"plant": {0: 40, 1: 10}}, {"plant": {0: 0, 1: 0}}, {"plant": {0: 100, 1: 10}}

    assert unread(read, first, end) == {("plant", 0): (40, 100)}


def test_a_partition_that_was_never_read_waits_as_a_whole() -> None:
    assert unread({"plant": {0: 9}}, {"plant": {0: 0, 1: 5}}, {"plant": {0: 9, 1: 7}}) == {("plant", 1): (5, 7)}
    assert unread({}, {"mill": {0: 3}}, {"mill": {0: 4}}) == {("mill", 0): (3, 4)}


def test_what_retention_deleted_does_not_wait() -> None:
    assert unread({"plant": {0: 40}}, {"plant": {0: 70}}, {"plant": {0: 100}}) == {("plant", 0): (70, 100)}
    assert unread({"plant": {0: 40}}, {"plant": {0: 100}}, {"plant": {0: 100}}) == {}


def test_nothing_waits_in_a_topic_that_ends_before_what_was_read() -> None:
    assert unread({"plant": {0: 40}}, {"plant": {0: 0}}, {"plant": {0: 12}}) == {}
