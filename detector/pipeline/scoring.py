"""Score closed windows: one vectorised call per bucket of sensors.

The operator is keyed by bucket, not by sensor: a bucket keeps the state of thousands of sensors as packed
arrays, so the cost of a call to Python is shared by all of them.

Not here: the mathematics (``models``), loading a model (injected), what an alert says (``alerts``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as f
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle

from detector.pipeline import columns as c
from detector.pipeline import schema
from detector.pipeline.adoption import Adopted
from detector.pipeline.alerts import SEVERITIES, AlertContext, alert, choose, severity_of
from detector.pipeline.encode import BucketSummary, alert_key, alert_value, summary_value
from models.ensemble import ModelShard, score_windows
from models.features import WINDOW_FEATURES, WindowBatch
from models.population import Population
from models.profile import HISTORY_LAGS, ScoringProfile
from models.state import NEVER, BucketState

STATE_SCHEMA: Final = "block binary"


def _nobody() -> None:
    """There is no model of the population."""


@dataclass(frozen=True)
class ScoringSpec:
    """How windows are scored.

    Parameters
    ----------
    buckets : int
        Number of buckets; frozen by the checkpoint and by the model.
    profile : ScoringProfile
        Members and the rules of incidents, from the model's manifest.
    load_shard : callable
        Gives the model of a bucket, None where it has none; must be picklable and may cache.
    alerts : AlertContext
        What is the same for all alerts.
    stopwatch : callable
        Monotonic seconds, for the summary's duration; results do not depend on it.
    load_population : callable
        Gives the model of sensors that no shard knows, None where there is none; as `load_shard`.
    adopted : Adopted or None
        What another checkpoint has published already.
    """

    buckets: int
    profile: ScoringProfile
    load_shard: Callable[[int], ModelShard | None]
    alerts: AlertContext
    stopwatch: Callable[[], float]
    load_population: Callable[[], Population | None] = _nobody
    adopted: Adopted | None = None


def with_bucket(windows: DataFrame, buckets: int) -> DataFrame:
    """Add the bucket of each window's asset: sensors of an asset stay together."""
    return windows.withColumn(c.BUCKET, f.pmod(f.xxhash64(c.ASSET_ID), f.lit(buckets)).cast("int"))


def score(windows: DataFrame, spec: ScoringSpec) -> DataFrame:
    """Score a stream of closed windows.

    Parameters
    ----------
    windows : DataFrame
        Output of `detector.pipeline.windows.windows` on a stream.
    spec : ScoringSpec
        How.

    Returns
    -------
    DataFrame
        Rows of `schema.SCORED`: alerts ready to be sent, and one summary row per bucket and batch.
    """
    return (
        with_bucket(windows, spec.buckets)
        .drop(c.WINDOW)  # its start and end are columns too; as a struct it costs more on the way than all else
        .groupBy(c.BUCKET)
        .transformWithStateInPandas(
            statefulProcessor=BucketProcessor(spec),
            outputStructType=schema.ddl(schema.SCORED),
            outputMode="Append",
            timeMode="EventTime",
        )
    )


class BucketProcessor(StatefulProcessor):
    """Keeps the state of one bucket and scores its windows (Spark's interface)."""

    def __init__(self, spec: ScoringSpec) -> None:
        self._spec = spec

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Register the state."""
        self._block = handle.getValueState("bucket", STATE_SCHEMA)

    def handleInputRows(  # noqa: N802 - Spark's interface
        self,
        key: tuple[int],
        rows: Iterator[Any],
        timerValues: Any,  # noqa: N803, ARG002 - Spark's interface
    ) -> Iterator[pd.DataFrame]:
        """Score the windows of one bucket that closed in this micro-batch."""
        found = self._block.get()
        before = None if found is None else bytes(found[0])
        output, after = score_bucket(int(key[0]), pd.concat(list(rows), ignore_index=True), before, self._spec)
        self._block.update((after,))
        yield output

    def close(self) -> None:
        """Nothing to release."""


def score_bucket(
    bucket: int, windows: pd.DataFrame, state: bytes | None, spec: ScoringSpec
) -> tuple[pd.DataFrame, bytes]:
    """Score windows of one bucket.

    Parameters
    ----------
    bucket : int
        Which.
    windows : DataFrame, n rows
        In any order.
    state : bytes or None
        The bucket's state before, None for a new one.
    spec : ScoringSpec
        How.

    Returns
    -------
    DataFrame, bytes
        Rows of `schema.SCORED`, and the state after.
    """
    ordered, batch = to_batch(windows, spec.alerts.slide_us)
    block = BucketState.empty(HISTORY_LAGS) if state is None else BucketState.from_bytes(state)
    shard, population = spec.load_shard(bucket), spec.load_population()
    started = spec.stopwatch()
    if spec.adopted is not None:
        spec.adopted.introduce(block, batch.keys)
    scored = score_windows(shard, block, batch, spec.profile, population)
    seconds = spec.stopwatch() - started
    chosen, held_back = choose(scored, spec.alerts.max_openings)
    built = [alert(row, scored, ordered, spec.profile, spec.alerts) for row in chosen]
    newest = ordered[c.KAFKA_TIMESTAMP_MAX].astype("int64").to_numpy() / 1e9
    rows = [
        (c.ALERT_ROW, bucket, alert_key(a), alert_value(a), a["alert_id"], a["event"], a["severity"], newest[row])
        for row, a in zip(chosen, built, strict=True)
    ]
    summary = BucketSummary(
        windows_scored=int(np.isfinite(scored.score).sum()),
        windowed_records=int(ordered[c.COUNT].sum()),
        sensors=len(block),
        sensors_learning=len(block) - (0 if shard is None else int((shard.rows_for(block.keys) >= 0).sum())),
        incidents_open=_open_incidents(block, spec.profile.threshold),
        openings_held_back=held_back,
        score_seconds=seconds,
    )
    rows.append((c.SUMMARY_ROW, bucket, b"", summary_value(summary), "", "", "", 0.0))
    return pd.DataFrame(rows, columns=schema.SCORED.names), block.to_bytes()


def to_batch(windows: pd.DataFrame, slide_us: int) -> tuple[pd.DataFrame, WindowBatch]:
    """Return windows ordered by (index, sensor key), and as arrays in that order."""
    keys = (windows[c.ASSET_ID] + schema.KEY_SEPARATOR + windows[c.SENSOR_ID]).to_numpy(object)
    ends = windows[c.WINDOW_END].astype("datetime64[us]").astype("int64").to_numpy()
    index = (ends // slide_us).astype(np.int64)
    order = np.argsort(keys, kind="stable")
    order = order[np.argsort(index[order], kind="stable")]
    features = windows[list(WINDOW_FEATURES.names)].to_numpy(np.float64)
    return windows.iloc[order].reset_index(drop=True), WindowBatch(keys[order], index[order], features[order])


def _open_incidents(block: BucketState, threshold: float) -> dict[str, int]:
    severities = [severity_of(float(peak), threshold) for peak in block.peak[block.open_index != NEVER]]
    return {severity: severities.count(severity) for severity in SEVERITIES}
