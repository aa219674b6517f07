from __future__ import annotations

import re

import pytest

from detector.errors import ContractError, FencedError, TransientError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.marker import Marker
from detector.kafka.refusals import ALIVE_INTERVALS
from detector.kafka.sink_port import CheckpointFacts, SinkSpec
from tests.unit.kafka_edge.deployment import JUDGED_BY, facts, frozen_clock, messages, no_pause, spec
from tests.unit.kafka_edge.fake_kafka import FakeKafka, FakeLog, Faults, Transaction

NOW = frozen_clock()
OWN_EMPTY = CheckpointFacts("mine", None, -1, "/checkpoint")


def kafka_with(marker: Marker | None) -> FakeKafka:
    return FakeKafka(committed=[] if marker is None else [Transaction(0, (), marker)])


def marker(owner: str = "mine", *, batch_id: int = -1, query_id: str | None = None, age: float = 0.0) -> Marker:
    sha = None if query_id is None else f"sha of {batch_id}"
    return Marker(
        owner_uuid=owner,
        generation=7,
        instance="earlier",
        batch_id=batch_id,
        spark_query_id=query_id,
        offsets_sha256=sha,
        time=NOW - age,
    )


def sink_on(kafka: FakeKafka, sink_spec: SinkSpec | None = None, faults: dict[int, str] | None = None) -> AlertSink:
    return AlertSink(FakeLog(kafka, Faults(faults or {})), sink_spec or spec(), frozen_clock, no_pause)


def started(kafka: FakeKafka, sink_spec: SinkSpec | None = None, faults: dict[int, str] | None = None) -> AlertSink:
    sink = sink_on(kafka, sink_spec, faults)
    sink.start(OWN_EMPTY)
    return sink


def test_the_first_start_writes_generation_one_and_finds_nothing() -> None:
    kafka = FakeKafka()
    sink = sink_on(kafka)

    assert sink.start(OWN_EMPTY) is None
    assert (sink.marker.owner_uuid, sink.marker.generation, sink.marker.batch_id) == ("mine", 1, -1)
    assert kafka.markers() == [sink.marker]


def test_a_later_start_keeps_the_published_batch_and_counts_the_generation() -> None:
    kafka = kafka_with(marker(batch_id=4, query_id="query"))
    sink = sink_on(kafka)

    before = sink.start(CheckpointFacts("mine", "query", 4, "/checkpoint"))

    assert before == marker(batch_id=4, query_id="query")
    assert (sink.marker.generation, sink.marker.batch_id) == (8, 4)


def test_a_sink_that_was_not_started_has_no_marker() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = sink_on(FakeKafka()).marker


def test_an_owner_that_seems_alive_is_not_fenced() -> None:
    kafka = kafka_with(marker("other", age=5.0))

    with pytest.raises(
        FencedError, match=r"owner other, last seen 5 s ago\).*own app\.deployment.*or pass --take-over"
    ):
        sink_on(kafka).start(OWN_EMPTY)

    assert kafka.epoch == 0


def test_take_over_fences_an_owner_that_seems_alive() -> None:
    kafka = kafka_with(marker("other", age=5.0))
    sink_on(kafka, spec(take_over=True)).start(OWN_EMPTY)

    assert (kafka.epoch, kafka.markers()[-1].owner_uuid) == (1, "mine")


def test_an_owner_not_seen_for_three_intervals_is_followed() -> None:
    kafka = kafka_with(marker("other", age=ALIVE_INTERVALS * 60.0))
    sink_on(kafka).start(OWN_EMPTY)

    assert kafka.markers()[-1].owner_uuid == "mine"


def test_a_marker_from_the_future_seems_alive_to_others_and_does_not_stop_its_own_checkpoint() -> None:
    kafka = kafka_with(marker("other", age=-3600.0))
    with pytest.raises(FencedError, match="or pass --take-over"):
        sink_on(kafka).start(OWN_EMPTY)
    assert kafka.epoch == 0
    sink_on(kafka, spec(take_over=True)).start(OWN_EMPTY)

    own = kafka_with(marker("mine", age=-3600.0))
    sink_on(own).start(OWN_EMPTY)
    assert own.epoch == 1


