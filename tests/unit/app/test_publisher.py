"""What a micro-batch that fails leaves behind; one that is published needs Spark (``tests/e2e``)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from detector.app.stream import Publisher
from detector.errors import FencedError
from detector.kafka.sink_port import JudgedBy


class Batch:
    """A micro-batch that fails before anything of it is computed."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.log_levels: list[str] = []
        self.rows: Any = SimpleNamespace(
            sparkSession=SimpleNamespace(sparkContext=SimpleNamespace(setLogLevel=self.log_levels.append))
        )
        unused: Any = None
        self.publisher = Publisher(unused, unused, JudgedBy("model", "config"), self.fail, unused)

    def fail(self) -> None:
        raise self.failure

    def run(self) -> None:
        with pytest.raises(type(self.failure)):
            self.publisher(self.rows, 7)


def test_an_error_of_ours_is_kept_and_spark_says_nothing_of_it() -> None:
    batch = Batch(FencedError("another instance owns it"))
    batch.run()

    assert batch.publisher.failure is batch.failure
    assert batch.log_levels == ["OFF"]


def test_an_error_that_nobody_expected_keeps_sparks_words() -> None:
    batch = Batch(ZeroDivisionError("division by zero"))
    batch.run()

    assert batch.publisher.failure is batch.failure
    assert batch.log_levels == []
