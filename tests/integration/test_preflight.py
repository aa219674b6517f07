from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from detector.errors import ContractError, TransientError
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.connection import KafkaConnection
from detector.kafka.ports import free_port
from detector.kafka.preflight import DEAD_LETTER_MAX_BYTES, Preflight
from tests.integration.kafka_records import PATIENCE, transaction

LOG_APPEND = {"message.timestamp.type": "LogAppendTime"}
CREATE_BOUNDED = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "3600000"}
CREATE_UNBOUNDED = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "9223372036854775807"}


@pytest.fixture
def preflight(broker: EmbeddedBroker) -> Preflight:
    return Preflight(KafkaConnection(broker.bootstrap_servers))


def config_of(broker: EmbeddedBroker, topic: str) -> dict[str, str | None]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    found = admin.describe_configs([resource])[resource].result(PATIENCE)
    return {name: entry.value for name, entry in found.items()}


def test_the_facts_of_topics_are_their_partitions_and_ids(preflight: Preflight, new_topic: Callable[..., str]) -> None:
    one, two = new_topic("north", 3, LOG_APPEND), new_topic("south", 1, LOG_APPEND)

    facts = preflight.check_source((one, two), None, require_log_append_time=True)

    assert facts.partitions == {one: 3, two: 1}
    assert facts.warnings == ()
    assert facts.uuids.keys() == {one, two}
    assert len(set(facts.uuids.values())) == 2


def test_a_missing_topic_is_named_beside_those_that_exist(preflight: Preflight, new_topic: Callable[..., str]) -> None:
    there = new_topic("there")

    with pytest.raises(ContractError, match=rf"topic absent does not exist on .* create it.* has: .*{there}"):
        preflight.check_source((there, "absent"), None, require_log_append_time=False)


def test_a_pattern_matches_whole_names(preflight: Preflight, new_topic: Callable[..., str]) -> None:
    prefix = f"plant-{uuid4().hex[:8]}"
    wanted = {new_topic(f"{prefix}-a"), new_topic(f"{prefix}-b", 2)}
    new_topic(f"not-{prefix}-a")

    facts = preflight.check_source((), f"{prefix}-.*", require_log_append_time=False)

    assert facts.partitions.keys() == wanted


def test_a_pattern_without_a_match_is_refused(preflight: Preflight) -> None:
    with pytest.raises(ContractError, match=r"no topic matches 'nothing-\.\+'"):
        preflight.check_source((), "nothing-.+", require_log_append_time=False)


