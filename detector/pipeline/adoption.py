"""What a new checkpoint must know to carry on what another one has published: how far, and which incidents are open.

The new checkpoint reads the last windows again, from before the history that the detectors look back on. Windows that
end at or before `Adoption.until` have been judged and published: they fill the state and alert no more. A sensor whose
incident was open then starts with that incident open, so that it is resolved under the identifier it was opened with.

Not here: where the facts come from (``detector.app.adopt``), the markers (``detector.kafka.alert_sink``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
import numpy as np

from detector.pipeline.alerts import incident_id
from detector.pipeline.schema import KEY_SEPARATOR
from models.features import KeyArray
from models.profile import HISTORY_LAGS
from models.state import BucketState


class OpenIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that was opened and not resolved, as its alert says.

    Attributes
    ----------
    asset_id, sensor_id : str
        Whose.
    opened_at : str
        End of the window that opened it, ISO 8601.
    peak_score : float
        Its highest score when it was opened.
    """

    asset_id: str
    sensor_id: str
    opened_at: str
    peak_score: float


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint adopts.

    Attributes
    ----------
    until : float
        Windows that end at or before it (epoch seconds) have been published.
    starting : dict
        topic -> partition -> offset from which the records are read again.
    incidents : tuple of OpenIncident
        Those that are open at `until`.
    """

    until: float
    starting: dict[str, dict[int, int]]
    incidents: tuple[OpenIncident, ...] = ()


class _Alert(OpenIncident, frozen=True, kw_only=True):
    """What tells of open incidents in an alert."""

    incident_id: str
    event: Literal["opened", "resolved"]


def open_incidents(alerts: Iterable[bytes], identity: str) -> tuple[OpenIncident, ...]:
    """Return the incidents that alerts open and do not resolve.

    Parameters
    ----------
    alerts : iterable of bytes
        Values of the alerts topic, those of a sensor in their order. What is no alert of this identity is passed over.
    identity : str
        ``<app>.<deployment>``.
    """
    found: dict[tuple[str, str], OpenIncident] = {}
    decoder = msgspec.json.Decoder(_Alert)
    for value in alerts:
        try:
            alert = decoder.decode(value)
        except msgspec.MsgspecError:
            continue
        if alert.incident_id != str(incident_id(identity, alert.asset_id, alert.sensor_id, alert.opened_at)):
            continue
        sensor = (alert.asset_id, alert.sensor_id)
        if alert.event == "opened":
            found[sensor] = OpenIncident(
                asset_id=alert.asset_id,
                sensor_id=alert.sensor_id,
                opened_at=alert.opened_at,
                peak_score=alert.peak_score,
            )
        else:
            found.pop(sensor, None)
    return tuple(found.values())


def reread_from(until: float, length_seconds: float, slide_seconds: float, future_bound_seconds: float) -> float:
    """Return the Kafka timestamp (epoch seconds) before which no record is needed to carry on after `until`.

    The detectors look back on `models.profile.HISTORY_LAGS` windows, and so many again are judged with all of that, to
    know how the open incidents stand; a record may bear an event time that is `future_bound_seconds` ahead of its Kafka
    timestamp.
    """
    return until - 2 * HISTORY_LAGS * slide_seconds - length_seconds - future_bound_seconds


@dataclass(frozen=True)
class Adopted:
    """An adoption in window indices, for the scoring of a bucket.

    Parameters
    ----------
    through : int
        Index of the last window that has been published.
    incidents : mapping of str to (int, float)
        Sensor key -> index of the window that opened its incident, and peak score.
    """

    through: int
    incidents: Mapping[str, tuple[int, float]]

    @classmethod
    def of(cls, adoption: Adoption, slide_us: int) -> Adopted:
        """Return it for windows of a slide (microseconds); incidents of windows of another slide are left out."""
        incidents = {}
        for each in adoption.incidents:
            opened_us = round(datetime.fromisoformat(each.opened_at).timestamp() * 1_000_000)
            if opened_us % slide_us == 0:
                key = each.asset_id + KEY_SEPARATOR + each.sensor_id
                incidents[key] = (opened_us // slide_us, each.peak_score)
        return cls(int(adoption.until * 1_000_000 // slide_us), incidents)

    def introduce(self, state: BucketState, keys: KeyArray) -> None:
        """Tell a state what has been published, with the incidents of those among `keys` that it has not seen yet."""
        state.settled = self.through
        new = sorted(self.incidents.keys() & set(keys.tolist()) - set(state.keys.tolist()))
        if new:
            rows = state.rows_for(np.array(new, object))
            state.open_index[rows] = [self.incidents[key][0] for key in new]
            state.peak[rows] = [self.incidents[key][1] for key in new]
