"""Values as characters: seven heights of block, on a scale on which a little noise stays little.

Not here: which values (``board``), colours (``panel``).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

BLOCKS: Final = "▁▂▃▄▅▆▇"  # not the full one, which would touch the line above
OUTER_SHARE: Final = 0.05  # of the past values at each end does not widen the scale
LEAST_SHARE: Final = 0.4
SIGNIFICANT: Final = 4  # digits of a value


@dataclass(frozen=True)
class Scale:
    """The range of a sparkline.

    Parameters
    ----------
    low, high : float
        Values of the lowest and the highest block.
    """

    low: float
    high: float

    @classmethod
    def of(cls, past: Collection[float], shown: Collection[float]) -> Self:
        """Return a scale that just holds the values that are shown, but not narrower than `LEAST_SHARE` of the past.

        Parameters
        ----------
        past : collection of float
            At least one value; what is usual, so that a little noise does not fill the whole height.
        shown : collection of float
            Values that must be on the scale; none is as good as all of the past.
        """
        ordered = sorted(past)
        outer = int(len(ordered) * OUTER_SHARE)
        least = LEAST_SHARE * (ordered[-1 - outer] - ordered[outer])
        low, high = min(shown or ordered), max(shown or ordered)
        margin = max(0.0, least - (high - low)) / 2
        return cls(low - margin, high + margin)

    def sign(self, value: float) -> str:
        """Return the block of a value; where everything is equal it is one of middle height."""
        if self.high <= self.low:
            return BLOCKS[len(BLOCKS) // 2]
        share = (value - self.low) / (self.high - self.low)
        return BLOCKS[min(len(BLOCKS) - 1, max(0, int(share * len(BLOCKS))))]


def decimals(values: Collection[float]) -> int:
    """Return how many digits after the point give `SIGNIFICANT` digits: the same for all values of a sensor."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0.0:
        return 1
    return min(SIGNIFICANT - 1, max(0, SIGNIFICANT - 1 - math.floor(math.log10(largest))))
