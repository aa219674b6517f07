"""Scores become alerts: which windows opened or resolved an incident, how severe, and why.

Identifiers are UUIDv5 of facts that do not change on a replay, a restart or a backtest, so a consumer can
drop what it has already seen.

Not here: when an incident opens or closes (``models.incidents``), the bytes on the wire (``encode``).
"""

from __future__ import annotations

import bisect
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from detector.pipeline import columns as c
from detector.pipeline.instants import iso_of_us
from detector.pipeline.schema import KEY_SEPARATOR
from models.assets import score_assets
from models.ensemble import ScoredWindows
from models.features import WINDOW_FEATURES
from models.incidents import Transition
from models.profile import ScoringProfile

Event = Literal["opened", "resolved"]
Severity = Literal["minor", "major", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("minor", "major", "critical")

ALERT_SCHEMA: Final = "tidemark.alert.v1"
NAMESPACE: Final = uuid.UUID("6f1d6f0e-6d0b-5b53-9d4c-7c1f6a3f6a11")  # of all identifiers; changing it changes them all
MAJOR_ABOVE: Final = 1.0  # score over the threshold: ten times rarer than what opens an incident
CRITICAL_ABOVE: Final = 3.0  # a thousand times rarer

_EVENTS: Final[Mapping[int, Event]] = {Transition.OPENED: "opened", Transition.RESOLVED: "resolved"}
_AFTER_SEPARATOR: Final = chr(ord(KEY_SEPARATOR) + 1)
DIGITS: Final = 6  # significant digits of what a model says; statistics keep all of theirs


@dataclass(frozen=True)
class AlertContext:
    """What is the same for all alerts of a run.

    Parameters
    ----------
    identity : str
        ``<app>.<deployment>``, part of every identifier.
    slide_us : int
        Distance between two windows, microseconds.
    model_version, model_digest, config_digest : str
        What judged.
    topics : mapping of int to str
        Names of the source topics by their code.
    max_openings : int
        Most incidents that one bucket announces in one batch.
    """

    identity: str
    slide_us: int
    model_version: str
    model_digest: str
    config_digest: str
    topics: Mapping[int, str] = field(default_factory=dict)
    max_openings: int = 1000


def severity_of(score: float, threshold: float) -> Severity:
    """Return the severity of a score at or above the threshold: how much rarer it is than what alerts at all."""
    above = score - threshold
    return "critical" if above >= CRITICAL_ABOVE else "major" if above >= MAJOR_ABOVE else "minor"


def choose(scored: ScoredWindows, max_openings: int) -> tuple[list[int], int]:
    """Return the rows that become alerts, in time order, and how many openings were held back.

    Where more incidents open than may, those with the highest scores are kept.
    """
    opened = np.flatnonzero(scored.transition == Transition.OPENED)
    held_back = max(0, len(opened) - max_openings)
    if held_back:
        opened = opened[np.argsort(-scored.score[opened], kind="stable")[:max_openings]]
    resolved = np.flatnonzero(scored.transition == Transition.RESOLVED)
    return np.sort(np.concatenate([opened, resolved])).tolist(), held_back


def alert(
    row: int, scored: ScoredWindows, windows: pd.DataFrame, profile: ScoringProfile, context: AlertContext
) -> dict[str, Any]:
    """Build the alert of one window.

    Parameters
    ----------
    row : int
        Row of `scored` and of `windows`, which are in the same order.
    scored : ScoredWindows
        Scores of a bucket.
    windows : DataFrame
        The windows that were scored, columns of `detector.pipeline.windows.windows`.
    profile : ScoringProfile
        Threshold and members.
    context : AlertContext
        What is the same for all.

    Returns
    -------
    dict
        The alert as it is published: docs/alerts.md describes each field.
    """
    window = windows.iloc[row]
    event = _EVENTS[int(scored.transition[row])]
    asset_id, sensor_id = str(window[c.ASSET_ID]), str(window[c.SENSOR_ID])
    opened_at = iso_of_us(int(scored.opened_index[row]) * context.slide_us)
    window_end = iso_of_us(int(scored.index[row]) * context.slide_us)
    incident = incident_id(context.identity, asset_id, sensor_id, opened_at)
    score = float(scored.score[row])
    severity = severity_of(float(scored.peak[row]), profile.threshold)
    built = {
        "schema": ALERT_SCHEMA,
        "alert_id": str(uuid.uuid5(incident, f"{event}\x1f{window_end}")),
        "incident_id": str(incident),
        "event": event,
        "severity": severity,
        "asset_id": asset_id,
        "sensor_id": sensor_id,
        "unit": window[c.UNIT] or None,
        "opened_at": opened_at,
        "window": {"start": iso_of_us(_us(window[c.WINDOW_START])), "end": window_end},
        "score": _rounded(score),
        "threshold": round(profile.threshold, 6),
        "peak_score": _rounded(float(scored.peak[row])),
        "probability": _rounded(10.0**-score),
        "expected": {
            "value": _rounded(scored.expected[row]),
            "lower": _rounded(scored.lower[row]),
            "upper": _rounded(scored.upper[row]),
        },
        "deviated": WINDOW_FEATURES.names[scored.statistic[row]] if scored.statistic[row] >= 0 else None,
        "statistics": {name: _number(window[name]) for name in WINDOW_FEATURES.names},
        "members": _members(row, scored, profile.judges),
        "learning": bool(scored.learning[row]),
        "asset": _asset(row, scored, profile.threshold),
        "quality": {
            "duplicates_indicated": int(window[c.DUPLICATES]),
            "out_of_range": int(window[c.OUT_OF_RANGE]),
            "unit_conflict": bool(window[c.UNIT_CONFLICT]),
        },
        "source": _source(window, context.topics),
        "model": {"version": context.model_version, "digest": context.model_digest},
        "config_digest": context.config_digest,
    }
    return {**built, "summary": summarise(built)}


def incident_id(identity: str, asset_id: str, sensor_id: str, opened_at: str) -> uuid.UUID:
    """Return the identifier of an incident.

    Parameters
    ----------
    identity : str
        ``<app>.<deployment>``.
    asset_id, sensor_id : str
        Whose.
    opened_at : str
        End of the window that opened it, ISO 8601 as in the alert.
    """
    return uuid.uuid5(NAMESPACE, f"{identity}\x1f{asset_id}\x1f{sensor_id}\x1f{opened_at}")


def summarise(built: Mapping[str, Any]) -> str:
    """Say in one line what an alert is about.

    Examples
    --------
    >>> summarise({"asset_id": "pump-3", "sensor_id": "temp", "event": "resolved", "severity": "minor", "unit": "degC",
    ...            "deviated": None, "learning": False,
    ...            "statistics": {"mean": 54.2}, "expected": {"value": 54.1, "lower": 50.0, "upper": 58.2}})
    'pump-3/temp is back to normal: mean 54.2 degC, expected 54.1 (50 to 58.2)'
    """
    name = f"{built['asset_id']}/{built['sensor_id']}{' (learning)' if built['learning'] else ''}"
    statistics, expected = built["statistics"], built["expected"]
    unit = f" {built['unit']}" if built["unit"] else ""
    band = ""
    if expected["value"] is not None:
        band = f", expected {expected['value']:.5g} ({expected['lower']:.5g} to {expected['upper']:.5g})"
    if built["event"] == "resolved":
        return f"{name} is back to normal: mean {statistics['mean']:.5g}{unit}{band}"
    statistic = built["deviated"] or "mean"
    value = f"{statistic} {statistics[statistic]:.5g}{unit}"
    if statistic in (c.STD, c.COUNT, c.SLOPE) or expected["value"] is None:
        return f"{name} behaves unusually: {value}, mean {statistics['mean']:.5g}{unit}{band}"
    side = "above" if statistics[statistic] > expected["value"] else "below"
    far = "" if built["severity"] == "minor" else "far "
    return f"{name} is {far}{side} what is normal: {value}{band}"


def _members(row: int, scored: ScoredWindows, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the members that judged, the largest share first."""
    members = [
        {"name": name, "score": _rounded(tail), "share": _rounded(share)}
        for name, tail, share in zip(names, scored.member_log_tails[row], scored.shares[row], strict=True)
    ]
    return sorted((m for m in members if m["score"] is not None), key=lambda member: -(member["share"] or 0.0))


def _asset(row: int, scored: ScoredWindows, threshold: float) -> dict[str, Any]:
    """Return the score of the asset in this window, over its sensors whose windows came in the same call.

    An asset's sensors share a bucket, and there is one watermark: the windows of one index close together. Were they
    ever spread over batches, a score would tell of those sensors only that came with this one.
    """
    # Windows are ordered by (index, key), and keys begin with the asset: its sensors stand together.
    first, end = np.searchsorted(scored.index, [scored.index[row], scored.index[row] + 1])
    keys = scored.keys[first:end].tolist()
    asset = str(scored.keys[row]).partition(KEY_SEPARATOR)[0]
    own = slice(
        first + bisect.bisect_left(keys, asset + KEY_SEPARATOR),
        first + bisect.bisect_left(keys, asset + _AFTER_SEPARATOR),
    )
    found = score_assets(scored.score[own], np.zeros(own.stop - own.start, np.int64), threshold)
    return {
        "score": _rounded(found.score[0]),
        "sensors": int(found.sensors[0]),
        "deviating": int(found.deviating[0]),
    }


def _source(window: pd.Series, topics: Mapping[int, str]) -> dict[str, Any]:
    codes = dict.fromkeys((int(window[c.TOPIC_ID_MIN]), int(window[c.TOPIC_ID_MAX])))
    return {
        "topics": [topics.get(code, f"crc32:{code:08x}") for code in codes],
        "partitions": [int(window[c.PARTITION_MIN]), int(window[c.PARTITION_MAX])],
        "offsets": [int(window[c.OFFSET_MIN]), int(window[c.OFFSET_MAX])],
    }


def _us(stamp: pd.Timestamp) -> int:
    return int(stamp.value // 1000)


def _number(value: float) -> float | None:
    """Return a plain number, or None where there is none: JSON has no NaN."""
    number = float(value)
    return number if np.isfinite(number) else None


def _rounded(value: float) -> float | None:
    """Return a number of `DIGITS` significant digits, or None where there is none."""
    return None if _number(value) is None else float(f"{value:.{DIGITS}g}")
