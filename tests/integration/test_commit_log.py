from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import msgspec
import pytest

from detector.errors import ContractError, FencedError, TransientError
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.commit_log import AbortedError, CommitLog, OutgoingMessage
from detector.kafka.compacted import read_latest
from detector.kafka.connection import KafkaConnection
from detector.kafka.marker import Marker
from tests.integration.kafka_records import PATIENCE, Record, log_on, read, transaction, write

MARKER = Marker(
    owner_uuid="owner",
    generation=3,
    instance="process",
    spark_query_id="query-id",
    batch_id=17,
    offsets_sha256="digest",
    end_offsets={"sensors": {"0": 12, "1": 15}},
    emitted_watermark=1_795_005_189.125,
    model_digest="model",
    config_digest="config",
    storm_state={"since": 1.5, "groups": [1, 2]},
    time=1_795_005_190.0625,
)
COMPACTED = {"cleanup.policy": "compact"}


@dataclass(frozen=True)
class Site:
    """The two topics of one deployment, and its identity."""

    servers: str
    alerts: str
    commits: str
    identity: str

    def log(self, seconds: float = PATIENCE) -> CommitLog:
        return log_on(self.servers, self.alerts, self.commits, transactional_id=self.identity, seconds=seconds)


@pytest.fixture
def site(broker: EmbeddedBroker, new_topic: Callable[..., str]) -> Site:
    commits = new_topic("commits", config=COMPACTED)
    return Site(broker.bootstrap_servers, new_topic("alerts"), commits, f"test-{uuid4().hex}")


@pytest.fixture
def log(site: Site) -> Iterator[CommitLog]:
    made = site.log()
    made.open()
    yield made
    made.close()


def alerts(*values: bytes) -> list[OutgoingMessage]:
    return [OutgoingMessage(b"pump-1", value, [("event", b"opened")]) for value in values]


def test_an_empty_commits_topic_has_no_marker(site: Site) -> None:
    assert site.log().read_marker() is None
    assert site.log().read_marker(settled=False) is None


def test_a_marker_comes_back_as_it_was_written(site: Site, log: CommitLog) -> None:
    log.publish([], MARKER)
    log.publish([], msgspec.structs.replace(MARKER, batch_id=18))

    assert site.log().read_marker() == msgspec.structs.replace(MARKER, batch_id=18)


def test_alerts_arrive_with_key_value_and_headers_in_their_order(site: Site, log: CommitLog) -> None:
    log.publish(alerts(b"one", b"two"), MARKER)

    expected = [Record(b"pump-1", value, {"event": b"opened"}) for value in (b"one", b"two")]
    assert read(site.servers, site.alerts) == expected


def test_alerts_and_marker_become_visible_together(site: Site, log: CommitLog) -> None:
    producing, commit = threading.Event(), threading.Event()

    def slowly() -> Iterator[OutgoingMessage]:
        yield from alerts(b"one")
        producing.set()
        assert commit.wait(PATIENCE)
        yield from alerts(b"two")

    publishing = threading.Thread(target=log.publish, args=(slowly(), MARKER))
    publishing.start()
    assert producing.wait(PATIENCE)
    before = (read(site.servers, site.alerts), site.log().read_marker(settled=False))
    commit.set()
    publishing.join(PATIENCE)

    assert before == ([], None)
    assert [record.value for record in read(site.servers, site.alerts)] == [b"one", b"two"]
    assert site.log().read_marker() == MARKER


def test_a_transaction_whose_alerts_fail_publishes_nothing_and_the_next_one_works(site: Site, log: CommitLog) -> None:
    too_large = alerts(b"fits", b"x" * 2_000_000)

    with pytest.raises(AbortedError):
        log.publish(too_large, MARKER)
    assert read(site.servers, site.alerts) == []
    assert site.log().read_marker() is None

    log.publish(alerts(b"again"), MARKER)
    assert [record.value for record in read(site.servers, site.alerts)] == [b"again"]


def test_an_alert_that_the_broker_refuses_aborts_the_transaction(
    broker: EmbeddedBroker, new_topic: Callable[..., str]
) -> None:
    narrow = new_topic("alerts", config={"max.message.bytes": "1000"})
    log = log_on(broker.bootstrap_servers, narrow, new_topic("commits", config=COMPACTED))
    log.open()

    with pytest.raises(AbortedError):
        log.publish(alerts(b"fits", secrets.token_bytes(5_000)), MARKER)

    assert read(broker.bootstrap_servers, narrow) == []
    assert log.read_marker() is None
    log.close()


