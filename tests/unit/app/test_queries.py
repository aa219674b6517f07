"""What ended a query becomes an error of the class that leads the way; a query that runs is in tests/e2e."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from detector.app.checkpoint import Checkpoint
from detector.app.queries import failure
from detector.errors import ContractError, DetectorError, FencedError, StorageError, TransientError

# As Spark 4.2 and the system say it.
JOB = (
    "An error occurred while calling o106.count.\n: org.apache.spark.SparkException: Job aborted due to stage failure: "
)
DISK_FULL = f"java.io.IOException: {os.strerror(errno.ENOSPC)}"
QUOTA = f"org.rocksdb.RocksDBException: While appending to file: 000012.sst: {os.strerror(errno.EDQUOT)}"
CONCURRENT = (
    "[CONCURRENT_STREAM_LOG_UPDATE] Concurrent update to the log. Multiple streaming jobs detected for 12. Please make "
    "sure only one streaming job runs on a specific checkpoint location at a time. SQLSTATE: 40000"
)
UNANSWERED = "ExecutionException: org.apache.kafka.common.errors.TimeoutException: Timed out. Call: listNodes"
UNREAD = "java.util.concurrent.TimeoutException: Cannot fetch record for offset 12 in 120000 milliseconds"
LOST = (
    "[KAFKA_DATA_LOSS.START_OFFSET_RESET] Some data may have been lost because they are not available in Kafka any\n"
    "more; either the data was aged out by Kafka or the topic may have been deleted before all the data in the\n"
    "topic was processed. Reason: Partition sensors-0's offset was changed from 100 to 50."
)


@dataclass
class Ended:
    """A query that has ended, and what it published through."""

    checkpoint: Checkpoint
    error: Exception | None = None
    failure: Exception | None = None

    def exception(self) -> Exception | None:
        return self.error

    def why(self) -> Exception:
        both: Any = self
        return failure(both, both)


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (DISK_FULL, StorageError, r"a disk is full \(No space left on device\): that of the checkpoint .*MB free"),
        (QUOTA, StorageError, r"a disk is full \(Disk quota exceeded\)"),
        (CONCURRENT, FencedError, "another process runs from the checkpoint"),
        (
            UNANSWERED,
            TransientError,
            r"Kafka did not answer Spark \(.*Timed out\. Call: listNodes\); check the brokers",
        ),
        (UNREAD, TransientError, "Cannot fetch record for offset 12"),
    ],
)
def test_what_spark_says_becomes_an_error_that_leads_the_way(
    tmp_path: Path, text: str, kind: type[DetectorError], said: str, *, in_batch: bool
) -> None:
    error = RuntimeError(JOB + text)
    ended = Ended(Checkpoint(tmp_path), None if in_batch else error, error if in_batch else None)

    found = ended.why()

    assert type(found) is kind
    assert ended.checkpoint.directory.as_posix() in str(found) or kind is TransientError
    with pytest.raises(kind, match=said):
        raise found


@pytest.mark.parametrize("in_batch", [False, True])
def test_records_that_are_gone_are_named_and_a_person_decides(tmp_path: Path, *, in_batch: bool) -> None:
    error = RuntimeError(LOST)
    found = Ended(Checkpoint(tmp_path), None if in_batch else error, error if in_batch else None).why()

    assert isinstance(found, ContractError)
    assert "Partition sensors-0's offset was changed from 100 to 50" in str(found)
    assert "docs/runbook.md" in str(found)


def test_what_ended_a_batch_by_name_is_what_ended_the_query(tmp_path: Path) -> None:
    own = FencedError("batch 3: another instance has taken over")
    ended = Ended(Checkpoint(tmp_path), RuntimeError(JOB + DISK_FULL), own)

    assert ended.why() is own


def test_a_failure_of_a_batch_that_nobody_knows_stays_what_it_is(tmp_path: Path) -> None:
    own = ValueError("a defect")

    assert Ended(Checkpoint(tmp_path), RuntimeError(JOB), own).why() is own


@pytest.mark.parametrize(
    ("error", "reason"), [(RuntimeError("StateStoreException. \nat x.y"), "StateStoreException"), (None, "no reason")]
)
def test_an_end_that_nobody_knows_says_spark_s_first_line_and_what_a_restart_does(
    tmp_path: Path, error: Exception | None, reason: str
) -> None:
    found = Ended(Checkpoint(tmp_path), error).why()

    assert type(found) is DetectorError
    assert str(found).startswith(f"the query ended: {reason}")
    assert "a restart continues from the checkpoint" in str(found)
