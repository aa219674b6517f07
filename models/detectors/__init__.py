"""The detectors, one algorithm per file, and the tuple that enrols them in profiles and contract tests.

Not here: combining them (``models.ensemble``).
"""

from __future__ import annotations

from models.base import Detector
from models.detectors.autoregression import Autoregression
from models.detectors.level import Level

# Most specific first: the first member that can judge a window gives its expected value and bounds.
DETECTORS: tuple[Detector, ...] = (Autoregression(), Level())

__all__ = ["DETECTORS", "Autoregression", "Level"]
