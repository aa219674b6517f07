from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from detector.errors import TransientError
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.dead_letter import Ledger, LedgerSpec, Reread
from detector.kafka.range_reader import OffsetRange
from detector.pipeline.decode import DecodeSpec
from detector.pipeline.identity import AssetRule
from detector.pipeline.windows import WindowSpec
from tests.integration.kafka_records import Record, read, transaction, write


def good(event_ms: int) -> bytes:
    return json.dumps({"asset_id": "pump-1", "sensor_id": "s1", "timestamp": event_ms, "value": 1.0}).encode()


GOOD = good(1_700_000_000_000)
BAD = b'{"value": 1.0, "pad": "\xc3\xa4"'
MAX_BYTES = 2_000


class Site:
    """A source topic, and the ledger that re-reads it."""

    def __init__(self, servers: str, new_topic: Callable[..., str]) -> None:
        self.servers = servers
        self.source = new_topic("source", config={"max.message.bytes": "4000000"})
        self.letters = new_topic("letters", config={"max.message.bytes": "4000000"})
        self.commits = new_topic("commits", config={"cleanup.policy": "compact"})
        self.ledgers: list[Ledger] = []

    def ledger(self, *, letters: str = "", deadline_seconds: float = 30.0) -> Ledger:
        spec = LedgerSpec(
            KafkaConnection(self.servers), "query", letters or self.letters, self.commits, deadline_seconds
        )
        made = Ledger(spec, DecodeSpec(asset=AssetRule("field"), max_bytes=MAX_BYTES), WindowSpec(10, 5))
        self.ledgers.append(made)
        return made

    def range(self, start: int, end: int) -> OffsetRange:
        return OffsetRange(self.source, 0, start, end)

    def dead(self) -> list[Record]:
        return read(self.servers, self.letters)

    def dead_offsets(self) -> list[int]:
        return [int(record.headers["offset"]) for record in self.dead()]


def publish(ledger: Ledger, *ranges: OffsetRange) -> Counter[str]:
    return ledger.publish([Reread(ranges)]).counts


@pytest.fixture
def site(broker: EmbeddedBroker, new_topic: Callable[..., str]) -> Iterator[Site]:
    made = Site(broker.bootstrap_servers, new_topic)
    yield made
    for ledger in made.ledgers:
        ledger.close()


def test_a_reject_is_published_with_its_bytes_its_key_and_where_it_came_from(site: Site) -> None:
    write(site.servers, site.source, [GOOD, BAD, GOOD], key=b"\xff\x00key")

    assert publish(site.ledger(), site.range(0, 3)) == {"bad_json": 1}
    (letter,) = site.dead()
    assert (letter.key, letter.value) == (b"\xff\x00key", BAD)
    assert letter.headers["reason"] == b"bad_json"
    assert letter.headers["detail"]
    assert letter.headers["topic"] == site.source.encode()
    assert (letter.headers["partition"], letter.headers["offset"]) == (b"0", b"1")
    assert int(letter.headers["timestamp"]) > 0


def test_only_what_lies_in_the_ranges_is_published(site: Site) -> None:
    write(site.servers, site.source, [b"poison %d" % n for n in range(1_000)])
    ledger = site.ledger()

    published = publish(ledger, site.range(10, 13), site.range(256, 512), site.range(999, 1_000))

    assert published == {"bad_json": 260}
    assert site.dead_offsets() == [10, 11, 12, *range(256, 512), 999]


def test_a_range_longer_than_a_chunk_is_published_whole(site: Site) -> None:
    write(site.servers, site.source, [b"[]"] * 6_000)

    assert publish(site.ledger(), site.range(0, 6_000)) == {"not_an_object": 6_000}
    assert site.dead_offsets() == list(range(6_000))


def test_a_tombstone_and_an_empty_value_stay_what_they_are(site: Site) -> None:
    write(site.servers, site.source, [None, b""], key=b"key")

    assert publish(site.ledger(), site.range(0, 2)) == {"null_value": 1, "bad_json": 1}
    assert [record.value for record in site.dead()] == [None, b""]


def test_a_record_over_the_limit_is_published_whole(site: Site) -> None:
    exact = GOOD[:-1] + b" " * (MAX_BYTES - len(GOOD)) + b"}"
    huge = GOOD[:-1] + b" " * 3_000_000 + b"}"
    write(site.servers, site.source, [exact, exact + b" ", huge])

    assert publish(site.ledger(), site.range(0, 3)) == {"too_large": 2}
    assert [record.value for record in site.dead()] == [exact + b" ", huge]


def test_a_record_with_half_of_a_surrogate_pair_is_published(site: Site) -> None:
    record = b'{"asset_id": "\\ud800", "sensor_id": "s1", "timestamp": 1700000000000, "value": 1}'
    wrong_name = b'{"asset_id": "a", "sensor_id": {"\\ud800": 1}, "timestamp": "\\udfff", "value": "\\udcff"}'
    write(site.servers, site.source, [record, wrong_name])

    publish(site.ledger(), site.range(0, 2))
    assert [letter.value for letter in site.dead()] == [record, wrong_name]


