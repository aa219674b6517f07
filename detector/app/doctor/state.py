"""The checkpoint and the marker: whole, whose, how far, and whether a start would accept the two together.

Not here: the protocol that decides it (``detector.kafka.alert_sink``), which is rehearsed here on a log that writes
nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from detector.app.data_loss import lost_records, settle
from detector.app.doctor.deployment import NO_OWNER, Deployment
from detector.app.doctor.findings import Finding, failed, warning, well
from detector.app.doctor.wording import counted, size, span
from detector.app.judge import judge_of_unfinished
from detector.app.lifecycle import frozen_settings
from detector.errors import ContractError, StorageError
from detector.kafka.alert_sink import AlertSink
from detector.kafka.commit_log import OutgoingMessage
from detector.kafka.marker import Marker
from detector.kafka.sink_port import SinkSpec
from detector.pipeline import backlog
from detector.pipeline.backlog import Place
from detector.settings import specs

LOW_SPACE: Final = 1 << 30  # bytes; some twenty batches of state are kept, of many sensors each has hundreds of MB
MADE_AGAIN: Final = "A source topic was made again"  # heading of the runbook
NO_SPACE: Final = 1 << 24  # bytes; one batch would fill it


def directory(deployment: Deployment) -> Iterator[Finding]:
    """See whether the directory is there, writable, with room, and made under these settings."""
    path = deployment.checkpoint.directory
    there = path.is_dir()
    nearest = path if there else next(parent for parent in path.absolute().parents if parent.exists())
    if path.exists() and not there:
        yield failed(StorageError, f"{path} is no directory", "Set another state.checkpoint")
        return
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield failed(StorageError, f"{nearest} cannot be written by this user", "Change its owner or its permissions")
    yield _space(nearest)
    if deployment.has_owner or deployment.checkpoint.last_batch() >= 0:
        owner = deployment.checkpoint.claim(frozen_settings(deployment.settings))  # refuses, or only reads
        yield well(f"{path} of owner {owner}, made under these settings")
    else:
        begins = deployment.settings.source.starting_offsets
        yield well(f"{path} is empty: the next start begins with the {begins} records")
    yield well(f"{'a' if deployment.in_use else 'no'} process of this machine runs from it")


def _space(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    found = f"{size(free)} free on the disk of {path}"
    if free < NO_SPACE:
        return failed(StorageError, found, "Make room; the query ends when it cannot write, and carries on afterwards")
    return warning(found, "Make room") if free < LOW_SPACE else well(found)


def batches(deployment: Deployment) -> Iterator[Finding]:
    """See which batches the checkpoint has, and whether their offsets can be read."""
    checkpoint = deployment.checkpoint
    planned, finished = checkpoint.last_batch(), checkpoint.last_committed()
    if planned < 0:
        yield well("none yet")
        return
    partitions = sum(len(parts) for parts in deployment.read_up_to.values())
    yield well(f"offsets of {counted(partitions, 'partition')} can be read")
    if planned > finished:
        who = "the instance that runs works on it" if deployment.in_use else "the next start does it again"
        before = f"batch {finished} is finished" if finished >= 0 else "none is finished yet"
        yield well(f"batch {planned} is planned and not finished: {who}; {before}")
    else:
        yield well(f"batch {finished} is the last, planned and finished")


def unread(deployment: Deployment) -> Iterator[Finding]:
    """See how much waits, how old it is, and whether anything is gone before it was read."""
    settings, preflight = deployment.settings, deployment.kafka.preflight
    read = deployment.read_up_to
    first, end = preflight.bounds(deployment.source.partitions)
    needed = deployment.checkpoint.finished_offsets()
    if lost := lost_records(needed, first):
        gone = sum(stop - begin for begin, stop in lost.values())
        if settings.source.on_data_loss == "fail":
            settle(settings, needed, first)  # refuses in the words of a start
        yield warning(f"{counted(gone, 'record')} are gone before they were read", "A start counts them and goes on")
    behind = [f"{t}/{p}" for t, parts in read.items() for p, at in parts.items() if at > end.get(t, {}).get(p, at)]
    if behind:
        what = f"{', '.join(behind)}: the checkpoint is further than the topic reaches: it was deleted and made again"
        yield failed(ContractError, what, f"docs/runbook.md says what to do: {MADE_AGAIN}")
        return
    latest = not read and settings.source.starting_offsets == "latest"
    ranges = {} if latest else backlog.unread(read, first, end)
    if not ranges:
        yield well("everything is read" if read else "begins with records that are still to come")
        return
    yield from _waiting(deployment, ranges)


def _waiting(deployment: Deployment, ranges: dict[Place, tuple[int, int]]) -> Iterator[Finding]:
    records = sum(stop - begin for begin, stop in ranges.values())
    with contextlib.closing(deployment.kafka.sampler()) as sampler:
        found = sampler.read({place: (begin, begin + 1) for place, (begin, _) in ranges.items()})
    oldest = {place: messages[0].timestamp()[1] / 1000 for place, messages in found.items() if messages}
    what = f"{counted(records, 'record')} in {counted(len(ranges), 'partition')}"
    if not oldest:
        yield well(f"{what}, of which none is committed")
        return
    place = min(oldest, key=oldest.__getitem__)
    age = max(0.0, deployment.clock() - oldest[place])
    what = f"{what}, the oldest {span(age)} old ({place[0]}/{place[1]})"
    kept = _retention_seconds(deployment, place[0])
    if kept is not None and age > kept / 2:
        yield warning(f"{what}; {place[0]} keeps {span(kept)}", "Start or speed up the service before they are deleted")
    elif records > deployment.settings.source.max_records_per_batch:
        yield well(f"{what}: more than a micro-batch, a start catches up first")
    else:
        yield well(what)


def _retention_seconds(deployment: Deployment, topic: str) -> float | None:
    config = deployment.kafka.inspector.topic_config(topic)
    milliseconds = int(config["retention.ms"]) if config is not None else -1
    return milliseconds / 1000 if milliseconds >= 0 else None


def marker(deployment: Deployment) -> Iterator[Finding]:
    """See what was published last, by whom, and when."""
    found, identity = deployment.marker, specs.log(deployment.settings).transactional_id
    if found is None:
        yield well(f"none: nothing was ever published as {identity}")
        return
    age = deployment.clock() - found.time
    what = f"start {found.generation} of owner {found.owner_uuid}"
    batch = f"batch {found.batch_id} is the last" if found.spark_query_id else "no batch yet"
    yield well(f"{what}, {batch}, written {span(max(0.0, age))} ago")
    if age < 0:
        yield warning(f"its time is {span(-age)} ahead of this machine's", "Compare the clocks of the machines (NTP)")


class _Rehearsal:
    """A transactional log that has the marker that was seen, fences nobody and writes nothing."""

    disconnects = 0

    def __init__(self, seen: Marker | None) -> None:
        self._seen = seen

    def open(self) -> None:
        """Fence nobody."""

    def read_marker(self, *, settled: bool = True) -> Marker | None:  # noqa: ARG002 - both looks see the same
        """Return the marker that was seen."""
        return self._seen

    def publish(self, messages: Iterable[OutgoingMessage], marker: Marker) -> float:  # noqa: ARG002 - of the port
        """Write nothing."""
        return 0.0

    def close(self) -> None:
        """Drop nothing."""


def agreement(deployment: Deployment) -> Iterator[Finding]:
    """See whether a start would accept marker and checkpoint together; a refusal is in a start's own words."""
    checkpoint, seen, settings = deployment.checkpoint, deployment.marker, deployment.settings
    owner = checkpoint.claim(frozen_settings(settings)) if deployment.has_owner else NO_OWNER
    spec = SinkSpec(
        deployment=specs.log(settings).transactional_id,
        marker_interval_seconds=settings.alerts.marker_interval.total_seconds(),
        topic_uuids={t: state.uuid for t, state in deployment.topic_states.items() if t in deployment.source_names},
    )
    AlertSink(_Rehearsal(seen), spec, deployment.clock).start(checkpoint.facts(owner))
    whose = (
        "there is no marker" if seen is None else "the marker is this checkpoint's" if seen.owner_uuid == owner else ""
    )
    found = "; ".join(filter(None, ["a start accepts checkpoint and marker", whose]))
    yield well(f"{found}; it is refused while another process runs from it" if deployment.in_use else found)


def unfinished(deployment: Deployment) -> Iterator[Finding]:
    """See whether the judge of a batch that was published and not finished is still there."""
    earlier = judge_of_unfinished(deployment.marker, deployment.checkpoint, deployment.judge)
    if earlier is None:
        yield well("no batch waits for another model or other settings")
    else:
        yield well(f"the last published batch is finished by its own model first: {earlier.model.version}")
