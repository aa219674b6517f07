"""What the application stands on breaks while it runs: Python workers, the checkpoint's disk, an executor.

Two deployments read the same records. Each is disturbed in other stretches of them than the other, so that the one is
the oracle of the other.

Not here: the application itself is killed (``test_kills``), Kafka is (``test_outages``).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.app.checkpoint import Checkpoint
from detector.errors import StorageError
from detector.kafka.broker import EmbeddedBroker
from tests.e2e.deployment import DEADLINE, EPOCH, Deployment, Run
from tests.fault import plant
from tests.fault.kills import java_of, wait_until
from tests.fault.plant import Event
from tests.fault.processes import is_busy, kill, python_workers_of
from tests.fault.reader import Reader
from tests.fault.small_disk import SmallDisk, small_disk
from tests.fault.spark_cluster import spark_cluster

WORKER_KILLED, DISK_FULL, EXECUTOR_KILLED, BURST = 1, 2, 3, range(4, 6)  # the stretches
PARTS = 6  # of a stretch in which a task is to be missed: as many tries
FAILED = "tidemark_task_failures_total"
WATERMARK = "tidemark_watermark_timestamp_seconds"
BATCH = "tidemark_last_committed_batch_id"
MOST_RECORDS = 960  # of a micro-batch: a start reads a stretch of 720 in one, the burst of 2,880 comes while it runs
DISK_MEGABYTES = 48
LATENESS = 20  # seconds, as the deployments are configured
RECORDS = len(plant.KEYS) * (plant.WARM_UP + BURST.stop * plant.STRETCH + plant.CLOSING)
END = plant.HISTORY + plant.WARM_UP + BURST.stop * plant.STRETCH + plant.CLOSING  # seconds


class OnSmallDisk(Deployment):
    """A deployment whose commands see a small disk."""

    disk: SmallDisk

    def command(self, *arguments: str) -> list[str]:
        return [*self.disk.enter, *super().command(*arguments)]


def go_on(deployment: Deployment, reader: Reader, run: Run, number: int) -> None:
    """Write a stretch and wait until its fault is announced."""
    plant.produce_stretch(deployment, number)
    reader.wait_for(run, lambda alert: plant.opens(alert, number))


def finish(deployment: Deployment, checkpoint: Checkpoint, reader: Reader, run: Run) -> Counter[Event]:
    """Write the rest at once, stop when all of its windows are closed, and return what was published."""
    for number in BURST:
        plant.produce_stretch(deployment, number)
    plant.produce_closing(deployment, BURST.stop)
    wait_until(lambda: read_by(checkpoint) == RECORDS, run)
    # Two batches more, so that the last one has the watermark of the first.
    for second, newest in ((END + 2, END - 1), (END + 3, END + 2)):
        deployment.produce([second], assets=plant.ASSETS)
        run.wait_for_metric(WATERMARK, EPOCH + newest - LATENESS)
    assert run.stop() == 0, run.log()
    alerts = deployment.alert_values(deployment.read_all(deployment.alerts))
    reader.wait_for_count(len(alerts))
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
    events = Counter(map(plant.event, alerts))
    assert events == Counter(plant.event(alert) for _, alert in reader.alerts)
    return events


def strike_in(deployment: Deployment, run: Run, number: int, strike: Callable[[], bool]) -> None:
    """Write a stretch part by part, and strike in each at what is busy, until Spark has missed a task."""
    for part in range(PARTS):
        before = run.metrics()
        plant.produce_part(deployment, number, part, PARTS)
        struck = False
        while not before[FAILED] and run.metrics()[BATCH] == before[BATCH]:
            struck = struck or strike()
    run.wait_for_metric(FAILED, 1)


def kill_busy(workers: list[int]) -> bool:
    busy = next((worker for worker in workers if is_busy(worker)), None)
    if busy is not None:
        kill(busy)
    return busy is not None


def read_by(checkpoint: Checkpoint, batch: int | None = None) -> int:
    """Return the records up to the end of a batch, by default the last that was finished."""
    batch = checkpoint.last_committed() if batch is None else batch
    return sum(offset for parts in checkpoint.offsets(batch).end.values() for offset in parts.values())


def batch_sizes(checkpoint: Checkpoint) -> list[int]:
    """Return the records of the last batches."""
    last = checkpoint.last_committed()
    ends = [read_by(checkpoint, batch) for batch in range(max(0, last - 15), last + 1)]
    return [after - before for before, after in itertools.pairwise(ends)]


@pytest.mark.timeout(600)
def test_whatever_breaks_below_it_the_same_alerts_come_once(
    tmp_path: Path, broker: EmbeddedBroker, model: plant.Model
) -> None:
    one = on_one_machine(tmp_path / "one", broker.bootstrap_servers, model)
    other = on_a_cluster(tmp_path / "other", broker.bootstrap_servers, model)
    assert one == other
    opened = {f"{asset}/{sensor}" for asset, sensor, what, _ in one if what == "opened"}
    assert {plant.faulty(number) for number in range(BURST.stop)} <= opened


def on_one_machine(directory: Path, servers: str, model: plant.Model) -> Counter[Event]:
    """Run where a Python worker is killed and the checkpoint's disk is full for a while."""
    deployment = OnSmallDisk.with_topics(directory, servers, "parts-one")
    plant.produce_warm_up(deployment)
    place = directory / "checkpoint"
    options = (*model.options, "--set", f"source.max_records_per_batch={MOST_RECORDS}")
    with small_disk(place, DISK_MEGABYTES) as disk, Reader(deployment) as reader:
        deployment.disk = disk
        checkpoint = Checkpoint(disk.seen)
        with deployment.running(*options) as run:
            run.wait_for_log("running")
            go_on(deployment, reader, run, 0)
            jvm = java_of(run.process.pid)
            strike_in(deployment, run, WORKER_KILLED, lambda: kill_busy(python_workers_of(jvm)))
            reader.wait_for(run, lambda alert: plant.opens(alert, WORKER_KILLED))
            disk.fill()
            plant.produce_stretch(deployment, DISK_FULL)
            assert run.process.wait(DEADLINE) == StorageError.exit_code, run.log()
            assert f"that of the checkpoint {place}, which has 0 MB free" in run.log()
            assert "Traceback" not in run.log()
        disk.free()
        with deployment.running(*options) as run:
            reader.wait_for(run, lambda alert: plant.opens(alert, DISK_FULL))
            go_on(deployment, reader, run, EXECUTOR_KILLED)
            events = finish(deployment, checkpoint, reader, run)
        sizes = batch_sizes(checkpoint)
        assert max(sizes) <= MOST_RECORDS, sizes
    return events


def on_a_cluster(directory: Path, servers: str, model: plant.Model) -> Counter[Event]:
    """Run on executors of their own, of which one is killed."""
    deployment = Deployment.with_topics(directory, servers, "parts-other")
    plant.produce_warm_up(deployment)
    with (
        spark_cluster(directory) as cluster,
        Reader(deployment) as reader,
        deployment.running(*model.options, *cluster.options, environment=cluster.environment) as run,
    ):
        for number in range(EXECUTOR_KILLED):
            go_on(deployment, reader, run, number)
        strike_in(deployment, run, EXECUTOR_KILLED, cluster.kill_busy_executor)
        reader.wait_for(run, lambda alert: plant.opens(alert, EXECUTOR_KILLED))
        return finish(deployment, Checkpoint(directory / "checkpoint"), reader, run)
