from __future__ import annotations

import http.client
import math
from dataclasses import replace

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from detector.observability.health import HealthServer, Verdict
from detector.observability.metrics import BuildInfo, Metrics, SummaryFacts
from detector.observability.progress import parse_progress

from .recorded import FIRST_BATCH, LATER_BATCH, report

ROW = SummaryFacts(bucket=0, windows_scored=10, sensors_active=5, sensors_learning=2, score_seconds=0.02)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(BuildInfo(version="0.1.0", spark="4.2.0", kafka_client="2.16.0"))


def scrape(metrics: Metrics) -> dict[str, Metric]:
    """Read the metrics as Prometheus does: over HTTP, through its parser."""
    with HealthServer("127.0.0.1", 0, metrics.registry, lambda: Verdict(ready=True, reason="")) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            body = connection.getresponse().read().decode()
        finally:
            connection.close()
    return {family.name: family for family in text_string_to_metric_families(body)}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"tidemark_{name}", labels)


def test_a_scrape_over_http_shows_what_was_recorded(metrics: Metrics) -> None:
    metrics.record_alerts("opened", "major", 3)
    samples = scrape(metrics)["tidemark_alerts_published"].samples
    assert [(sample.labels, sample.value) for sample in samples] == [({"kind": "opened", "severity": "major"}, 3)]


def test_every_name_starts_with_a_known_prefix(metrics: Metrics) -> None:
    assert {name.split("_")[0] for name in scrape(metrics)} <= {"tidemark", "process", "python"}


def test_each_metrics_object_has_a_registry_of_its_own(metrics: Metrics) -> None:
    other = Metrics(BuildInfo("0.1.0", "4.2.0", "2.16.0"))
    other.record_dead_letters({"bad_json": 4})
    assert value(metrics, "dead_letters_published_total", reason="bad_json") is None


def test_the_build_is_named(metrics: Metrics) -> None:
    assert value(metrics, "build_info", version="0.1.0", spark="4.2.0", kafka_client="2.16.0") == 1


def test_facts_that_are_not_known_yet_are_not_numbers(metrics: Metrics) -> None:
    for name in ("last_committed_batch_id", "last_batch_success_timestamp_seconds", "source_lag_seconds"):
        assert math.isnan(value(metrics, name) or 0.0)


def test_a_batch_sets_its_facts(metrics: Metrics) -> None:
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    assert value(metrics, "records_consumed_total", topic="sensors") == 100
    assert value(metrics, "source_lag_records", topic="sensors", partition="0") == 20
    assert value(metrics, "watermark_timestamp_seconds") == 1700000194.0
    assert value(metrics, "last_batch_success_timestamp_seconds") == 1795364245.837
    assert value(metrics, "last_committed_batch_id") == 2
    assert value(metrics, "state_rows") == 57
    assert value(metrics, "state_memory_bytes") == 16636


def test_durations_of_phases_are_observed_in_seconds(metrics: Metrics) -> None:
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    assert value(metrics, "batch_duration_seconds_sum", phase="triggerExecution") == pytest.approx(1.836)
    assert value(metrics, "batch_duration_seconds_bucket", phase="triggerExecution", le="1.5") == 0
    assert value(metrics, "batch_duration_seconds_bucket", phase="triggerExecution", le="2.0") == 1


def test_records_add_up_over_batches(metrics: Metrics) -> None:
    metrics.record_progress(parse_progress(report(FIRST_BATCH)))
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    assert value(metrics, "records_consumed_total", topic="sensors") == 300


def test_a_batch_before_the_first_watermark_leaves_it_unknown(metrics: Metrics) -> None:
    metrics.record_progress(parse_progress(report(FIRST_BATCH)))
    assert math.isnan(value(metrics, "watermark_timestamp_seconds") or 0.0)


def test_a_partition_that_is_gone_lags_no_more(metrics: Metrics) -> None:
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    metrics.record_progress(replace(parse_progress(report(LATER_BATCH)), sources=()))
    assert value(metrics, "source_lag_records", topic="sensors", partition="0") is None


