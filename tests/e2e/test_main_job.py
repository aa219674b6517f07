"""The main job as a user runs it: train, run, alerts, dead letters, restart over lost records, another model."""

from __future__ import annotations

import json
import random
import signal
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from detector.kafka.broker import EmbeddedBroker
from tests.e2e.deployment import DEADLINE, EPOCH, SENSORS, Deployment, Run

HISTORY = 2_400  # seconds of history: 240 windows
POISON = 10_000
LATE, REPEATED = range(100, 110), range(HISTORY + 480, HISTORY + 500)  # seconds of which records are sent once more
WINDOW, LATENESS = 10, 20  # seconds, as `Deployment` has them
DEDUP = ("--set", "windows.dedup=within_window")
HEARTBEATS = ("--set", "source.heartbeat_after=1h")  # none is written; what matters is that their topic is read
LOST = 50  # records


def deployment(tmp_path: Path, broker: EmbeddedBroker, name: str) -> Deployment:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(f"{name}-sensors", 2, 1)])[f"{name}-sensors"].result(30)
    return Deployment(tmp_path, broker.bootstrap_servers, name)


def severe_opening(sensor: str) -> Callable[[list[Message]], bool]:
    """Wait for an incident of a level shift, not for one of the rare false alarms."""

    def found(messages: list[Message]) -> bool:
        last = json.loads(messages[-1].value() or b"{}")
        return (last["event"], last["sensor_id"]) == ("opened", sensor) and last["severity"] != "minor"

    return found


def resolution(incident_id: str) -> Callable[[list[Message]], bool]:
    def found(messages: list[Message]) -> bool:
        last = json.loads(messages[-1].value() or b"{}")
        return (last["event"], last["incident_id"]) == ("resolved", incident_id)

    return found


def fuzzed(count: int) -> list[bytes]:
    """Return records that cannot decode: noise, cut and altered JSON, wrong types."""
    rng = random.Random(7)
    good = json.dumps({"asset_id": "pump-1", "sensor_id": "flow", "timestamp": EPOCH * 1000, "value": 1.5}).encode()
    makers = [
        lambda: rng.randbytes(rng.randint(0, 200)),
        lambda: good[: rng.randint(1, len(good) - 1)],
        lambda: good.replace(
            b"1.5", rng.choice([b'"1.5"', b"NaN", b"-Infinity", b"1e999", b"[]", b"{}", b"true", b"null"])
        ),
        lambda: good.replace(b"pump-1", b"\xff\xfe"),
        lambda: good + b"\n" + good,
        lambda: b"[" * rng.randint(1, 5_000),
        lambda: good.replace(b"flow", b"\\u0000"),
        lambda: good.replace(b'"timestamp": 17', b'"timestamp": 97'),
        lambda: good.replace(b'"asset_id": "pump-1", ', b""),
    ]
    return [makers[i % len(makers)]() for i in range(count)]


def faults(sensor: str, second: int) -> float:
    """Two level shifts: one lasts from the first run into the third, the other begins in the second."""
    spans = {"pump-1/flow": (HISTORY + 400, HISTORY + 800), "pump-1/pressure": (HISTORY + 600, HISTORY + 800)}
    start, end = spans.get(sensor, (0, 0))
    return 40.0 if start <= second < end else 0.0


def lose_records(plant: Deployment) -> None:
    """Write records and delete them before anybody has read them, as a retention that is too short does."""
    for _ in range(LOST):
        plant.write(b"lost", partition=0)
    plant.producer.flush(DEADLINE)
    admin = AdminClient({"bootstrap.servers": plant.servers})
    (deleted,) = admin.delete_records([TopicPartition(plant.sensors, 0, OFFSET_END)]).values()
    deleted.result(DEADLINE)


def place(message: Message) -> tuple[bytes, ...]:
    return tuple(value or b"" for name, value in message.headers() or [] if name in ("topic", "partition", "offset"))


def shuffled(seconds: Iterable[int]) -> list[int]:
    """Bring seconds out of order, by less than the lateness."""
    rng = random.Random(5)
    return sorted(seconds, key=lambda second: second + rng.uniform(0, LATENESS - 5))


