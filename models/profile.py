"""How windows are scored and when an incident opens: the settings that training and serving must share.

Not here: how much history is fitted on (``training``), addresses and names of the service (``detector.settings``).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from models.base import Detector
from models.detectors import DETECTORS
from models.encoding import canonical_json, sha256

# Names of the population's members among those who judge (``population``), and the past windows they look at: like
# the regression, so that a sensor is described by the same stretch of time before and after it has its own model.
POPULATION = ("isolation_forest", "population_deviation")
POPULATION_LAGS = 32
# Past windows that a new state should keep: enough for any profile, so that any model can follow any other.
HISTORY_LAGS = max(POPULATION_LAGS, *(detector.lags for detector in DETECTORS))
# A rate above 10 % would make alarms the normal case; the tail of the calibration begins there (``calibration``).
MAX_FALSE_ALARM_RATE = 0.1


@dataclass(frozen=True)
class ScoringProfile:
    """Members of the ensemble and the rules of incidents.

    Attributes
    ----------
    members : tuple of str
        Names of detectors in `DETECTORS`. The first that can judge a window gives its expected value.
    false_alarm_rate : float
        Share of normal windows that may reach the threshold, 0 < rate <= 0.1.
    close_ratio : float
        An open incident's window is quiet when its score is below this share of the threshold, 0 < ratio <= 1.
    quiet_windows : int
        Quiet windows in a row that resolve an incident, at least 1.
    population : bool
        Whether sensors without a model of their own are judged by the population's.
    """

    members: tuple[str, ...] = tuple(detector.name for detector in DETECTORS)
    false_alarm_rate: float = 0.001
    close_ratio: float = 0.5
    quiet_windows: int = 3
    population: bool = True

    def __post_init__(self) -> None:
        """Refuse unknown members and values out of range with ValueError."""
        known = [detector.name for detector in DETECTORS]
        if not self.members or len(set(self.members)) != len(self.members) or set(self.members) - set(known):
            raise ValueError(f"members {self.members} must be distinct names among {known}")
        if not 0 < self.false_alarm_rate <= MAX_FALSE_ALARM_RATE:
            raise ValueError(f"false_alarm_rate {self.false_alarm_rate} must be in (0, {MAX_FALSE_ALARM_RATE}]")
        if not 0 < self.close_ratio <= 1:
            raise ValueError(f"close_ratio {self.close_ratio} must be in (0, 1]")
        if self.quiet_windows < 1:
            raise ValueError(f"quiet_windows {self.quiet_windows} must be at least 1")

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The members themselves, in the order of `members`."""
        by_name = {detector.name: detector for detector in DETECTORS}
        return tuple(by_name[name] for name in self.members)

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of all who may have an opinion of a window: the members, then those of the population."""
        return (*self.members, *POPULATION) if self.population else self.members

    @property
    def lags(self) -> int:
        """Past windows per sensor that the judges look at; a state keeps at least as many."""
        return max(POPULATION_LAGS if self.population else 0, *(detector.lags for detector in self.detectors), 0)

    @property
    def threshold(self) -> float:
        """Score at which an incident opens: ``-log10(false_alarm_rate)``."""
        return -math.log10(self.false_alarm_rate)

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON of the profile."""
        return sha256(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Return the profile as plain JSON."""
        return {**asdict(self), "members": list(self.members)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ScoringProfile:
        """Undo `to_json`; TypeError on unknown or missing keys, ValueError on values out of range."""
        return cls(**{**value, "members": tuple(value["members"])})
