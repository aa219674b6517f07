"""What is wrong with the settings, in words: the path, what is wrong, what is allowed, where it was set.

Values are shown only where they stand in a setting that is known and not secret.

Not here: the checks themselves (``schema`` and its sections).
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from detector.settings.schema import Settings
from detector.settings.tree import Leaf, leaves, locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from detector.settings.layers import Layer

_LONGEST_SHOWN = 80  # characters of a value in a message
_MOST_ORIGINS = 3  # places listed for a problem between several settings
# What a value must be, by the first word of pydantic's name for the failure.
_NOUNS = {"int": "a whole number", "float": "a number", "finite": "a finite number", "bool": "true or false"}
# A failure that only follows from another one, which is listed.
_CONSEQUENCES = {"default_factory_not_called"}


def describe(error: ValidationError, layers: Sequence[Layer]) -> list[str]:
    """Put each problem of a failed validation into one line.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    layers : sequence of Layer
        Where values came from, the one that wins first.

    Returns
    -------
    list of str
        ``path: what is wrong; what is allowed (where it was set)``, never with a secret.
    """
    details = error.errors(include_url=False)
    return [_line(detail, layers) for detail in details if detail["type"] not in _CONSEQUENCES]


def _line(detail: ErrorDetails, layers: Sequence[Layer]) -> str:
    place = tuple(name for name in detail["loc"] if name != "[key]")
    origin = _origin(place, layers)
    if detail["type"] == "extra_forbidden":
        return _unknown(place) + origin
    return f"{_dotted(place) or 'settings'}: {_wrong(detail, place)}{origin}"


def _wrong(detail: ErrorDetails, place: tuple[str | int, ...]) -> str:
    found = locate(Settings, place)
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(context["error"])
    if detail["type"] == "missing":
        return "is required; set it"
    if not isinstance(found, Leaf):
        return "is a section; write its settings below it, not a value"
    if detail["type"] == "tuple_type":
        return "must be a list; write [first, second]"
    if detail["type"] in {"dict_type", "mapping_type"} and found.is_mapping:
        return "must be a mapping; write {key: value}"
    noun = _NOUNS.get(detail["type"].split("_")[0], "")
    wanted = " ".join(part for part in (noun, found.allowed) if part)
    words = f"must be {wanted}" if wanted else detail["msg"][:1].lower() + detail["msg"][1:]
    return words + _shown(detail["input"], found)


def _shown(value: Any, leaf: Leaf) -> str:
    if leaf.is_secret or leaf.is_mapping or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    return f", not {text[:_LONGEST_SHOWN]!r}"


def _unknown(place: tuple[str | int, ...]) -> str:
    # What follows a ':' or '=' inside a key is a value that was meant to stand outside, perhaps a secret.
    key = re.split(r"[:=\s]", str(place[-1]), maxsplit=1)[0]
    parent = place[:-1]
    path = _dotted((*parent, key))
    section = locate(Settings, parent)
    names = list(section.model_fields) if isinstance(section, type) else _entry_names(section)
    near = difflib.get_close_matches(key.lower(), names, n=1)
    if near:
        return f"{path}: is not a setting; did you mean {_dotted((*parent, near[0]))}?"
    known = [leaf.path for leaf in leaves(Settings)]
    same = [each for each in known if each.rsplit(".", 1)[-1] == key.lower()]
    close = same or difflib.get_close_matches(path.lower(), known, n=1)
    if close:
        return f"{path}: is not a setting; did you mean {close[0]}?"
    return f"{path}: is not a setting; allowed here: {', '.join(names)}"


def _entry_names(found: Leaf | None) -> list[str]:
    return list(found.entries.model_fields) if found is not None and found.entries is not None else []


def _origin(place: tuple[str | int, ...], layers: Sequence[Layer]) -> str:
    """Name the place that set the value, or the places that set what lies below it."""
    for layer in layers:
        if place in layer.origins and not _sets_below(layer, place):
            return f" ({layer.origins[place]})"
    below = [
        origin
        for layer in layers
        for path, origin in layer.origins.items()
        if path[: len(place)] == place and place and not _sets_below(layer, path)
    ]
    if below:
        return f" (set by {', '.join(below[:_MOST_ORIGINS])})"
    # An entry of a list that was given as one text has the origin of the list.
    return _origin(place[:-1], layers) if isinstance(locate(Settings, place[:-1]), Leaf) else ""


def _sets_below(layer: Layer, place: tuple[str | int, ...]) -> bool:
    return any(len(path) > len(place) and path[: len(place)] == place for path in layer.origins)


def _dotted(place: tuple[str | int, ...]) -> str:
    text = ""
    for name in place:
        text += f"[{name}]" if isinstance(name, int) else f".{name}" if text else name
    return text
