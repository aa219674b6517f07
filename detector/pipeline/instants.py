"""Instants as text for people and consumers: ISO 8601 in UTC, whole seconds without a fraction.

Not here: reading them from records (``event_time``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso(seconds: float) -> str:
    """Render seconds since 1970."""
    return _text(datetime.fromtimestamp(seconds, UTC))


def iso_of_us(microseconds: int) -> str:
    """Render microseconds since 1970."""
    return _text(_EPOCH + timedelta(microseconds=microseconds))


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
