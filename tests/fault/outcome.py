"""What came of the kills of a seed, and the table of all seeds that is in docs/guarantees.md.

Not here: the kills (``kills``), what must have come of them (``test_kills``).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from tests.fault.kills import POINTS
from tests.fault.plant import Event


@dataclass(frozen=True)
class Outcome:
    """What came of the kills of one seed.

    Attributes
    ----------
    seed : int
    expected : Counter of Event
        What a run says that nobody disturbs.
    during, after : Counter of Event
        What a consumer has seen that read all the time, and one that read in the end.
    first_alerts : list of float
        Seconds from a start after a kill to its first alert about records that came meanwhile, for all but the last.
    seconds : float
        How long all of it took.
    """

    seed: int
    expected: Counter[Event]
    during: Counter[Event]
    after: Counter[Event]
    first_alerts: list[float]
    seconds: float

    @property
    def lost(self) -> int:
        """Alerts that one of the consumers has not seen: the worse of both."""
        return max((self.expected - seen).total() for seen in (self.during, self.after))

    @property
    def duplicated(self) -> int:
        """Alerts that one of the consumers should not have seen: the worse of both."""
        return max((seen - self.expected).total() for seen in (self.during, self.after))

    def __str__(self) -> str:
        """Say it in one line, while other seeds are still tried."""
        alerts = f"{self.expected.total()} alerts, {self.lost} lost, {self.duplicated} duplicated"
        return f"seed {self.seed}: {alerts}, {self.seconds:.0f} s"


def table(outcomes: Collection[Outcome]) -> str:
    """Return the table of docs/guarantees.md over some seeds."""
    first_alerts = [seconds for outcome in outcomes for seconds in outcome.first_alerts]
    cells = (
        len(POINTS) * len(outcomes),
        sum(outcome.expected.total() for outcome in outcomes),
        sum(outcome.lost for outcome in outcomes),
        sum(outcome.duplicated for outcome in outcomes),
        f"{statistics.median(first_alerts):.1f} s",
        f"{max(first_alerts):.1f} s",
    )
    return (
        f"seeds {', '.join(str(outcome.seed) for outcome in outcomes)}\n"
        "| restarts | alerts expected | lost | duplicated | first alert, median | worst |\n"
        "| ---: | ---: | ---: | ---: | ---: | ---: |\n"
        f"| {' | '.join(map(str, cells))} |"
    )
