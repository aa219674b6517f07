"""Whether the alias that a running model was chosen by names another version now.

Not here: reading the registry (``models.registry``), changing the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from models.errors import ModelError

EVERY_SECONDS: Final = 5.0  # one small read; a promotion takes effect within this and a micro-batch

log = structlog.get_logger()


@dataclass
class AliasWatch:
    """Asks the registry now and then, and tells of each move once.

    A registry that cannot be read changes nothing: what runs goes on, with one warning until it can be read again.

    Parameters
    ----------
    resolve : callable
        Returns the version that the alias names; raises ModelError or OSError.
    running : str
        The version that runs.
    every_seconds : float
        Least time between two questions, > 0.
    """

    resolve: Callable[[], str]
    running: str
    every_seconds: float = EVERY_SECONDS
    _asked_at: float | None = field(default=None, init=False)
    _away: bool = field(default=False, init=False)

    def moved(self, now: float) -> str | None:
        """Return the version that the alias names since it was last asked, None if it is the same.

        A version that was told of is taken to be the one that runs. Whoever refuses it goes on with the one before, and
        hears of the next move.

        Parameters
        ----------
        now : float
            Reading of a monotonic clock, in seconds.
        """
        if self._asked_at is not None and now - self._asked_at < self.every_seconds:
            return None
        self._asked_at = now
        try:
            version = self.resolve()
        except (ModelError, OSError) as error:
            if not self._away:
                log.warning("the model registry cannot be read; the model stays", why=str(error), model=self.running)
            self._away = True
            return None
        if self._away:
            log.info("the model registry can be read again")
        self._away = False
        if version == self.running:
            return None
        self.running = version
        return version