def test_an_idle_source_has_no_lag(metrics: Metrics) -> None:
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    metrics.set_source_lag_seconds(12.5)
    assert value(metrics, "source_lag_seconds") == 12.5
    metrics.record_idle()
    assert value(metrics, "source_lag_seconds") == 0
    assert value(metrics, "source_lag_records", topic="sensors", partition="0") == 0


def test_records_that_are_not_used_are_counted_by_reason(metrics: Metrics) -> None:
    metrics.record_rejects({"bad_json": 2, "too_large": 0})
    metrics.record_rejects({"bad_json": 1})
    metrics.record_dead_letters({"bad_json": 3})
    metrics.set_dead_letter_backlog(1)
    assert value(metrics, "records_rejected_total", reason="bad_json") == 3
    assert value(metrics, "records_rejected_total", reason="too_large") == 0
    metrics.record_late(4, 2)
    assert value(metrics, "dead_letters_published_total", reason="bad_json") == 3
    assert value(metrics, "dead_letter_backlog_batches") == 1
    assert value(metrics, "records_late_total") == 4
    assert value(metrics, "records_partly_late_total") == 2


def test_records_that_repeat_another_one_are_counted_by_batch(metrics: Metrics) -> None:
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    metrics.record_progress(parse_progress(report(LATER_BATCH)))
    assert value(metrics, "records_deduplicated_total") == 14


def test_gauges_of_the_buckets_are_the_sum_of_each_buckets_latest_row(metrics: Metrics) -> None:
    metrics.record_summaries([ROW, replace(ROW, bucket=1, sensors_active=7)])
    metrics.record_summaries([replace(ROW, sensors_active=6, sensors_learning=0)])
    assert value(metrics, "sensors_active") == 13
    assert value(metrics, "sensors_learning") == 2
    assert value(metrics, "windows_scored_total") == 30
    assert value(metrics, "score_duration_seconds_count") == 3


def test_open_incidents_are_summed_by_severity_and_fall_to_zero(metrics: Metrics) -> None:
    metrics.record_summaries(
        [replace(ROW, incidents_open={"major": 2, "minor": 1}), replace(ROW, bucket=1, incidents_open={"major": 1})]
    )
    assert value(metrics, "incidents_open", severity="major") == 3
    metrics.record_summaries([replace(ROW, incidents_open={"major": 1})])
    assert value(metrics, "incidents_open", severity="major") == 2
    assert value(metrics, "incidents_open", severity="minor") == 0


def test_openings_that_were_held_back_are_counted(metrics: Metrics) -> None:
    metrics.record_summaries([replace(ROW, openings_suppressed={"bucket_limit": 4})])
    metrics.record_summaries([replace(ROW, openings_suppressed={"bucket_limit": 1})])
    assert value(metrics, "alerts_suppressed_total", reason="bucket_limit") == 5


def test_one_model_is_named_at_a_time(metrics: Metrics) -> None:
    metrics.set_model("0001", "aaaa", 1.7e9)
    metrics.set_model("0002", "bbbb", 1.8e9)
    assert value(metrics, "model_info", version="0001", digest="aaaa") is None
    assert value(metrics, "model_info", version="0002", digest="bbbb") == 1
    assert value(metrics, "model_trained_timestamp_seconds") == 1.8e9


def test_every_outcome_of_a_transaction_is_visible_before_it_happens(metrics: Metrics) -> None:
    for outcome in ("committed", "aborted", "skipped_replay", "uncertain"):
        assert value(metrics, "transactions_total", outcome=outcome) == 0


def test_a_skipped_replay_has_no_duration(metrics: Metrics) -> None:
    metrics.record_transaction("committed", 0.02)
    metrics.record_transaction("skipped_replay")
    assert value(metrics, "transactions_total", outcome="skipped_replay") == 1
    assert value(metrics, "transaction_duration_seconds_count") == 1


def test_the_time_from_record_to_alert_is_observed(metrics: Metrics) -> None:
    metrics.record_event_to_alert(1.3)
    assert value(metrics, "event_to_alert_seconds_bucket", le="1.5") == 1
