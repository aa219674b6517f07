"""A right that the principal lacks: neither an outage, which passes, nor fencing.

Not here: which rights are needed (docs/runbook.md), looking at them beforehand (``inspection``).
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

from detector.errors import ContractError

REFUSED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)


def missing_right(error: KafkaError, where: str) -> ContractError | None:
    """Return what to say where an error is a missing right, None where it is another one.

    Parameters
    ----------
    error : KafkaError
        What the broker answered.
    where : str
        What was asked of whom, to begin the sentence with.
    """
    if error.code() not in REFUSED:
        return None
    return ContractError(
        f"{where} is not allowed ({error.str()}); docs/runbook.md lists the rights that the principal needs, "
        "tidemark doctor those that it lacks"
    )
