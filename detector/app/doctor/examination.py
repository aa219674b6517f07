"""All checks, in the order in which one needs the other.

Not here: what they look at (``machine``, ``cluster``, ``topics``, ``model``, ``state``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from detector.app.doctor import cluster, machine, model, state, topics
from detector.app.doctor.deployment import Deployment
from detector.app.doctor.findings import Check, Result
from detector.app.doctor.findings import examine as examine_checks

SETTINGS, KAFKA, SOURCE, MODEL = "settings", "brokers", "source", "model"
CHECKPOINT, BATCHES, MARKER, AGREEMENT = "directory", "batches", "marker", "agreement"
WITH_SOURCE: Final = (SETTINGS, KAFKA, SOURCE)

CHECKS: Final = (
    Check("machine", SETTINGS, machine.settings, otherwise="the settings are wrong"),
    Check("machine", "packages", machine.packages),
    Check("machine", "Java", machine.java),
    Check("machine", "jars", machine.jars),
    Check("machine", "HTTP port", machine.port, (SETTINGS,)),
    Check("Kafka", KAFKA, cluster.brokers, (SETTINGS,), "Kafka does not answer"),
    Check("Kafka", "rights", cluster.rights, (SETTINGS, KAFKA)),
    Check("Kafka", "transactions", cluster.transactions, (SETTINGS, KAFKA)),
    Check("topics", SOURCE, topics.source_topics, (SETTINGS, KAFKA), "the source topics are not as they must be"),
    Check("topics", "retention", topics.retention, WITH_SOURCE),
    Check("topics", "records", topics.records, WITH_SOURCE),
    Check("topics", "outputs", topics.outputs, (SETTINGS, KAFKA)),
    Check("topics", "clock", cluster.clock, (SETTINGS, KAFKA)),
    Check("model", MODEL, model.model, (SETTINGS,), "there is no model to judge with"),
    Check("checkpoint", CHECKPOINT, state.directory, (SETTINGS,), "the checkpoint is not as it must be"),
    Check("checkpoint", BATCHES, state.batches, (SETTINGS, CHECKPOINT), "the checkpoint is not as it must be"),
    Check("checkpoint", "unread", state.unread, (*WITH_SOURCE, CHECKPOINT, BATCHES)),
    Check("marker", MARKER, state.marker, (SETTINGS, KAFKA), "the marker cannot be read"),
    Check("marker", AGREEMENT, state.agreement, (SETTINGS, KAFKA, CHECKPOINT, MARKER), "a start is refused"),
    Check("marker", "last batch", state.unfinished, (SETTINGS, KAFKA, MODEL, CHECKPOINT, BATCHES, MARKER, AGREEMENT)),
)


def examine(deployment: Deployment) -> Iterator[Result]:
    """Look at everything; yields each result as it is known."""
    return examine_checks(deployment, CHECKS)
