"""The audit of real topics, beside a checkpoint that is written as Spark writes it.

Not here: what the classes and findings mean (``tests/unit/pipeline/test_pipeline_accounting.py``), the command
(``tests/e2e/test_main_job.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from detector.app.audit import Audit, AuditRange, audit
from detector.app.checkpoint import Checkpoint
from detector.app.rereading import reread_after
from detector.errors import ConfigError, ContractError
from detector.kafka.broker import EmbeddedBroker
from detector.kafka.dead_letter import Ledger
from detector.settings import Settings, load, specs
from tests.integration.kafka_records import write

BEGAN = 1_795_000_000  # seconds; begins a window of 10 s
BAD = b"no record"


def record(second: float, sensor: str = "flow") -> bytes:
    return json.dumps(
        {"asset_id": "pump", "sensor_id": sensor, "timestamp": (BEGAN + second) * 1000, "value": second}
    ).encode()


class Site:
    """A deployment of which only the topics and the checkpoint exist."""

    def __init__(self, broker: EmbeddedBroker, new_topic: Callable[..., str], directory: Path) -> None:
        self.servers = broker.bootstrap_servers
        self.topic, self.dead = new_topic("source"), new_topic("dead")
        self.commits = new_topic("commits", config={"cleanup.policy": "compact"})
        self.directory = directory
        for name in ("offsets", "commits", "sources/0"):
            (directory / "spark" / name).mkdir(parents=True)
        (directory / "spark" / "sources" / "0" / "0").write_text(json.dumps({self.topic: {"0": 0}}))
        self.done = 0

    def settings(self, *overrides: str) -> Settings:
        given = {
            "kafka.bootstrap_servers": self.servers,
            "source.topics": f"[{self.topic}]",
            "records.asset.source": "field",
            "dead_letter.topic": self.dead,
            "alerts.commits_topic": self.commits,
            "state.checkpoint": str(self.directory),
            "windows.length": "10s",
            "windows.lateness": "5s",
        }
        return load(None, [*(f"{key}={value}" for key, value in given.items()), *overrides], {})

    def batch(self, *values: bytes, watermark: float) -> None:
        """Write records, and note that a micro-batch with a watermark has read them."""
        write(self.servers, self.topic, values)
        self.done += len(values)
        number = len(list((self.directory / "spark" / "commits").iterdir()))
        watermark_ms = round((BEGAN + watermark) * 1000)
        lines = ["v1", json.dumps({"batchWatermarkMs": watermark_ms}), json.dumps({self.topic: {"0": self.done}})]
        (self.directory / "spark" / "offsets" / str(number)).write_text("\n".join(lines))
        (self.directory / "spark" / "commits" / str(number)).write_text("v1\n{}")

    def publish_letters(self, *overrides: str, done: int = 0) -> None:
        """Let the ledger do what it does after a crash."""
        settings, checkpoint = self.settings(*overrides), Checkpoint(self.directory)
        with closing(Ledger(specs.ledger(settings), specs.decode(settings), specs.windows(settings))) as ledger:
            last = checkpoint.last_committed()
            ledger.publish(reread_after(checkpoint, {self.topic: {0: done}}, last))
            ledger.save_progress(checkpoint.offsets(last).end)

    def audit(self, *overrides: str, wanted: AuditRange | None = None) -> Audit:
        return audit(self.settings(*overrides), wanted or AuditRange(), lambda *_: None)


@pytest.fixture
def site(broker: EmbeddedBroker, new_topic: Callable[..., str], tmp_path: Path) -> Site:
    made = Site(broker, new_topic, tmp_path)
    made.batch(record(1), BAD, record(31), watermark=-100)
    made.batch(record(32), record(2), watermark=26)
    made.batch(record(3), record(33, "temp"), record(33), record(33), BAD, watermark=27)
    return made


def test_every_record_has_its_class_and_its_letter(site: Site) -> None:
    site.publish_letters()

    found = site.audit()

    account = found.account
    assert (account.rejected, account.late, account.deduplicated) == ({"bad_json": 2}, 1, 0)
    assert (account.closed, account.open, account.unread) == (2, 5, 0)
    assert account.records == site.done
    assert account.findings == {}
    assert (found.letters.found, found.letters.repeated, account.matched) == (3, 0, 3)


def test_records_that_repeat_others_are_accounted_for_where_they_are_left_out(site: Site) -> None:
    site.publish_letters("windows.dedup=within_window")

    account = site.audit("windows.dedup=within_window").account

    assert (account.deduplicated, account.open, account.late) == (1, 4, 1)
    assert account.records == site.done
    assert account.findings == {}


def test_letters_that_came_again_are_counted_and_allowed(site: Site) -> None:
    site.publish_letters()
    site.publish_letters()

    found = site.audit()

    assert (found.letters.found, found.letters.repeated) == (6, 3)
    assert found.account.findings == {}


def test_letters_that_are_missing_are_found(site: Site) -> None:
    site.publish_letters(done=6)

    found = site.audit().account.findings

    assert found == {
        "reject without dead letter": (1, [f"{site.topic}/0/1"]),
        "late record without dead letter": (1, [f"{site.topic}/0/5"]),
    }


def test_a_letter_of_a_record_that_was_used_is_found(site: Site) -> None:
    site.publish_letters("records.fields.value=$.reading")

    assert site.audit().account.findings == {
        "dead letter without a reason": (7, [f"{site.topic}/0/{offset}" for offset in (0, 2, 3, 4, 6)])
    }


def test_what_the_ledger_has_not_reached_is_left_out_unless_it_is_asked_for(site: Site) -> None:
    site.publish_letters()
    site.batch(BAD, record(34), watermark=28)
    write(site.servers, site.topic, [record(35)])

    assert site.audit().account.records == site.done - 2
    account = site.audit(wanted=AuditRange(until=datetime(2100, 1, 1, tzinfo=UTC))).account
    assert (account.records, account.rejected, account.unread) == (site.done + 1, {"bad_json": 3}, 1)
    assert account.findings == {}


def test_a_range_of_kafka_timestamps_is_accounted_for(site: Site) -> None:
    site.publish_letters()
    whole = site.audit(wanted=AuditRange(since=datetime(2020, 1, 1, tzinfo=UTC)))
    nothing = site.audit(wanted=AuditRange(since=datetime(2100, 1, 1, tzinfo=UTC)))

    assert whole.account.records == site.done
    assert nothing.account.records == 0


def test_a_checkpoint_without_a_finished_batch_and_a_foreign_topic_are_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="has no finished micro-batch"):
        site.audit(f"state.checkpoint={tmp_path / 'another'}")
    with pytest.raises(ConfigError, match=f"elsewhere is no source topic of these settings; they read {site.topic}"):
        site.audit(wanted=AuditRange(topics=("elsewhere",)))
