"""Identity of a record: (asset_id, sensor_id), "temp" of "pump-3".

The asset comes from one configured rule for all records (the record's own field, a mapping or a
template), never from a guess per record. A record whose own asset field says otherwise contradicts the
rule and is rejected: keyed wrongly it would mix two machines in one baseline.

Not here: where the fields stand in a record (``json_records``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple

AssetSource = Literal["template", "field", "mapping"]

MAX_IDENTIFIER: Final = 256  # characters; an identifier is a Kafka key and a state key, not a document
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Identity(NamedTuple):
    """Who a record is from, or why that cannot be said (`reason` is then a reject reason)."""

    asset_id: str
    sensor_id: str
    reason: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class AssetRule:
    """How the asset of a record is found.

    Parameters
    ----------
    source : {'template', 'field', 'mapping'}
        Which of the rules below holds for every record.
    template : str
        Text with the placeholders ``{sensor_id}``, ``{topic}``, ``{key}`` and the named groups of `pattern`.
    pattern : str or None
        Regular expression that a sensor_id must match as a whole for the template's named groups.
    mapping : mapping of str to str
        sensor_id to asset_id.
    """

    source: AssetSource = "template"
    template: str = "{sensor_id}"
    pattern: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.pattern) if self.pattern else None

    @cached_property
    def needs_key(self) -> bool:
        """Whether the Kafka key of each record is part of the answer."""
        return self.source == "template" and "{key}" in self.template

    def identify(self, sensor_id: object, claimed: object, topic: str, key: str) -> Identity:
        """Name the asset and sensor of a record.

        Parameters
        ----------
        sensor_id, claimed : str, int or None
            The record's sensor and, where it has one, its own asset field.
        topic, key : str
            Where the record came from.

        Returns
        -------
        Identity
            With reason ``invalid_id``, ``missing_asset`` or ``asset_conflict`` where there is none.
        """
        sensor = str(sensor_id)
        own = None if claimed is None else str(claimed)
        asset, why = self._asset(sensor, own, topic, key)
        if asset is None:
            return Identity("", sensor, "missing_asset", why)
        for name, text in (("sensor_id", sensor), ("asset_id", asset)):
            if not text or len(text) > MAX_IDENTIFIER or _CONTROL.search(text):
                return Identity("", "", "invalid_id", f"{name} is empty, over 256 characters or has control characters")
        if own is not None and own != asset:
            return Identity("", sensor, "asset_conflict", f"record says {own!r}, the {self.source} says {asset!r}")
        return Identity(asset, sensor)

    def _asset(self, sensor: str, own: str | None, topic: str, key: str) -> tuple[str | None, str]:
        if self.source == "field":
            return own, "the record has no asset field"
        if self.source == "mapping":
            return self.mapping.get(sensor), f"no mapping for sensor {sensor!r}"
        groups: dict[str, str] = {}
        if self._pattern is not None:
            match = self._pattern.fullmatch(sensor)
            if match is None:
                return None, f"sensor {sensor!r} does not match the pattern {self.pattern!r}"
            groups = {name: text or "" for name, text in match.groupdict().items()}
        return self.template.format(**groups, sensor_id=sensor, topic=topic, key=key), ""
