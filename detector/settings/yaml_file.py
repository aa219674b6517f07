"""Reading YAML so that no scalar changes on the way: every value stays the text that was written.

YAML 1.1 would turn ``0123`` into 83, ``no`` into false and ``1:30`` into 90. The settings have a type
for each value, so the text is kept as it stands and typed once, there. Only a plain ``null`` is null.

Not here: what the values mean (``schema``) and where else they come from (``layers``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

_NULL = "tag:yaml.org,2002:null"
_STANDARD = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class YamlDocument:
    """One YAML document as dicts, lists, text and None.

    Attributes
    ----------
    tree : Any
        The content; None for an empty document.
    lines : dict of tuple of (str or int) to int
        Line, counted from 1, at which each path of keys and indices begins.
    """

    tree: Any
    lines: dict[tuple[str | int, ...], int]


def parse_yaml(text: str) -> YamlDocument:
    """Read one YAML document, values as text.

    Parameters
    ----------
    text : str
        The document.

    Returns
    -------
    YamlDocument
        Its content and the line of each path.

    Raises
    ------
    ValueError
        If it is no YAML, names a key twice or uses what settings have no use for (tags, keys that are
        not scalars, an alias to itself). The message names line and column and never quotes the text,
        which may be a secret.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = None if node is None else _plain(node, (), lines)
    except yaml.MarkedYAMLError as error:
        raise ValueError(
            f"{_place(error.problem_mark)}is not YAML: {error.problem}; check indents and quotes"
        ) from None
    except yaml.YAMLError:  # characters that no YAML text may hold
        raise ValueError("is not YAML: it holds control characters; save it as UTF-8 text") from None
    except RecursionError:
        raise ValueError("an alias refers to itself; write the value out") from None
    return YamlDocument(tree, lines)


def read_yaml(path: Path) -> YamlDocument:
    """Read one YAML file, values as text.

    Parameters
    ----------
    path : Path
        The file, UTF-8.

    Returns
    -------
    YamlDocument
        Its content and the line of each path.

    Raises
    ------
    ValueError
        If the file cannot be read or is refused by ``parse_yaml``; the message names the file.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _place(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _plain(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> Any:
    """Turn a node into plain values and note the lines of everything below it."""
    lines.setdefault(path, node.start_mark.line + 1)
    if not node.tag.startswith(_STANDARD):
        raise ValueError(f"{_place(node.start_mark)}tags such as !name are not supported; write the value")
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    return None if node.tag == _NULL else node.value


def _mapping(
    node: yaml.MappingNode, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"{_place(key.start_mark)}a key must be a single word or text")  # noqa: TRY004 - of the file
        if key.value in values:
            raise ValueError(f"{_place(key.start_mark)}a key stands twice in one section; keep one")
        lines[*path, key.value] = key.start_mark.line + 1
        values[key.value] = _plain(value, (*path, key.value), lines)
    return values
