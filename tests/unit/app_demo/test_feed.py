"""Sending records while no broker is there: how long that goes on is up to whoever sends."""

from __future__ import annotations

import pytest

from detector.app.demo.feed import Sender
from detector.app.demo.play import Message, Tick
from detector.errors import TransientError
from detector.kafka.connection import KafkaConnection
from detector.kafka.ports import free_port

TICK = Tick(1_795_000_000.0, (Message(b"temp", b"20.5"), Message(b"flow", b"3.1")))


def test_a_sender_waits_for_the_broker_until_its_patience_ends_and_tells_what_was_taken() -> None:
    silences: list[float] = []

    def patient(silence: float) -> bool:
        silences.append(silence)
        return len(silences) < 3

    sender = Sender(KafkaConnection(f"127.0.0.1:{free_port()}"), "plant", patient=patient)
    sender.send(TICK)

    with pytest.raises(TransientError, match="the broker has not taken 2 records"):
        sender.flush()

    assert silences == sorted(silences)
    assert len(silences) == 3
    assert (sender.records, sender.taken) == (2, 0)


def test_what_was_not_taken_stays_for_the_next_try() -> None:
    sender = Sender(KafkaConnection(f"127.0.0.1:{free_port()}"), "plant", patient=lambda _: False)
    sender.send(TICK)
    for _ in range(2):
        with pytest.raises(TransientError, match="has not taken 2 records"):
            sender.flush()