def test_alerts_are_published_whatever_the_clock_says_of_the_last_marker() -> None:
    kafka = FakeKafka()
    now = [NOW]
    sink = AlertSink(FakeLog(kafka, Faults({})), spec(), lambda: now[0], no_pause)
    sink.start(OWN_EMPTY)
    for batch_id, moved in enumerate((-3600.0, 7200.0, -3600.0)):
        now[0] += moved
        assert sink.publish(facts(batch_id), JUDGED_BY, lambda: messages(b"one"), 1).outcome == "committed"


def test_the_same_checkpoint_need_not_wait_for_its_last_process_to_look_dead() -> None:
    kafka = kafka_with(marker("mine", age=0.0))
    sink_on(kafka).start(OWN_EMPTY)

    assert kafka.epoch == 1


def test_a_used_checkpoint_without_a_marker_is_refused() -> None:
    with pytest.raises(ContractError, match=r"/checkpoint has published batches.*no marker.*was the topic deleted\?"):
        sink_on(FakeKafka()).start(CheckpointFacts("mine", "query", 3, "/checkpoint"))


def test_a_used_checkpoint_does_not_take_anothers_fresh_marker_for_its_own() -> None:
    kafka = kafka_with(marker("other", age=1e6))

    with pytest.raises(ContractError, match="has published batches but the commits topic has no marker"):
        sink_on(kafka).start(CheckpointFacts("mine", "query", 3, "/checkpoint"))


def test_a_checkpoint_whose_batches_had_no_alerts_yet_may_start_again() -> None:
    kafka = kafka_with(marker("mine"))
    sink_on(kafka).start(CheckpointFacts("mine", "query", 3, "/checkpoint"))

    assert kafka.markers()[-1].generation == 8


@pytest.mark.parametrize(("query_id", "named"), [("another", "another"), (None, r"none \(it is empty\)")])
def test_a_marker_of_another_query_is_refused_before_anybody_is_fenced(query_id: str | None, named: str) -> None:
    kafka = kafka_with(marker(batch_id=2, query_id="query", age=1e6))
    checkpoint = CheckpointFacts("mine", query_id, 2 if query_id else -1, "/checkpoint")

    with pytest.raises(
        ContractError,
        match=rf"belongs to query query of owner mine, the checkpoint /checkpoint to {named} of mine\.",
    ):
        sink_on(kafka, spec(take_over=True)).start(checkpoint)

    assert kafka.epoch == 0


def test_a_checkpoint_that_was_rolled_back_is_refused_before_anybody_is_fenced() -> None:
    kafka = kafka_with(marker(batch_id=5, query_id="query"))

    with pytest.raises(ContractError, match=r"batch 5 was published but .* ends at batch 4: it was rolled back\. Rest"):
        sink_on(kafka).start(CheckpointFacts("mine", "query", 4, "/checkpoint"))

    assert kafka.epoch == 0


def test_a_look_that_missed_the_marker_is_no_reason_to_refuse() -> None:
    kafka = kafka_with(marker(batch_id=5, query_id="query"))

    found = sink_on(kafka, faults={0: "stale"}).start(CheckpointFacts("mine", "query", 5, "/checkpoint"))

    assert found == marker(batch_id=5, query_id="query")


def test_a_batch_is_published_with_a_marker_that_tells_all_of_it() -> None:
    kafka = FakeKafka()
    sink = started(kafka)

    published = sink.publish(facts(0), JUDGED_BY, lambda: messages(b"one", b"two"), 2)

    assert (published.outcome, published.uncertain, published.aborted) == ("committed", 0, 0)
    transaction = kafka.committed[-1]
    assert transaction.alerts == (b"one", b"two")
    assert transaction.marker == sink.marker
    assert sink.marker.batch_id == 0
    assert sink.marker.spark_query_id == "query"
    assert sink.marker.offsets_sha256 == "sha of 0"
    assert sink.marker.end_offsets == {"sensors": {"0": 10}}
    assert (sink.marker.model_digest, sink.marker.config_digest) == ("model", "config")


