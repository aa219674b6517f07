"""The topics: what is read, how long it is kept, whether its records can be used, what is written.

Not here: how far the source has been read (``state``).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from detector.app.doctor.deployment import Deployment
from detector.app.doctor.findings import Finding, failed, not_checked, warning, well
from detector.app.doctor.wording import counted, names, size, span
from detector.errors import ConfigError, TransientError
from detector.kafka.inspection import TopicState
from detector.kafka.raw import raw_batch
from detector.pipeline.decode import RecordDecoder
from detector.settings import specs

NEWEST: Final = 32  # records of each partition that are decoded: enough to tell a wrong setting from a stray record
SAMPLED: Final = 64  # partitions that records are taken from, at the most
DEAD_LETTER_OVERHEAD: Final = 4_096  # bytes; headers and the framing of a batch around the original


def source_topics(deployment: Deployment) -> Iterator[Finding]:
    """See whether the topics that are read are there, with leaders and timestamps that can be relied on."""
    facts = deployment.source
    listed = names([f"{topic} ({count})" for topic, count in sorted(facts.partitions.items())])
    partitions = counted(sum(facts.partitions.values()), "partition")
    yield well(f"{counted(len(facts.partitions), 'topic')}, {partitions}: {listed}")
    yield from (warning(text, "See records.future_bound") for text in facts.warnings)
    for topic in facts.partitions:
        state = deployment.topic_states.get(topic)
        if state is not None and state.leaderless:
            yield _leaderless(topic, state)
    source = specs.source(deployment.settings)
    if facts.warnings and deployment.settings.source.require_log_append_time:  # in the words of a start
        deployment.kafka.preflight.check_source(source.topics, source.topic_pattern, require_log_append_time=True)


def _leaderless(topic: str, state: TopicState) -> Finding:
    lost = ", ".join(str(partition) for partition in state.leaderless)
    return failed(TransientError, f"{topic}: nobody leads partition {lost}", "Check the brokers")


def retention(deployment: Deployment) -> Iterator[Finding]:
    """See whether records are kept for as long as training needs them."""
    needed = _training_seconds(deployment)
    wanted = f"training needs {span(needed)} of each sensor (model.min_windows)"
    kept: list[float] = []
    for topic in sorted(deployment.source.partitions):
        config = deployment.kafka.inspector.topic_config(topic)
        if config is None:
            yield not_checked(f"{topic}: its configuration may not be read", "Allow DESCRIBE_CONFIGS on it")
            continue
        if "compact" in config["cleanup.policy"]:
            what = f"{topic} is compacted: of records with one key only the newest may be left"
            yield warning(what, "Set cleanup.policy=delete; readings of one sensor share a key and are no updates")
        seconds = int(config["retention.ms"]) / 1000
        kept.append(seconds if seconds >= 0 else float("inf"))
        if kept[-1] < needed:
            what = f"{topic} keeps {span(seconds)}; {wanted}"
            yield warning(what, "Raise its retention.ms, or lower model.min_windows")
    if kept and min(kept) >= needed:
        shortest = "for ever" if min(kept) == float("inf") else f"{span(min(kept))} or more"
        yield well(f"records are kept {shortest}; {wanted}")


def _training_seconds(deployment: Deployment) -> float:
    shape = specs.windows(deployment.settings)
    return shape.slide_seconds * deployment.settings.model.min_windows + shape.length_seconds


def records(deployment: Deployment) -> Iterator[Finding]:
    """See whether the newest records can be used as the settings read them."""
    firsts, ends = deployment.kafka.preflight.bounds(deployment.source.partitions)
    places = {(topic, p): (firsts[topic][p], end) for topic, parts in ends.items() for p, end in parts.items()}
    ranges = {place: (max(first, end - NEWEST), end) for place, (first, end) in places.items() if first < end}
    if not ranges:
        yield warning("the topics hold no records", "Nothing can be trained or judged until there are some")
        return
    with contextlib.closing(deployment.kafka.sampler()) as sampler:
        found = sampler.read(dict(sorted(ranges.items())[:SAMPLED]))
    messages = [message for place in found.values() for message in place]
    spec = specs.decode(deployment.settings)
    rejects = RecordDecoder(spec).decode_with_details(raw_batch(messages, spec.max_bytes))[1] if messages else {}
    usable = f"{len(messages) - len(rejects):,} of {len(messages):,} of the newest records can be used"
    if not rejects:
        yield well(usable)
        return
    reasons = Counter(reject.reason for reject in rejects.values())
    listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    row, reject = next(iter(rejects.items()))
    place = f"{messages[row].topic()}/{messages[row].partition()} offset {messages[row].offset()}"
    what = f"{usable}; rejected: {listed}. {place}: {reject.detail}"
    yield warning(what, "Compare records.* with what the producers write")


def outputs(deployment: Deployment) -> Iterator[Finding]:
    """See whether the topics that are written are as they must be, or can be created."""
    missing = [topic for topic in deployment.outputs.values() if topic not in deployment.known_topics]
    copies, count = deployment.settings.kafka.replication_factor, len(deployment.cluster.brokers)
    if missing and copies > count:
        what = f"{names(missing)} cannot be created with {copies} copies on {counted(count, 'broker')}"
        yield failed(ConfigError, what, "Lower kafka.replication_factor, or add brokers")
    elif missing:
        yield well(f"{names(missing)}: not there yet, the first start creates what is missing")
    there = [topic for topic in deployment.outputs.values() if topic in deployment.topic_states]
    for topic in there:
        yield from _copies(deployment, topic)
    if (letters := deployment.outputs["dead_letter.topic"]) in there:
        yield from _dead_letter_size(deployment, letters)
    if (commits := deployment.outputs["alerts.commits_topic"]) in there:
        deployment.kafka.preflight.check_commits(commits)  # in the words of a start
        yield well(f"{commits} is one compacted partition: markers cannot be lost")


def _copies(deployment: Deployment, topic: str) -> Iterator[Finding]:
    """Judge copies against the least that must be in sync; a transaction waits for those."""
    state = deployment.topic_states[topic]
    config = deployment.kafka.inspector.topic_config(topic)
    copies = f"{topic}: {counted(state.replication, 'copy')}, {state.in_sync} in sync"
    if state.leaderless:
        yield _leaderless(topic, state)
        return
    least = 1 if config is None else int(config["min.insync.replicas"])
    if least > state.replication:
        what = f"{copies}, and min.insync.replicas={least}: Kafka 4 takes what there is, older ones refuse to write"
        yield warning(what, f"Set it to {max(1, state.replication - 1)}, or give the topic more copies")
    elif state.in_sync < least:
        what = f"{copies}, fewer than min.insync.replicas={least}: nothing can be written now"
        yield failed(TransientError, what, "Bring the brokers back")
    elif least == state.replication > 1:
        what = f"{copies}, all of which must be (min.insync.replicas={least}): a broker that is down stops all writing"
        yield warning(what, f"Set it to {state.replication - 1}")
    else:
        yield well(f"{copies}, at least {least} needed")


def _dead_letter_size(deployment: Deployment, letters: str) -> Iterator[Finding]:
    """Whatever a source topic accepts must fit into the dead-letter topic with its headers."""
    limits = {topic: _max_bytes(deployment, topic) for topic in (*deployment.source_names, letters)}
    room = limits.pop(letters)
    known = {topic: limit for topic, limit in limits.items() if limit is not None}
    if not deployment.source_names:
        return  # the check of the source says so
    if room is None or not known:
        yield not_checked(f"{letters}: max.message.bytes may not be read", "Allow DESCRIBE_CONFIGS on the topics")
        return
    widest = max(known, key=known.__getitem__)
    if room < known[widest] + DEAD_LETTER_OVERHEAD:
        what = f"{letters} takes {size(room)} a record, {widest} up to {size(known[widest])}: the largest do not fit"
        yield warning(
            what, f"Raise max.message.bytes of {letters}; else the ledger stops at the first that is rejected"
        )
    else:
        yield well(f"{letters} takes {size(room)} a record, the source at most {size(known[widest])}")


def _max_bytes(deployment: Deployment, topic: str) -> int | None:
    config: Mapping[str, str] | None = deployment.kafka.inspector.topic_config(topic)
    return None if config is None else int(config["max.message.bytes"])
