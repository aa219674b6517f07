from __future__ import annotations

from structlog.testing import capture_logs

from detector.app.heartbeat import Heartbeat


class Source:
    """Time, and what was written."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.written: list[int] = []
        self.heartbeat = Heartbeat(self.written.append, after_seconds=60.0, ahead_seconds=40.0, clock=lambda: self.now)

    def idle_at(self, now: float) -> list[int]:
        self.now = now
        self.heartbeat.idle()
        return self.written


def test_a_heartbeat_comes_once_when_nothing_has_come_for_long_enough() -> None:
    source = Source()
    source.heartbeat.read(500.0)

    assert source.idle_at(1_059.0) == []
    assert source.idle_at(1_060.0) == [540_000_000]
    assert source.idle_at(2_000.0) == [540_000_000]


def test_records_that_come_put_it_off_and_call_for_another() -> None:
    source = Source()
    source.heartbeat.read(500.0)
    source.now = 1_050.0
    source.heartbeat.read(550.0)

    assert source.idle_at(1_100.0) == []
    assert source.idle_at(1_110.0) == [590_000_000]
    source.heartbeat.read(600.0)
    assert source.idle_at(1_170.0) == [590_000_000, 640_000_000]


def test_records_that_are_not_newer_call_for_none() -> None:
    source = Source()
    source.heartbeat.read(500.0)
    assert source.idle_at(1_060.0) == [540_000_000]
    source.heartbeat.read(500.0)

    assert source.idle_at(1_200.0) == [540_000_000]


def test_before_the_first_record_there_is_nothing_to_close() -> None:
    assert Source().idle_at(9_000.0) == []


def test_the_log_tells_the_time_of_the_newest_record_as_people_read_it() -> None:
    source = Source()
    source.heartbeat.read(1_795_000_000.0)

    with capture_logs() as logged:
        source.idle_at(1_060.0)

    assert [line["newest_event_time"] for line in logged] == ["2026-11-18T11:06:40Z"]
