"""How a Kafka record becomes a measurement, and how measurements become windows.

Not here: the decoding and the aggregation themselves (``detector.pipeline``).
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from detector.pipeline.paths import parse_path
from detector.settings.section import Section
from detector.settings.values import (
    BoundDuration,
    ExistingFile,
    LatenessDuration,
    RecordSize,
    RegularExpression,
    Text,
    WindowDuration,
    format_duration,
)
from detector.settings.yaml_file import read_yaml

_PLACEHOLDERS = ("sensor_id", "topic", "key")


def _path(text: str) -> str:
    parse_path(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{name!r} is not an IANA time zone; write UTC or Europe/Amsterdam") from None
    return name


def _glob(text: str) -> str:
    if "/" not in text:
        raise ValueError(f"{text!r} does not say asset and sensor; write */temp, pump-3/* or */*")
    return text


JsonPath = Annotated[str, AfterValidator(_path)]


class FieldSettings(Section):
    """Where the parts of a record stand in its JSON."""

    sensor_id: JsonPath = Field(default="$.sensor_id", description="Path of the sensor's id.")
    timestamp: JsonPath = Field(default="$.timestamp", description="Path of the event time.")
    value: JsonPath = Field(default="$.value", description="Path of the measured value.")
    asset_id: JsonPath = Field(default="$.asset_id", description="Path of the optional asset id.")
    unit: JsonPath = Field(default="$.unit", description="Path of the optional unit.")

    @model_validator(mode="after")
    def _stand_apart(self) -> Self:
        paths = {name: parse_path(getattr(self, name)) for name in type(self).model_fields}
        for name, path in paths.items():
            for other, longer in paths.items():
                if name != other and longer[: len(path)] == path:
                    raise ValueError(f"{other} lies at or inside {name}; give each field a place of its own")
        return self


class AssetSettings(Section):
    """Where the asset of a sensor comes from; identity is (asset, sensor)."""

    source: Literal["template", "field", "mapping"] = Field(
        default="template",
        description="Take the asset from `template`, from the record's asset field, or from `mapping`.",
    )
    template: Text = Field(
        default="{sensor_id}",
        description="Asset id with {sensor_id}, {topic}, {key} and the named groups of `pattern` filled in.",
    )
    pattern: RegularExpression | None = Field(
        default=None,
        description="Regular expression over the sensor id; its named groups serve the template.",
    )
    mapping: Mapping[str, Text] = Field(
        default_factory=dict, description="Asset id of each sensor id, for `source: mapping`."
    )
    mapping_file: ExistingFile | None = Field(
        default=None,
        description="YAML file with such a mapping; read once at start, when it becomes `mapping`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_mapping_file(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("mapping_file") is None:
            return values
        if values.get("mapping"):
            raise ValueError("mapping and mapping_file are both set; keep one of them")
        content = read_yaml(Path(values["mapping_file"])).tree
        return {**values, "mapping": content, "mapping_file": None}

    @model_validator(mode="after")
    def _fit_the_source(self) -> Self:
        if self.source == "mapping" and not self.mapping:
            raise ValueError("source: mapping needs mapping or mapping_file; set one of them")
        if self.source != "mapping" and self.mapping:
            raise ValueError(f"mapping would have no effect with source: {self.source}; set source: mapping")
        if self.source != "template" and self.pattern is not None:
            raise ValueError(f"pattern would have no effect with source: {self.source}; set source: template")
        self._check_template()
        return self

    def _check_template(self) -> None:
        groups = re.compile(self.pattern).groupindex if self.pattern is not None else {}
        taken = sorted(set(groups) & set(_PLACEHOLDERS))
        if taken:
            raise ValueError(f"pattern names a group {taken[0]}, which the template already has; rename it")
        try:
            parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise ValueError(f"template {self.template!r} is malformed: {error}; write {{sensor_id}}") from None
        for _, name, form, conversion in parts:
            if name is None:
                continue
            allowed = [*_PLACEHOLDERS, *groups]
            if name not in allowed or form or conversion:
                shown = ", ".join(f"{{{each}}}" for each in allowed)
                raise ValueError(f"template has {{{name}}}, which is not one of {shown} as they stand")


class RangeSettings(Section):
    """The plausible values of some sensors; what lies outside is counted per window."""

    sensors: Annotated[str, AfterValidator(_glob)] = Field(
        description="Which sensors: a glob pattern over `asset/sensor`, such as `*/temp`."
    )
    unit: Text | None = Field(
        default=None,
        description="Unit of the limits; records of another unit are not checked. null: any unit.",
    )
    min: float | None = Field(default=None, description="Lowest plausible value; null: no limit.")
    max: float | None = Field(default=None, description="Highest plausible value; null: no limit.")

    @model_validator(mode="after")
    def _bound_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("neither min nor max is set; set at least one of them")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; exchange them")
        return self


class RecordSettings(Section):
    """The form of the records."""

    fields: FieldSettings = Field(default_factory=FieldSettings)
    timestamp_format: Literal["epoch_ms", "epoch_s", "epoch_us", "epoch_ns", "iso8601"] = Field(
        default="epoch_ms", description="Form of the event time; it is never guessed from the value."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="IANA time zone of ISO 8601 times that carry no offset."
    )
    asset: AssetSettings = Field(default_factory=AssetSettings)
    max_bytes: RecordSize = Field(
        default=1 << 20,
        description="Largest record value that is decoded (64B to 64MiB); larger is rejected.",
    )
    future_bound: BoundDuration = Field(
        default=timedelta(minutes=5),
        description="How far an event time may be after the Kafka timestamp (1s to 366d), else rejected.",
    )
    ranges: tuple[RangeSettings, ...] = Field(
        default=(), description="Plausible values of sensors; the first entry that matches a sensor counts."
    )


class WindowSettings(Section):
    """Event-time windows and how long they wait for late records."""

    length: WindowDuration = Field(
        default=timedelta(seconds=10), description="Length of a window in event time (100ms to 31d)."
    )
    slide: WindowDuration = Field(
        default_factory=lambda data: data["length"],
        description="Distance between window starts; divides `length`. Default: `length`, that is tumbling.",
    )
    lateness: LatenessDuration = Field(
        default=timedelta(seconds=30),
        description="How far the watermark stays behind the newest event time (0s to 31d).",
    )
    dedup: Literal["none", "within_window"] = Field(
        default="none", description="Whether a repeated record counts once in its window."
    )

    @model_validator(mode="after")
    def _slide_divides_length(self) -> Self:
        if self.length % self.slide:
            slide, length = format_duration(self.slide), format_duration(self.length)
            raise ValueError(
                f"slide {slide} does not divide length {length}; choose length/2, length/3, ... or omit it"
            )
        return self
