"""Messages of the Kafka client as the Arrow rows that the decoder takes.

Not here: what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from confluent_kafka import Message

from detector.pipeline import schema


def raw_batch(messages: Sequence[Message], max_bytes: int) -> pa.RecordBatch:
    """Return rows of `schema.RAW`, as Spark's source gives them to the decoder.

    Parameters
    ----------
    messages : sequence of Message
        Without errors.
    max_bytes : int
        Larger values are left out; their size is kept.
    """
    values = [message.value() for message in messages]
    sizes = [None if value is None else len(value) for value in values]
    kept = [value if value is not None and len(value) <= max_bytes else None for value in values]
    arrays = [
        [message.key() for message in messages],
        kept,
        sizes,
        [message.topic() for message in messages],
        [message.partition() for message in messages],
        [message.offset() for message in messages],
        [message.timestamp()[1] * 1000 for message in messages],
    ]
    columns = [pa.array(values, field.type) for values, field in zip(arrays, schema.RAW, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema.RAW)
