"""The three places that settings come from, each read into one layer that remembers where.

A file, the environment (``TIDEMARK__KAFKA__BOOTSTRAP_SERVERS=...``) and flags
(``kafka.bootstrap_servers=...``). pydantic-settings merges the layers.

Not here: types, limits and the wording of problems (``schema``, ``problems``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_settings import PydanticBaseSettingsSource

from detector.settings.schema import Settings
from detector.settings.tree import Leaf, locate
from detector.settings.yaml_file import parse_yaml, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo

ENVIRONMENT_PREFIX = "TIDEMARK__"
_NEARLY = "TIDEMARK_"
_DELIMITER = "__"
_Path = tuple[str | int, ...]


class Layer(PydanticBaseSettingsSource):
    """The values of one place, as a tree of text, and the origin of each.

    Attributes
    ----------
    tree : dict
        Nested dicts, lists, text and None.
    origins : dict of tuple to str
        For each path that is set, where: ``tidemark.yaml:12``, ``environment variable X``, ``flag x``.
    """

    def __init__(self) -> None:
        super().__init__(Settings)
        self.tree: dict[str, Any] = {}
        self.origins: dict[_Path, str] = {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - signature of pydantic-settings
        """Give the value of one top-level field, as pydantic-settings asks for it."""
        return self.tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Give the whole tree, as pydantic-settings asks for it."""
        return self.tree

    def put(self, path: tuple[str, ...], text: str, origin: str) -> None:
        """Set one path to a text.

        Parameters
        ----------
        path : tuple of str
            Names from the outside in; unknown ones are kept, for the schema to refuse.
        text : str
            The value: as it stands, but a list or mapping is read as YAML, and ``null`` is None.
        origin : str
            Where it was set.
        """
        section = self.tree
        for name in path[:-1]:
            if not isinstance(section.get(name), dict):
                section[name] = {}
            section = section[name]
        section[path[-1]] = _value(path, text)
        self.origins[path] = origin


def file_layer(path: Path) -> Layer:
    """Read a settings file.

    Parameters
    ----------
    path : Path
        A YAML file whose keys are the names of the settings.

    Returns
    -------
    Layer
        Its values; origins are ``<path>:<line>``.

    Raises
    ------
    ValueError
        If the file cannot be read, is no YAML, or holds no mapping.
    """
    document = read_yaml(path)
    if not isinstance(document.tree, dict | None):
        raise ValueError(f"{path} holds no settings; write sections such as kafka: and source:")  # noqa: TRY004 - of the file
    layer = Layer()
    layer.tree = document.tree or {}
    layer.origins = {place: f"{path}:{line}" for place, line in document.lines.items() if place}
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Read the variables that begin with ``TIDEMARK__``.

    Parameters
    ----------
    environ : mapping of str to str
        The environment; other variables are passed over.

    Returns
    -------
    Layer
        Its values. Names of settings are found in any case; keys of mappings keep theirs.
    """
    layer = Layer()
    for variable in sorted(environ):
        if variable.startswith(ENVIRONMENT_PREFIX):
            names = variable.removeprefix(ENVIRONMENT_PREFIX).split(_DELIMITER)
            path = _path(names, _DELIMITER, fold=True)
            layer.put(path, environ[variable], f"environment variable {variable}")
        elif (
            variable.startswith(_NEARLY) and _DELIMITER in variable
        ):  # orchestrators make TIDEMARK_SERVICE_HOST and such
            layer.put((variable,), environ[variable], f"environment variable {variable}; write {ENVIRONMENT_PREFIX}...")
    return layer


def flags_layer(overrides: Sequence[str]) -> Layer:
    """Read flags of the form ``key.path=value``; of two for one path the later counts.

    Parameters
    ----------
    overrides : sequence of str
        For example ``windows.length=5s``; the keys of a mapping may hold dots, as in
        ``spark.conf.spark.ui.enabled=true``.

    Returns
    -------
    Layer
        Its values.

    Raises
    ------
    ValueError
        If a flag holds no ``=``; the message shows no more than its first word.
    """
    layer = Layer()
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            shown = key.split()[0] if key.split() else ""
            raise ValueError(f"flag {shown!r} is not key.path=value; write windows.length=10s")
        path = _path(key.strip().split("."), ".", fold=False)
        layer.put(path, text, f"flag {'.'.join(path)}")
    return layer


def _path(names: list[str], delimiter: str, *, fold: bool) -> tuple[str, ...]:
    """Join to one key what follows the name of a mapping; the delimiter may be a part of the key."""
    folded = [name.lower() for name in names] if fold else names
    for length in range(1, len(names)):
        found = locate(Settings, tuple(folded[:length]))
        if isinstance(found, Leaf) and found.is_mapping:
            return (*folded[:length], delimiter.join(names[length:]))
    return tuple(folded)


def _value(path: tuple[str, ...], text: str) -> Any:
    if text == "null":
        return None
    found = locate(Settings, path)
    if not isinstance(found, Leaf) or not found.is_collection or len(path) > len(found.path.split(".")):
        return text
    try:
        return parse_yaml(text).tree
    except ValueError:
        return text  # refused by the schema, which says what is wanted
