"""What can go wrong with a sensor or a pump, for a stretch of time.

Faults of a sensor change its measured value and nothing else. A broken correlation is one of the process: a pump
loses efficiency little by little, so that power no longer follows flow as it did, while each sensor alone stays
where it usually is.

Not here: when faults happen (``schedule``), finding them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from models.features import FloatArray

Kind: TypeAlias = Literal["spike", "level shift", "drift", "stuck", "noise burst", "broken correlation", "silence"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PROCESS_KINDS: Final = frozenset({"broken correlation"})
SLOPE_SHARE: Final = 0.25  # of a broken correlation's time, in which it grows, and again in which it fades


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    asset_id : str
        Where.
    sensor_id : str or None
        Which sensor; None for a fault of the process.
    start, end : float
        Epoch seconds, end exclusive.
    size : float
        Spike, level shift, drift (at its end) and noise burst: in standard deviations of the sensor's noise, with a
        sign but for the noise burst. Broken correlation: share of the efficiency that is lost. Stuck and silence
        have none.
    """

    kind: Kind
    asset_id: str
    sensor_id: str | None
    start: float
    end: float
    size: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a kind that is unknown or not at the right place with ValueError."""
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is not a fault; choose one of {', '.join(KINDS)}")
        if (self.sensor_id is None) != (self.kind in PROCESS_KINDS):
            raise ValueError(
                f"{self.kind} of {self.asset_id}/{self.sensor_id}: only a fault of the process has no sensor"
            )
        if not self.start < self.end:
            raise ValueError(f"{self.kind} of {self.asset_id} ends at {self.end} before it starts at {self.start}")

    def active(self, times: FloatArray) -> slice:
        """Return which of the ascending `times` lie within it."""
        first, last = np.searchsorted(times, (self.start, self.end))
        return slice(int(first), int(last))

    def efficiency_loss(self, times: FloatArray) -> FloatArray:
        """Return the share that is lost at each time: grows, stays, fades; 0 outside."""
        place = (times - self.start) / (self.end - self.start)
        shape: FloatArray = np.clip(np.minimum(place, 1.0 - place) / SLOPE_SHARE, 0.0, 1.0)
        return self.size * shape

    def added(self, times: FloatArray, noise: FloatArray) -> FloatArray:
        """Return what a fault within its time adds to a value, in standard deviations of the sensor's noise.

        Parameters
        ----------
        times : ndarray of float64, shape (n,)
        noise : ndarray of float64, shape (n,)
            The measurement noise there, standard normal.
        """
        match self.kind:
            case "spike" | "level shift":
                return np.full(len(times), self.size)
            case "drift":
                return self.size * (times - self.start) / (self.end - self.start)
            case "noise burst":
                return (self.size - 1.0) * noise
            case _:
                return np.zeros(len(times))
