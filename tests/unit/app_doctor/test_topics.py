"""What is said of the topics."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.app.doctor import topics
from detector.app.doctor.findings import Status
from detector.errors import ConfigError, TransientError
from tests.unit.app_doctor.site import TOPIC_CONFIG, Site, worst


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_source_is_listed_with_its_partitions(site: Site) -> None:
    (found,) = topics.source_topics(site.deployment())

    assert found.found == "1 topic, 2 partitions: plant (2)"


def test_what_a_start_warns_of_is_a_warning(site: Site) -> None:
    site.warnings = ("topic plant has message.timestamp.type=CreateTime without a bound",)

    assert worst(topics.source_topics(site.deployment())).found == site.warnings[0]


def test_a_partition_without_a_leader_is_a_failure(site: Site) -> None:
    site.leaderless = (1,)

    found = worst(topics.source_topics(site.deployment()))

    assert (found.kind, found.found) == (TransientError, "plant: nobody leads partition 1")


def test_a_retention_shorter_than_training_needs_is_warned_of(site: Site) -> None:
    site.configs["plant"] = {**TOPIC_CONFIG, "retention.ms": "60000"}

    found = worst(topics.retention(site.deployment()))

    assert found.status is Status.WARNING
    assert found.found == "plant keeps 60 s; training needs 10 minutes of each sensor (model.min_windows)"


def test_a_compacted_source_is_warned_of(site: Site) -> None:
    site.configs["plant"] = {**TOPIC_CONFIG, "cleanup.policy": "compact,delete"}

    assert worst(topics.retention(site.deployment())).found.startswith("plant is compacted")


def test_records_that_can_be_used_are_counted(site: Site) -> None:
    (found,) = topics.records(site.deployment())

    assert (found.status, found.found) == (Status.WELL, "2 of 2 of the newest records can be used")


def test_records_that_cannot_be_used_say_where_and_why(site: Site) -> None:
    site.record = b'{"sensor_id": "temp", "timestamp": 1795366000000}'

    (found,) = topics.records(site.deployment())

    assert found.status is Status.WARNING
    assert found.found.startswith(
        "0 of 2 of the newest records can be used; rejected: 2 missing_field. plant/0 offset 1168: "
    )
    assert "records.*" in found.advice


def test_a_source_without_records_is_warned_of(site: Site) -> None:
    site.end = 0

    assert worst(topics.records(site.deployment())).found == "the topics hold no records"


def test_outputs_as_they_must_be_are_well(site: Site) -> None:
    found = list(topics.outputs(site.deployment()))

    assert {finding.status for finding in found} == {Status.WELL}
    assert found[0].found == "alerts: 3 copies, 3 in sync, at least 2 needed"
    assert found[-2].found == "dead-letters takes 32 MiB a record, the source at most 1.0 MiB"


def test_outputs_that_are_not_there_are_created_by_a_start(site: Site) -> None:
    site.topics = {"plant": 2}

    (found,) = topics.outputs(site.deployment())

    assert found.found.startswith("alerts, dead-letters, tidemark.commits: not there yet, the first start creates")


def test_outputs_that_cannot_be_created_are_a_wrong_setting(site: Site) -> None:
    site.topics, site.brokers = {"plant": 2}, 1

    (found,) = topics.outputs(site.deployment())

    assert (found.kind, "kafka.replication_factor" in found.advice) == (ConfigError, True)


@pytest.mark.parametrize(
    ("copies", "least", "kind", "said"),
    [
        ((1, 1), "2", None, "older ones refuse to write"),
        ((3, 1), "2", TransientError, "nothing can be written now"),
        ((2, 2), "2", None, "a broker that is down stops all writing"),
    ],
)
def test_copies_are_held_against_the_least_that_must_be_in_sync(
    site: Site, copies: tuple[int, int], least: str, kind: type[Exception] | None, said: str
) -> None:
    site.replication, site.in_sync = copies
    site.configs["alerts"] = {**TOPIC_CONFIG, "min.insync.replicas": least}

    found = next(f for f in topics.outputs(site.deployment()) if f.found.startswith("alerts"))

    assert found.kind is kind
    assert found.status is (Status.WARNING if kind is None else Status.FAILED)
    assert said in found.found


def test_a_dead_letter_topic_that_is_too_narrow_is_warned_of(site: Site) -> None:
    site.configs["plant"] = {**TOPIC_CONFIG, "max.message.bytes": "40000000"}

    found = worst(topics.outputs(site.deployment()))

    assert found.found == "dead-letters takes 32 MiB a record, plant up to 38 MiB: the largest do not fit"
