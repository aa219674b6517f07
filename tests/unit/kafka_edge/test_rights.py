from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from detector.kafka.rights import missing_right


@pytest.mark.parametrize(
    "code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED]
)
def test_a_missing_right_is_for_a_person_and_says_where_to_look(code: int) -> None:
    error = missing_right(KafkaError(code, fatal=True), "init_transactions of 'tidemark.default.alerts'")

    assert error is not None
    assert error.exit_code == 65
    assert "init_transactions of 'tidemark.default.alerts' is not allowed" in str(error)
    assert "docs/runbook.md" in str(error)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH])
def test_an_outage_and_fencing_are_no_missing_right(code: int) -> None:
    assert missing_right(KafkaError(code), "commit") is None