def test_an_older_producer_is_fenced_by_a_newer_one(site: Site, log: CommitLog) -> None:
    log.publish(alerts(b"mine"), MARKER)
    newer = site.log()
    newer.open()

    with pytest.raises(FencedError, match=rf"'{site.identity}' was fenced .* give a second deployment its own"):
        log.publish(alerts(b"zombie"), msgspec.structs.replace(MARKER, batch_id=18))
    newer.publish(alerts(b"theirs"), msgspec.structs.replace(MARKER, generation=4))

    assert [record.value for record in read(site.servers, site.alerts)] == [b"mine", b"theirs"]
    assert newer.read_marker() == msgspec.structs.replace(MARKER, generation=4)
    newer.close()


def test_a_producer_that_is_fenced_within_its_transaction_publishes_nothing(site: Site, log: CommitLog) -> None:
    newer = site.log()

    def overtaken() -> Iterator[OutgoingMessage]:
        yield from alerts(b"zombie")
        newer.open()

    with pytest.raises(FencedError):
        log.publish(overtaken(), MARKER)

    assert read(site.servers, site.alerts) == []
    assert newer.read_marker() is None
    newer.close()


def test_open_ends_the_transaction_of_a_dead_owner(site: Site) -> None:
    dead = transaction(site.servers, site.commits, [b"half a marker"], "open", site.identity)
    log = site.log()
    log.open()

    assert log.read_marker() is None
    log.publish([], MARKER)
    assert log.read_marker() == MARKER
    log.close()
    del dead


def test_a_marker_behind_the_open_transaction_of_another_deployment_is_waited_for(site: Site, log: CommitLog) -> None:
    log.publish([], MARKER)
    other = transaction(site.servers, site.commits, [b"of another"], "open")
    newer = msgspec.structs.replace(MARKER, batch_id=18)
    log.publish([], newer)
    look = site.log().read_marker(settled=False)
    impatient = replace(log.spec, transaction_timeout_seconds=0.5)

    with pytest.raises(TransientError, match=r"could not be read to its end within .* left open"):
        CommitLog(impatient).read_marker()
    found: list[Marker | None] = []
    reading = threading.Thread(target=lambda: found.append(site.log().read_marker()))
    reading.start()
    other.commit_transaction(PATIENCE)
    reading.join(PATIENCE)

    assert look == MARKER
    assert found == [newer]


def test_an_aborted_transaction_at_the_end_hides_nothing(site: Site, log: CommitLog) -> None:
    log.publish([], MARKER)
    transaction(site.servers, site.commits, [b"never"], "abort")

    assert site.log().read_marker() == MARKER


def test_queries_that_share_the_topic_have_markers_of_their_own(site: Site, log: CommitLog) -> None:
    log.publish([], MARKER)
    write(site.servers, site.commits, [b"{}"], key=b"another query")

    assert log.read_marker() == MARKER


@pytest.mark.parametrize("value", [b"{}", b"not a marker", None])
def test_a_marker_that_cannot_be_read_is_refused_not_taken_for_none(site: Site, value: bytes | None) -> None:
    write(site.servers, site.commits, [value], key=b"query")

    with pytest.raises(ContractError, match=r"the marker 'query' in topic commits-\w+ cannot be read"):
        site.log().read_marker()


def test_a_marker_of_a_later_format_is_refused(site: Site) -> None:
    later = msgspec.json.encode(msgspec.structs.replace(MARKER, v=2))
    write(site.servers, site.commits, [later], key=b"query")

    with pytest.raises(ContractError, match="has format 2, this version knows 1"):
        site.log().read_marker()


@pytest.mark.parametrize("settled", [True, False])
def test_a_commits_topic_that_does_not_exist_is_an_error(broker: EmbeddedBroker, *, settled: bool) -> None:
    with pytest.raises(TransientError, match="topic no-such-topic"):
        read_latest(KafkaConnection(broker.bootstrap_servers), "no-such-topic", 1.0, settled=settled)


def test_publishing_needs_an_open_log(site: Site) -> None:
    with pytest.raises(RuntimeError, match="publish before open"):
        site.log().publish([], MARKER)
