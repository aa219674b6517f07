"""All settings of Tidemark, and the only reader of environment variables and settings files.

Not here: what the settings do (each room).
"""

from __future__ import annotations

from detector.settings.connection import KafkaSettings, SecuritySettings, SourceSettings
from detector.settings.effective import config_digest, decisive, effective, render, with_decisive
from detector.settings.load import load
from detector.settings.records import (
    AssetSettings,
    FieldSettings,
    RangeSettings,
    RecordSettings,
    WindowSettings,
)
from detector.settings.schema import (
    AlertSettings,
    AppSettings,
    DeadLetterSettings,
    HttpSettings,
    LogSettings,
    ModelSettings,
    Settings,
    SparkSettings,
    StateSettings,
)
from detector.settings.tree import Leaf, leaves

__all__ = [
    "AlertSettings",
    "AppSettings",
    "AssetSettings",
    "DeadLetterSettings",
    "FieldSettings",
    "HttpSettings",
    "KafkaSettings",
    "Leaf",
    "LogSettings",
    "ModelSettings",
    "RangeSettings",
    "RecordSettings",
    "SecuritySettings",
    "Settings",
    "SourceSettings",
    "SparkSettings",
    "StateSettings",
    "WindowSettings",
    "config_digest",
    "decisive",
    "effective",
    "leaves",
    "load",
    "render",
    "with_decisive",
]
