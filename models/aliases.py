"""Names that point at a version, and the versions that each has pointed at before: one file, written whole.

Not here: whether a version exists and can be used (``registry``).
"""

from __future__ import annotations

import json
import re
from typing import Final

from models.encoding import canonical_json
from models.errors import ArtifactCorruptError, RegistryError
from models.store import Store

FILE: Final = "aliases.json"
REMEMBERED: Final = 100  # versions that an alias pointed at before; older ones are forgotten
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_BYTES = 1024 * 1024  # more than the file takes


class Aliases:
    """The aliases of a registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def histories(self) -> dict[str, list[str]]:
        """Return the versions that each alias has pointed at, oldest first; the last one holds."""
        try:
            value = json.loads(self._store.read(FILE, _BYTES))
            return {str(alias): [str(version) for version in _filled(versions)] for alias, versions in value.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            where = f"{self._store}/{FILE}"
            raise ArtifactCorruptError(f"{where}: {error}; delete it and set the aliases anew") from error

    def point(self, alias: str, version: str) -> None:
        """Point an alias at a version, atomically; RegistryError if the alias is no lower-case name."""
        if not _ALIAS.fullmatch(alias):
            raise RegistryError(f"alias {alias!r} must match {_ALIAS.pattern}; choose another name")
        with self._store.locked():
            histories = self.histories()
            history = histories.get(alias, [])
            if history[-1:] != [version]:
                histories[alias] = [*history, version][-REMEMBERED - 1 :]
                self._store.replace(FILE, canonical_json(histories))

    def before(self, alias: str) -> str:
        """Return the version that an alias pointed at before the present one; RegistryError if there is none."""
        *earlier, _ = self.histories().get(alias, [""])
        if not earlier:
            raise RegistryError(
                f"{self._store}: {alias} has pointed at no version before; tidemark models promote VERSION "
                "points it at any"
            )
        return earlier[-1]

    def roll_back(self, alias: str, to: str) -> None:
        """Point an alias back at the version `before` returned, and forget the present one.

        Raises
        ------
        RegistryError
            If the alias was moved meanwhile.
        """
        with self._store.locked():
            if (found := self.before(alias)) != to:
                raise RegistryError(
                    f"{self._store}: {alias} was moved meanwhile and came from {found}, not {to}; look and try again"
                )
            histories = self.histories()
            histories[alias].pop()
            self._store.replace(FILE, canonical_json(histories))


def _filled(versions: object) -> list[object]:
    if not isinstance(versions, list) or not versions:
        raise TypeError(f"{versions!r} is no list of versions")
    return versions
