"""What is said of brokers, rights, transactions and clocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.app.doctor import cluster
from detector.app.doctor.findings import Finding, Status
from detector.errors import ConfigError, ContractError
from detector.kafka.inspection import Acl
from tests.unit.app_doctor.site import ALL, BROKER_CONFIG, NOW, Site, worst

GUARDED = {**BROKER_CONFIG, "authorizer.class.name": "StandardAuthorizer"}
WRITE = Acl("User:tide", "*", "WRITE", "ALLOW")
SASL = (
    "kafka.security.protocol=SASL_PLAINTEXT",
    "kafka.security.sasl_mechanism=PLAIN",
    "kafka.security.username=tide",
    "kafka.security.password=secret",
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def rights(site: Site) -> list[Finding]:
    return list(cluster.rights(site.deployment()))


def test_brokers_are_counted_timed_and_placed_by_version(site: Site) -> None:
    first, version = cluster.brokers(site.deployment())

    assert first.found == "3 brokers at 127.0.0.1:9092, cluster a-cluster, a round trip takes 4 ms"
    assert version.found == "version 4.0 or newer"


def test_an_older_broker_gives_its_version_away(site: Site) -> None:
    site.broker = {**BROKER_CONFIG, "inter.broker.protocol.version": "3.9-IV0"}

    assert [finding.found for finding in cluster.brokers(site.deployment())][1] == "version 3.9-IV0"


def test_one_copy_on_many_brokers_is_warned_of(tmp_path: Path) -> None:
    found = worst(cluster.brokers(Site(tmp_path, ("kafka.replication_factor=1",)).deployment()))

    assert (found.status, found.found) == (Status.WARNING, "topics that Tidemark creates get 1 copy on 3 brokers")


def test_without_access_control_everything_is_allowed(site: Site) -> None:
    (found,) = rights(site)

    assert "no access control" in found.found


def test_a_missing_right_is_named_with_topic_and_principal(tmp_path: Path) -> None:
    site = Site(tmp_path, SASL, broker=GUARDED, acls=[WRITE])
    site.operations["plant"] = frozenset({"DESCRIBE"})

    found = worst(rights(site))

    assert found.kind is ContractError
    assert found.found == "topic plant: this client lacks DESCRIBE_CONFIGS, READ"
    assert found.advice == "Allow User:tide to do so"


@pytest.mark.parametrize(
    ("acls", "status", "said"),
    [
        ([WRITE], Status.WELL, "is allowed to User:tide"),
        ([WRITE._replace(operation="ALL", principal="User:*")], Status.WELL, "is allowed to User:*"),
        ([WRITE, WRITE._replace(permission="DENY")], Status.FAILED, "is denied"),
        ([WRITE._replace(principal="User:somebody")], Status.WARNING, "no rule allows WRITE on transactional id"),
        ([], Status.WARNING, "it may still be a super user's"),
        (None, Status.NOT_CHECKED, "cannot be tried without fencing the instance that runs"),
    ],
)
def test_the_transactional_id_is_judged_by_its_rules_alone(
    tmp_path: Path, acls: list[Acl] | None, status: Status, said: str
) -> None:
    found = rights(Site(tmp_path, SASL, broker=GUARDED, acls=acls))[-1]

    assert found.status is status
    assert "WRITE on transactional id tidemark.default.alerts" in found.found
    assert said in found.found


def test_topics_that_must_be_created_without_the_right_to_are_warned_of(site: Site) -> None:
    site.broker, site.acls = GUARDED, [WRITE]
    site.operations[""] = ALL - {"CREATE"}
    del site.topics["alerts"]

    assert any(f.status is Status.WARNING and f.found.startswith("alerts: not there") for f in rights(site))


def test_a_transaction_time_out_that_the_brokers_refuse_is_a_wrong_setting(tmp_path: Path) -> None:
    site = Site(
        tmp_path, ("alerts.transaction_timeout=10m",), broker={**BROKER_CONFIG, "transaction.max.timeout.ms": "300000"}
    )

    (found,) = cluster.transactions(site.deployment())

    assert (found.kind, found.found) == (
        ConfigError,
        "alerts.transaction_timeout is 10 minutes, the brokers allow 5 minutes",
    )


def test_a_transaction_log_with_more_copies_than_brokers_is_worth_a_look_until_it_exists(site: Site) -> None:
    site.brokers = 1

    assert worst(cluster.transactions(site.deployment())).status is Status.WARNING
    site.topics["__transaction_state"] = 50
    assert worst(cluster.transactions(site.deployment())).status is Status.WELL


def test_a_configuration_that_may_not_be_read_is_said_to_be_so(site: Site) -> None:
    site.broker = None

    (found,) = cluster.transactions(site.deployment())

    assert (found.status, "DESCRIBE_CONFIGS" in found.advice) == (Status.NOT_CHECKED, True)


def test_a_record_from_the_future_tells_that_a_clock_is_wrong(site: Site) -> None:
    site.newest_time = NOW + 3_600

    found = worst(cluster.clock(site.deployment()))

    assert found.status is Status.WARNING
    assert found.found.endswith("is from 60 minutes after this machine's time")


def test_a_clock_that_is_not_behind_is_well_and_the_limits_are_said(site: Site) -> None:
    (found,) = cluster.clock(site.deployment())

    assert (found.status, "cannot be seen without writing" in found.found) == (Status.WELL, True)