def test_a_replay_of_a_published_batch_is_skipped() -> None:
    kafka = FakeKafka()
    sink = started(kafka)
    sink.publish(facts(0), JUDGED_BY, lambda: messages(b"one"), 1)

    assert sink.publish(facts(0), JUDGED_BY, lambda: messages(b"one"), 1).outcome == "skipped_replay"
    assert len(kafka.committed) == 2


@pytest.mark.parametrize("replayed", [facts(0, sha="other"), facts(0, query_id="other")])
def test_a_replay_from_other_offsets_or_of_another_query_is_refused(replayed: object) -> None:
    sink = started(FakeKafka())
    sink.publish(facts(0), JUDGED_BY, lambda: messages(b"one"), 1)

    with pytest.raises(ContractError, match=r"batch 0 was published from other offsets .* 'tidemark\.test'"):
        sink.publish(replayed, JUDGED_BY, lambda: messages(b"one"), 1)  # type: ignore[arg-type]


def test_a_batch_older_than_the_published_one_is_refused() -> None:
    sink = started(FakeKafka())
    sink.publish(facts(3), JUDGED_BY, lambda: messages(b"one"), 1)

    with pytest.raises(
        ContractError, match=r"batch 2 comes after batch 3 was published: the checkpoint was rolled back"
    ):
        sink.publish(facts(2), JUDGED_BY, lambda: messages(b"one"), 1)


def test_a_batch_without_alerts_writes_nothing_while_the_marker_is_young() -> None:
    kafka = FakeKafka()
    sink = started(kafka)

    assert sink.publish(facts(0), JUDGED_BY, list, 0).outcome == "empty"
    assert len(kafka.committed) == 1


def test_a_batch_without_alerts_renews_a_marker_that_is_old() -> None:
    kafka = FakeKafka()
    now = [NOW]
    sink = AlertSink(FakeLog(kafka, Faults({})), spec(), lambda: now[0], no_pause)
    sink.start(OWN_EMPTY)
    now[0] += 60.0

    assert sink.publish(facts(0), JUDGED_BY, list, 0).outcome == "committed"
    assert (kafka.markers()[-1].batch_id, kafka.markers()[-1].time) == (0, NOW + 60.0)
    assert sink.publish(facts(1), JUDGED_BY, list, 0).outcome == "empty"


@pytest.mark.parametrize(
    ("fault", "uncertain", "aborted"), [("not done", 1, 0), ("lost reply", 1, 0), ("late", 1, 0), ("aborted", 0, 1)]
)
def test_a_failed_attempt_is_counted_and_the_batch_published_once(fault: str, uncertain: int, aborted: int) -> None:
    kafka = FakeKafka()
    sink = started(kafka, faults={4: fault})

    published = sink.publish(facts(0), JUDGED_BY, lambda: messages(b"one"), 1)

    assert (published.outcome, published.uncertain, published.aborted) == ("committed", uncertain, aborted)
    assert [transaction.alerts for transaction in kafka.committed] == [(), (b"one",)]


def test_a_batch_that_cannot_be_published_in_time_says_so_and_is_tried_no_more() -> None:
    sink = started(FakeKafka(), spec(deadline=0.0), {4: "aborted"})

    wanted = "batch 0 of 'tidemark.test' could not be published (aborted); it will be published after a restart"
    with pytest.raises(TransientError, match=re.escape(wanted)):
        sink.publish(facts(0), JUDGED_BY, lambda: messages(b"one"), 1)


def test_the_sink_waits_between_two_attempts() -> None:
    pauses: list[float] = []
    sink = AlertSink(
        FakeLog(FakeKafka(), Faults({4: "aborted", 7: "unreachable"})), spec(), frozen_clock, pauses.append
    )
    sink.start(OWN_EMPTY)
    sink.publish(facts(0), JUDGED_BY, lambda: messages(b"one"), 1)

    assert len(pauses) == 2
    assert min(pauses) > 0


def test_an_unreachable_broker_at_start_is_an_error_not_an_empty_log() -> None:
    kafka = FakeKafka()
    for operation in range(3):
        with pytest.raises(TransientError):
            sink_on(kafka, faults={operation: "unreachable"}).start(OWN_EMPTY)

    assert kafka.committed == []
