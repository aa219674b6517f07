"""Reading the settings: defaults, then a file, then the environment, then flags; the later one wins.

Not here: what settings there are (``schema``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from detector.errors import ConfigError
from detector.settings.layers import environment_layer, file_layer, flags_layer
from detector.settings.problems import describe
from detector.settings.schema import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def load(path: Path | None, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings.

    Parameters
    ----------
    path : Path or None
        YAML file; None for no file. Paths *in* it are relative to the working directory.
    overrides : sequence of str
        Flags ``key.path=value``, which win over everything.
    environ : mapping of str to str, optional
        The environment; the process's own by default. Only ``TIDEMARK__...`` is looked at.

    Returns
    -------
    Settings
        Frozen settings. Sections are merged setting by setting and mappings key by key; a list
        replaces the list below it; ``null`` is the default.

    Raises
    ------
    ConfigError
        If anything is wrong; the message lists every problem and never holds a secret.
    """
    settings, problems = _read(path, overrides, os.environ if environ is None else environ)
    if settings is None:  # raised out here, so that no exception that holds input hangs on it
        raise ConfigError("\n".join(problems))
    return settings


def _read(path: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> tuple[Settings | None, list[str]]:
    try:
        layers = [flags_layer(overrides), environment_layer(environ)]
        if path is not None:
            layers.append(file_layer(path))
    except ValueError as error:
        return None, [str(error)]
    # A dict, because the type of the call shows the fields alone.
    arguments: dict[str, Any] = {"_build_sources": (tuple(layers), {})}
    try:
        return Settings(**arguments), []
    except ValidationError as error:
        problems = describe(error, layers)
    count = "1 setting is wrong" if len(problems) == 1 else f"{len(problems)} settings are wrong"
    return None, [f"{count}; correct and start again:", *(f"  {problem}" for problem in problems)]
