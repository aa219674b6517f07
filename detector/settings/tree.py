"""The tree of settings as data: which paths there are, and what stands at each.

Not here: the settings (``schema``) and the reading of values (``layers``).
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Leaf:
    """One setting: the end of a path.

    Attributes
    ----------
    path : str
        Names joined by dots; ``[]`` stands for each entry of a list, as in ``records.ranges[].min``.
    field : FieldInfo
        Its default, limits and description.
    """

    path: str
    field: FieldInfo

    @property
    def kind(self) -> Any:
        """The type without ``Annotated`` and without ``None``."""
        return _bare(self.field.annotation)

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be printed."""
        return self.kind is SecretStr

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping with free keys."""
        return get_origin(self.kind) is Mapping

    @property
    def is_collection(self) -> bool:
        """Whether the value is a list or a mapping."""
        return self.is_mapping or get_origin(self.kind) is tuple

    @property
    def entries(self) -> type[BaseModel] | None:
        """The section that each entry of a list is, if the value is such a list."""
        if get_origin(self.kind) is not tuple:
            return None
        entry = get_args(self.kind)[0]
        return entry if _is_section(entry) else None

    @property
    def allowed(self) -> str:
        """The choices or the range in words; empty where the type says it all."""
        if get_origin(self.kind) is Literal:
            return "one of " + ", ".join(str(choice) for choice in get_args(self.kind))
        limits = [
            words
            for limit in self.field.metadata
            for kind, attribute, sign in _SIGNS
            if isinstance(limit, kind)
            for words in [f"{sign} {getattr(limit, attribute)}"]
        ]
        return " and ".join(limits)


_SIGNS = ((Gt, "gt", ">"), (Ge, "ge", ">="), (Lt, "lt", "<"), (Le, "le", "<="))


def leaves(section: type[BaseModel], prefix: str = "") -> Iterator[Leaf]:
    """Go through every setting of a section, in order.

    Parameters
    ----------
    section : type of BaseModel
        The section; ``Settings`` for all.
    prefix : str
        What to put before each path.

    Yields
    ------
    Leaf
        Each setting; a list of sections comes first itself, then its entries' settings.
    """
    for name, field in section.model_fields.items():
        below = _bare(field.annotation)
        if _is_section(below):
            yield from leaves(below, f"{prefix}{name}.")
            continue
        leaf = Leaf(f"{prefix}{name}", field)
        yield leaf
        if leaf.entries is not None:
            yield from leaves(leaf.entries, f"{prefix}{name}[].")


def locate(section: type[BaseModel], path: tuple[str | int, ...]) -> Leaf | type[BaseModel] | None:
    """Find what stands at a path.

    Parameters
    ----------
    section : type of BaseModel
        Where the path begins.
    path : tuple of (str or int)
        Names, and indices into lists. Keys of a mapping belong to the mapping's own setting.

    Returns
    -------
    Leaf, type of BaseModel or None
        A setting, a section, or None for a path that is not known.
    """
    current: type[BaseModel] = section
    for position, name in enumerate(path):
        field = current.model_fields.get(str(name))
        if field is None:
            return None
        below = _bare(field.annotation)
        if _is_section(below):
            current = below
            continue
        leaf = Leaf(".".join(str(each) for each in path[: position + 1]), field)
        rest = path[position + 2 :]  # past the index
        if leaf.entries is not None and rest:
            return locate(leaf.entries, rest)
        return leaf
    return current


def _bare(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _bare(next(each for each in get_args(annotation) if each is not types.NoneType))
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