def test_a_range_that_ends_in_control_records_is_finished(site: Site) -> None:
    transaction(site.servers, site.source, [BAD, GOOD], "commit")
    transaction(site.servers, site.source, [BAD], "abort")
    # offsets: 0 reject, 1 valid, 2 commit, 3 aborted reject, 4 abort

    assert publish(site.ledger(), site.range(0, 5)) == {"bad_json": 1}
    assert site.dead_offsets() == [0]


def test_ranges_without_any_record_are_finished(site: Site) -> None:
    transaction(site.servers, site.source, [BAD], "abort")
    write(site.servers, site.source, [BAD])
    ledger = site.ledger()

    assert publish(ledger, site.range(0, 2), site.range(2, 2)) == {}
    assert publish(ledger, site.range(1, 3)) == {"bad_json": 1}


def test_records_of_a_transaction_that_is_open_behind_the_range_are_not_waited_for(site: Site) -> None:
    write(site.servers, site.source, [BAD, GOOD])
    other = transaction(site.servers, site.source, [BAD], "open")

    assert publish(site.ledger(), site.range(0, 2)) == {"bad_json": 1}
    other.abort_transaction(30)


def test_a_late_record_is_published_with_the_watermark_that_closed_its_windows(site: Site) -> None:
    began_ms = 1_700_000_000_000  # windows of 10 s begin here, others at 5 s
    records = [good(began_ms + after) for after in (9_999, 4_999, 10_000, 5_000)]
    write(site.servers, site.source, [*records, BAD], key=b"key")

    letters = site.ledger().publish([Reread((site.range(0, 5),), (began_ms + 15_000) * 1000)])

    assert (letters.counts, letters.partly_late) == ({"late": 3, "bad_json": 1}, 1)
    late = [record for record in site.dead() if record.headers["reason"] == b"late"]
    assert [(record.value, int(record.headers["offset"])) for record in late] == [
        (records[0], 0), (records[1], 1), (records[3], 3),
    ]  # fmt: skip
    assert late[0].key == b"key"
    assert {int(record.headers["watermark"]) for record in late} == {began_ms + 15_000}
    assert late[0].headers["detail"].startswith(b"event time 2023-11-14T22:13:29.999000Z")


def test_records_are_not_looked_at_for_being_late_where_the_watermark_is_not_known(site: Site) -> None:
    write(site.servers, site.source, [GOOD, BAD])

    assert site.ledger().publish([Reread((site.range(0, 2),))]).counts == {"bad_json": 1}


def test_each_reread_has_a_watermark_of_its_own(site: Site) -> None:
    write(site.servers, site.source, [GOOD, GOOD])
    closed = [1_700_000_010_000 * 1000 - 1, 1_700_000_010_000 * 1000]

    site.ledger().publish([Reread((site.range(at, at + 1),), until) for at, until in enumerate(closed)])

    assert site.dead_offsets() == [1]


def test_a_partition_that_ends_before_its_range_is_an_error_not_the_end(site: Site) -> None:
    write(site.servers, site.source, [BAD])

    with pytest.raises(TransientError, match=rf"{site.source}/0 offsets 0-5 could not be read again within 1 s"):
        publish(site.ledger(deadline_seconds=1.0), site.range(0, 5))


def test_several_partitions_and_topics_are_read_one_after_another(site: Site, new_topic: Callable[..., str]) -> None:
    second = new_topic("source")
    write(site.servers, site.source, [BAD, GOOD])
    write(site.servers, second, [GOOD, b"\xff"])

    published = publish(site.ledger(), site.range(0, 2), OffsetRange(second, 0, 0, 2))

    assert published == Counter(bad_json=1, invalid_utf8=1)
    assert [letter.headers["topic"] for letter in site.dead()] == [site.source.encode(), second.encode()]


def test_letters_that_the_topic_refuses_are_an_error(site: Site, new_topic: Callable[..., str]) -> None:
    write(site.servers, site.source, [b"x" * 100_000])
    narrow = new_topic("letters", config={"max.message.bytes": "1000", "compression.type": "uncompressed"})

    with pytest.raises(TransientError, match=rf"could not be written to {narrow}: .*max\.message\.bytes"):
        publish(site.ledger(letters=narrow), site.range(0, 1))


def test_progress_is_unknown_until_it_is_saved_and_then_the_newest(site: Site) -> None:
    ledger = site.ledger()
    before = ledger.progress()
    ledger.save_progress({site.source: {0: 5}})
    ledger.save_progress({site.source: {0: 17, 1: 3}, "another": {2: 2**40}})

    assert before is None
    assert site.ledger().progress() == {site.source: {0: 17, 1: 3}, "another": {2: 2**40}}
