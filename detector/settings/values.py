"""The values with a form of their own: durations, byte sizes, topic names, paths, patterns.

Each is parsed from text once, here, so that a wrong one is refused with the right form in the message.

Not here: which setting takes which value (``schema`` and the sections it joins).
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}  # largest first
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}  # largest first
_SIZE = re.compile(r"(\d+) ?(GiB|MiB|KiB|B)")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's rule and its length limit for topic names
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
# A duration longer than this cannot be meant, and it keeps every value inside datetime's range.
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``10s``, ``500ms`` or ``1h30m``.

    Parameters
    ----------
    text : str
        Whole numbers, each followed by d, h, m, s or ms; larger units first, each at most once.

    Returns
    -------
    timedelta
        From 0 to 3650 days, in whole milliseconds.

    Raises
    ------
    ValueError
        If the text has another form (a bare number too) or is longer than 3650 days.
    """
    compact = text.strip()
    parts = _DURATION.findall(compact)
    units = [unit for _, unit in parts]
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        if compact.isdecimal():
            raise ValueError(f"{text!r} has no unit; write {compact}s, {compact}ms or {compact}m")
        raise ValueError(f"{text!r} is not a duration; write 500ms, 10s, 5m, 2h, 1d or 1h30m")
    if units != [unit for unit in _MILLISECONDS if unit in units]:
        raise ValueError(f"{text!r} must name its units from large to small, each once; write 1h30m")
    # Compared as an integer first: a timedelta overflows on absurd input instead of refusing it.
    total = sum(int(number) * _MILLISECONDS[unit] for number, unit in parts)
    if total > _LONGEST // timedelta(milliseconds=1):
        raise ValueError(f"{text!r} is longer than {format_duration(_LONGEST)}, the longest allowed")
    return timedelta(milliseconds=total)


def format_duration(duration: timedelta) -> str:
    """Write a duration in the one canonical form that ``parse_duration`` reads back.

    Parameters
    ----------
    duration : timedelta
        Not negative, in whole milliseconds.

    Returns
    -------
    str
        For example ``1h30m``; zero is ``0s``.
    """
    rest = duration // timedelta(milliseconds=1)
    text = ""
    for unit, size in _MILLISECONDS.items():
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_size(text: str) -> int:
    """Read a number of bytes such as ``1MiB`` or ``64KiB``.

    Parameters
    ----------
    text : str
        A whole number followed by B, KiB, MiB or GiB (powers of 1024).

    Returns
    -------
    int
        Bytes, at least 0.

    Raises
    ------
    ValueError
        If the text has another form; a bare number and the ambiguous kB or MB are refused.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write 512B, 64KiB, 1MiB or 2GiB")
    return int(match[1]) * _BYTES[match[2]]


def format_size(size: int) -> str:
    """Write a number of bytes with the largest unit that divides it.

    Parameters
    ----------
    size : int
        Bytes, at least 0.

    Returns
    -------
    str
        For example ``64KiB``.
    """
    unit = next(unit for unit, scale in _BYTES.items() if size % scale == 0 and (size >= scale or unit == "B"))
    return f"{size // _BYTES[unit]}{unit}"


def _duration_from(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str | int | float):
        return parse_duration(str(value))
    raise ValueError("is not a duration; write 500ms, 10s, 5m, 2h, 1d or 1h30m")


def _size_from(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return parse_size(value)
    raise ValueError("is not a size; write 512B, 64KiB, 1MiB or 2GiB")


def _duration_range(low: str, high: str) -> AfterValidator:
    """Bound a duration from ``low`` to ``high``, both allowed."""

    def check(duration: timedelta) -> timedelta:
        if not parse_duration(low) <= duration <= parse_duration(high):
            raise ValueError(f"{format_duration(duration)} is outside what is allowed: {low} to {high}")
        return duration

    return AfterValidator(check)


def _size_range(low: str, high: str) -> AfterValidator:
    """Bound a byte size from ``low`` to ``high``, both allowed."""

    def check(size: int) -> int:
        if not parse_size(low) <= size <= parse_size(high):
            raise ValueError(f"{format_size(size)} is outside what is allowed: {low} to {high}")
        return size

    return AfterValidator(check)


def topic_name(name: str) -> str:
    """Check the name of a Kafka topic.

    Parameters
    ----------
    name : str
        1 to 249 letters, digits, ``.``, ``_`` and ``-``; not ``.`` or ``..``.

    Returns
    -------
    str
        The name as it is.

    Raises
    ------
    ValueError
        If Kafka would refuse the name.
    """
    if not _TOPIC.fullmatch(name) or name in {".", ".."}:
        raise ValueError(f"{name!r} is not a topic name; use 1 to 249 letters, digits, '.', '_' and '-'")
    return name


def topic_or_empty(name: str) -> str:
    """Check the name of a Kafka topic that may be left out."""
    return topic_name(name) if name else name


def _identifier(name: str) -> str:
    # No dots: names are joined by dots into transactional ids, which must stay distinct.
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a name; use 1 to 100 letters, digits, '_' and '-', first a letter or a digit"
        )
    return name


def _local(path: Path) -> Path:
    if "://" in str(path) or re.match(r"[a-z0-9]+:/", str(path)):  # Path folds the second slash
        raise ValueError(f"{str(path)!r} is an address; write a path of the local file system")
    return path.expanduser()


def _place(text: str) -> str:
    """Check a directory, or the address of an object store."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return str(_local(Path(text)))
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or not rest.strip("/"):
        raise ValueError(f"{scheme}:// names no place; write a directory, or an address such as s3://bucket/models")
    if ":" in rest.partition("@")[0] and "@" in rest:
        raise ValueError(
            f"an address of {scheme} must not hold credentials; give them to its driver, by the environment for example"
        )
    return text.rstrip("/")


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r} below {Path.cwd()}; write its path from there or in full")
    return path


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


_duration = (
    BeforeValidator(_duration_from, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
)
_size = (
    BeforeValidator(_size_from, json_schema_input_type=str),
    PlainSerializer(format_size, return_type=str, when_used="json"),
)

WindowDuration = Annotated[timedelta, *_duration, _duration_range("100ms", "31d")]
LatenessDuration = Annotated[timedelta, *_duration, _duration_range("0s", "31d")]
BoundDuration = Annotated[timedelta, *_duration, _duration_range("1s", "366d")]
TriggerDuration = Annotated[timedelta, *_duration, _duration_range("0s", "1h")]
# Kafka brokers refuse transactions above transaction.max.timeout.ms, 15 minutes unless changed.
TransactionDuration = Annotated[timedelta, *_duration, _duration_range("10s", "15m")]
MarkerDuration = Annotated[timedelta, *_duration, _duration_range("1s", "1h")]
RecordSize = Annotated[int, *_size, _size_range("64B", "64MiB")]

Text = Annotated[str, Field(min_length=1)]
TopicName = Annotated[str, AfterValidator(topic_name)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Place = Annotated[str, Field(min_length=1), AfterValidator(_place)]
LocalPath = Annotated[Path, AfterValidator(_local)]
ExistingFile = Annotated[Path, AfterValidator(_local), AfterValidator(_existing_file)]
RegularExpression = Annotated[str, Field(min_length=1), AfterValidator(_regular_expression)]