def test_a_pattern_does_not_match_the_topics_of_kafka_itself(
    preflight: Preflight, broker: EmbeddedBroker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("source")
    transaction(broker.bootstrap_servers, topic, [b"x"], "commit")  # makes the broker create __transaction_state

    facts = preflight.check_source((), f"__.*|{topic}", require_log_append_time=False)

    assert "__transaction_state" in preflight.topics()
    assert facts.partitions.keys() == {topic}


def test_two_topics_with_one_code_are_refused(preflight: Preflight, broker: EmbeddedBroker) -> None:
    twins = ("plumless", "buckeroo")  # the same CRC-32
    admin_made = [preflight.ensure(topic, 1, 1, {}) for topic in twins]

    with pytest.raises(ContractError, match="have the same code"):
        preflight.check_source(twins, None, require_log_append_time=False)
    assert admin_made == [True, True]


def test_producer_timestamps_without_a_bound_are_warned_of(preflight: Preflight, new_topic: Callable[..., str]) -> None:
    topic = new_topic("source", config=CREATE_UNBOUNDED)

    facts = preflight.check_source((topic,), None, require_log_append_time=False)

    assert len(facts.warnings) == 1
    assert f"topic {topic} has message.timestamp.type=CreateTime without a bound" in facts.warnings[0]


def test_producer_timestamps_with_a_bound_are_accepted(preflight: Preflight, new_topic: Callable[..., str]) -> None:
    topic = new_topic("source", config=CREATE_BOUNDED)

    assert preflight.check_source((topic,), None, require_log_append_time=True).warnings == ()


def test_the_warning_is_an_error_where_the_settings_ask_for_it(
    preflight: Preflight, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("source", config=CREATE_UNBOUNDED)

    with pytest.raises(ContractError, match=rf"require_log_append_time is set, but topic {topic} has .* Prefer LogApp"):
        preflight.check_source((topic,), None, require_log_append_time=True)


def test_the_topics_that_are_written_are_created_once(preflight: Preflight, broker: EmbeddedBroker) -> None:
    alerts, letters, commits = (f"{kind}-{uuid4().hex[:8]}" for kind in ("alerts", "letters", "commits"))

    preflight.ensure_outputs(alerts, letters, commits, replication=1)
    preflight.ensure_outputs(alerts, letters, commits, replication=1)

    known = preflight.topics()
    assert (known[alerts], known[letters], known[commits]) == (4, 1, 1)
    assert config_of(broker, commits)["cleanup.policy"] == "compact"
    assert config_of(broker, letters)["max.message.bytes"] == str(DEAD_LETTER_MAX_BYTES)


def test_what_is_written_by_a_machine_whose_clock_is_hours_ahead_is_taken(
    preflight: Preflight, broker: EmbeddedBroker
) -> None:
    names = [f"{kind}-{uuid4().hex[:8]}" for kind in ("alerts", "letters", "commits")]
    preflight.ensure_outputs(*names, replication=1)
    refused: list[str] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for name in names:
        two_hours_ahead = round((time.time() + 7200) * 1000)
        producer.produce(
            name, b"value", b"key", timestamp=two_hours_ahead, on_delivery=lambda error, _: refused.append(str(error))
        )

    assert producer.flush(PATIENCE) == 0
    assert refused == ["None"] * 3


@pytest.mark.parametrize(("partitions", "policy"), [(1, "delete"), (2, "compact"), (1, "compact,delete")])
def test_a_commits_topic_that_may_lose_markers_is_refused(
    preflight: Preflight, new_topic: Callable[..., str], partitions: int, policy: str
) -> None:
    commits = new_topic("commits", partitions, {"cleanup.policy": policy})

    with pytest.raises(
        ContractError, match=rf"cleanup\.policy={policy} and {partitions} partitions.*and one partition"
    ):
        preflight.ensure_outputs(new_topic("alerts"), new_topic("letters"), commits, 1)


def test_a_topic_that_the_cluster_refuses_says_how_to_make_it(preflight: Preflight) -> None:
    with pytest.raises(
        TransientError, match=r"topic unlikely could not be created .* by hand with 2 partitions and \{\}"
    ):
        preflight.ensure("unlikely", 2, 3, {})  # three copies on one broker


def test_offsets_are_the_first_the_end_or_those_of_a_time(
    preflight: Preflight, broker: EmbeddedBroker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("source", 3)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for second in range(10):
        producer.produce(topic, b"x", partition=0, timestamp=1_000 * (100 + second))
    producer.produce(topic, b"x", partition=1, timestamp=50_000)
    assert producer.flush(PATIENCE) == 0
    partitions = {topic: 3}

    assert preflight.offsets(partitions) == {topic: {0: 0, 1: 0, 2: 0}}
    assert preflight.offsets(partitions, end=True) == {topic: {0: 10, 1: 1, 2: 0}}
    assert preflight.offsets(partitions, at=103.5) == {topic: {0: 4, 1: 1, 2: 0}}
    assert preflight.offsets(partitions, at=0.0) == {topic: {0: 0, 1: 0, 2: 0}}


def test_the_end_is_where_committed_records_end(
    preflight: Preflight, broker: EmbeddedBroker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic("source")
    transaction(broker.bootstrap_servers, topic, [b"x"], "commit")
    other = transaction(broker.bootstrap_servers, topic, [b"y"], "open")

    assert preflight.offsets({topic: 1}, end=True) == {topic: {0: 2}}
    other.abort_transaction(PATIENCE)
    assert preflight.offsets({topic: 1}, end=True) == {topic: {0: 4}}


def test_a_broker_that_does_not_answer_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(TransientError, match=rf"Kafka at {address} does not answer .*check kafka\.bootstrap_servers"):
        Preflight(KafkaConnection(address), request_seconds=0.5).topics()
