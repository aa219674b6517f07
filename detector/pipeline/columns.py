"""Names of the columns that rows carry from room to room, each written once.

Not here: types (``schema``) and what the values mean (the room that makes them).
"""

from __future__ import annotations

from typing import Final

# raw Kafka rows (Spark's own names where it has them)
KEY: Final = "key"
PAYLOAD: Final = "value"
PAYLOAD_BYTES: Final = "payload_bytes"  # size of the record, also where the payload itself was too large to keep
TOPIC: Final = "topic"
PARTITION: Final = "partition"
OFFSET: Final = "offset"
KAFKA_TIMESTAMP: Final = "timestamp"

# decoded records
ASSET_ID: Final = "asset_id"
SENSOR_ID: Final = "sensor_id"
EVENT_TIME: Final = "event_time"
READING: Final = "reading"
UNIT_HIGH: Final = "unit_high"  # bytes 0-7 of the unit, see schema.pack_unit
UNIT_LOW: Final = "unit_low"  # bytes 8-15
TOPIC_ID: Final = "topic_id"  # see schema.topic_id
RECORD_ORDER: Final = "record_order"  # (event time, partition, offset) as one number, see schema.record_order
OUT_OF_RANGE: Final = "out_of_range"
REJECT_REASON: Final = "reject_reason"
LEADS: Final = "leads"

# closed windows
WINDOW: Final = "window"
WINDOW_START: Final = "window_start"
WINDOW_END: Final = "window_end"
COUNT: Final = "count"
MEAN: Final = "mean"
STD: Final = "std"
MIN: Final = "min"
MAX: Final = "max"
FIRST: Final = "first"
LAST: Final = "last"
SLOPE: Final = "slope"
STATISTICS: Final = (COUNT, MEAN, STD, MIN, MAX, FIRST, LAST, SLOPE)
UNIT: Final = "unit"
UNIT_CONFLICT: Final = "unit_conflict"
DUPLICATES: Final = "duplicates_indicated"
PARTITION_MIN: Final = "partition_min"
PARTITION_MAX: Final = "partition_max"
OFFSET_MIN: Final = "offset_min"
OFFSET_MAX: Final = "offset_max"
TOPIC_ID_MIN: Final = "topic_id_min"
TOPIC_ID_MAX: Final = "topic_id_max"
KAFKA_TIMESTAMP_MAX: Final = "kafka_timestamp_max"

# scored output: alerts ready to be sent, and one summary row per bucket and batch
BUCKET: Final = "bucket"
ROW_KIND: Final = "row_kind"
ALERT_ROW: Final = "alert"
SUMMARY_ROW: Final = "summary"
MESSAGE_KEY: Final = "message_key"
MESSAGE_VALUE: Final = "message_value"
ALERT_ID: Final = "alert_id"
EVENT: Final = "event"
SEVERITY: Final = "severity"
NEWEST_RECORD: Final = "newest_record"  # largest Kafka timestamp behind an alert, epoch seconds
