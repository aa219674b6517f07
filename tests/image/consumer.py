"""Runs in a container: prints committed alerts, one JSON object a line, to the first that opens or to the topic's end.

Not here: what they must be (``test_image``).
"""

from __future__ import annotations

import json
import sys

from confluent_kafka import Consumer, KafkaError

to_end = sys.argv[1:] == ["end"]
consumer = Consumer(
    {
        "bootstrap.servers": "127.0.0.1:9092",
        "group.id": "alert-reader",
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
)
behind = set(consumer.list_topics("alerts", timeout=30).topics["alerts"].partitions)
consumer.subscribe(["alerts"])
while behind:
    message = consumer.poll(30)
    if message is None:
        sys.exit("no answer")
    error = message.error()
    if error is None:
        alert = json.loads(message.value() or b"")
        sys.stdout.write(json.dumps(alert) + "\n")
        if alert["event"] == "opened" and not to_end:
            break
    elif to_end and error.code() == KafkaError._PARTITION_EOF:
        behind.discard(message.partition() or 0)
consumer.close()