def accounted(sent: Sequence[Message], rejected: set[bytes], letters: Sequence[Message]) -> Counter[str]:
    """Say of every record what must have become of it, one at a time; only which were late the letters say."""
    late = {place(letter) for letter in letters if ("reason", b"late") in (letter.headers() or [])}
    found: Counter[str] = Counter()
    seen: set[tuple[str, str, int, float]] = set()
    valid = [message for message in sent if message.value() not in rejected]
    watermark = max(json.loads(message.value() or b"")["timestamp"] for message in valid) - LATENESS * 1000
    for message in valid:
        record = json.loads(message.value() or b"")
        key = (record["asset_id"], record["sensor_id"], record["timestamp"], record["value"])
        where = (message.topic() or "").encode(), str(message.partition()).encode(), str(message.offset()).encode()
        closed = (record["timestamp"] // (WINDOW * 1000) + 1) * WINDOW * 1000 <= watermark
        found["late" if where in late else "deduplicated" if key in seen else "closed" if closed else "open"] += 1
        seen |= set() if where in late else {key}
    return found + Counter(rejected=len(sent) - len(valid))


def assert_accounted(plant: Deployment, account: Counter[str], metrics: Mapping[str, float]) -> None:
    """No record is unaccounted: metrics, the audit and the account of `accounted` say the same."""
    assert account["late"] == len(SENSORS) * len(LATE)
    assert account["deduplicated"] == len(SENSORS) * len(REPEATED)
    assert account.total() == metrics[f"tidemark_records_consumed_total[{plant.sensors}]"]
    assert {
        "closed": metrics["tidemark_windowed_records_total"],
        "late": metrics["tidemark_records_late_total"],
        "deduplicated": metrics["tidemark_records_deduplicated_total"],
    } == {name: account[name] for name in ("closed", "late", "deduplicated")}
    done = plant.call("audit", "--json", *DEDUP)
    assert done.returncode == 0, done.stderr
    audit = json.loads(done.stdout)
    assert (audit["findings"], audit["not_read_yet"], audit["records"]) == ({}, 0, account.total())
    assert account == {
        "closed": audit["in_closed_windows"],
        "open": audit["in_open_windows"],
        "late": audit["late"],
        "deduplicated": audit["deduplicated"],
        "rejected": sum(audit["rejected"].values()),
    }


def promote(plant: Deployment, run: Run, version: str) -> None:
    """Promote a version, and wait until the running instance has taken it over."""
    done = plant.call("models", "promote", version)
    assert done.returncode == 0, done.stderr
    run.wait_for_metric("tidemark_model_changes_total[taken]", 1)


@pytest.mark.timeout(600)
def test_an_incident_survives_poison_a_restart_and_another_model(tmp_path: Path, broker: EmbeddedBroker) -> None:
    plant = deployment(tmp_path, broker, "plant")
    plant.produce(range(HISTORY))
    first = plant.train(*DEDUP)
    assert (first["sensors"], first["windows"], first["missing"]) == (3, 720, {})
    second = plant.train("--set", "model.false_alarm_rate=0.0005", "--no-promote", *DEDUP)
    assert second["version"] != first["version"]

    poison = fuzzed(POISON)
    with plant.running(*DEDUP, *HEARTBEATS) as run:
        plant.produce(shuffled(range(HISTORY, HISTORY + 300)))
        for value in poison:
            plant.write(value)
        plant.produce(range(HISTORY + 300, HISTORY + 500), fault=faults)
        opened = plant.alert_values(plant.read(plant.alerts, severe_opening("flow")))[-1]
        dead = plant.read(plant.dead, lambda messages: len(messages) >= POISON)
        plant.produce([*LATE, *REPEATED], fault=faults)
        run.wait_for_metric("tidemark_records_late_total", len(SENSORS) * len(LATE))
        run.wait_for_metric("tidemark_records_deduplicated_total", len(SENSORS) * len(REPEATED))
        account = accounted(plant.read_all(plant.sensors), set(poison), plant.read_all(plant.dead))
        metrics = run.wait_for_metric("tidemark_windowed_records_total", account["closed"])
        with urllib.request.urlopen(f"{run.url()}/readyz", timeout=30) as answer:  # noqa: S310 - our own server
            assert answer.status == 200
        assert run.stop() == 0, run.log()

    assert_accounted(plant, account, metrics)
    assert sorted(message.value() or b"" for message in dead) == sorted(poison)
    assert len({place(message) for message in dead}) == POISON
    rejected = {name: value for name, value in metrics.items() if name.startswith("tidemark_records_rejected_total")}
    assert sum(rejected.values()) == POISON
    assert opened["expected"]["upper"] < opened["statistics"]["mean"]
    assert metrics["tidemark_windows_scored_total"] > 0
    assert metrics["tidemark_alerts_published_total[opened][" + opened["severity"] + "]"] >= 1

    # The same model: the incident is still open, another one opens.
    lose_records(plant)
    with plant.running(*DEDUP, *HEARTBEATS, "--set", "source.on_data_loss=continue") as run:
        plant.produce(range(HISTORY + 500, HISTORY + 700), fault=faults)
        plant.read(plant.alerts, severe_opening("pressure"))
        assert run.metrics()[f"tidemark_records_lost_total[{plant.sensors}]"] == LOST
        # Another model is promoted meanwhile: it resolves what the first has opened.
        promote(plant, run, second["version"])
        plant.produce(range(HISTORY + 700, HISTORY + 1_400), fault=faults)
        plant.read(plant.alerts, resolution(opened["incident_id"]))
        assert run.stop(signal.SIGINT) == 0, run.log()
        assert "stopping at the next batch boundary" in run.log()
        assert "Traceback" not in run.log()

    # Heartbeats are switched off, and a loss would end the run: Spark takes it for one if their topic is not read on.
    with plant.running(*DEDUP) as run:
        plant.produce(range(HISTORY + 1_400, HISTORY + 1_500), fault=faults)
        run.wait_for_metric("tidemark_windows_scored_total", 1)
        assert run.stop() == 0, run.log()

    alerts = plant.alert_values(plant.read_all(plant.alerts))
    life = [alert for alert in alerts if alert["incident_id"] == opened["incident_id"]]
    assert [alert["event"] for alert in life] == ["opened", "resolved"]
    assert [alert["model"]["version"] for alert in life] == [first["version"], second["version"]]
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)


@pytest.mark.timeout(300)
def test_training_again_from_a_manifest_gives_the_same_model_on_other_cores_and_without_keys(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    plant = deployment(tmp_path, broker, "again")
    plant.produce(range(HISTORY), keyed=False)
    first = plant.train("--set", "spark.master=local[2,4]")
    plant.produce(range(HISTORY, HISTORY + 100), keyed=False)
    second = plant.train("--again", first["version"], "--set", "spark.master=local[1,4]")
    assert (second["digest"], second["version"]) == (first["digest"], first["version"])


def test_too_little_history_names_the_sensors_and_what_is_missing(tmp_path: Path, broker: EmbeddedBroker) -> None:
    plant = deployment(tmp_path, broker, "short")
    plant.produce(range(300))
    done = plant.call("train")
    assert done.returncode == 66
    assert "pump-1" in done.stderr
    assert "needs 98 more" in done.stderr
