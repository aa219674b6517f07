"""Reads deploy/compose.yaml, and says how an engine without Compose runs one of its services.

What a service may hold is listed here: a key that is not understood is an error, so that nothing in the file
goes untested without notice.

Not here: the containers themselves (``stack``), and the schema of Compose, which the linter of the file checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "deploy" / "compose.yaml"
# Of no meaning where services are started one by one, from an image that is there.
_NOT_FOR_RUN = {"image", "build", "pull_policy", "profiles", "depends_on", "restart", "ports", "stop_grace_period"}


def services(environment: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the services by name, ``${VARIABLE:-default}`` filled in."""
    given = environment or {}
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: given.get(found[1], found[2]), FILE.read_text("utf-8"))
    return dict(yaml.safe_load(text)["services"])


def run_options(service: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the options of ``podman run`` or ``docker run`` that a service asks for.

    Parameters
    ----------
    service : mapping
        As Compose has it.
    prefix : str
        Put before the names of containers and volumes, which no other run may share.
    """
    options: list[str] = []
    for key, value in service.items():
        if key not in _NOT_FOR_RUN | {"command"}:
            options += _OPTIONS[key](value, prefix)
    return options


def grace_seconds(service: Mapping[str, Any]) -> int:
    """Return how long a service may take to stop."""
    return int(str(service["stop_grace_period"]).removesuffix("s"))


def _network(value: str, prefix: str) -> list[str]:
    if value.startswith("service:"):
        return ["--network", f"container:{prefix}{value.removeprefix('service:')}"]
    # Nothing outside is needed: all services meet in this one network, which has only a loopback here.
    return ["--network", "none"]


def _volume(value: str, prefix: str) -> str:
    source, target = value.split(":", 1)
    where = str((FILE.parent / source).resolve()) if source.startswith(".") else f"{prefix}{source}"
    return f"{where}:{target}"


# Health checks are run by the tests: what runs them at intervals is not part of every engine.
_OPTIONS: Mapping[str, Callable[[Any, str], list[str]]] = {
    "network_mode": _network,
    "read_only": lambda value, _: ["--read-only"] if value else [],
    "cap_drop": lambda value, _: [word for name in value for word in ("--cap-drop", name)],
    "security_opt": lambda value, _: [word for name in value for word in ("--security-opt", name)],
    "tmpfs": lambda value, _: [word for mount in value for word in ("--tmpfs", mount)],
    "mem_limit": lambda value, _: ["--memory", str(value)],
    "memswap_limit": lambda value, _: ["--memory-swap", str(value)],
    "pids_limit": lambda value, _: ["--pids-limit", str(value)],
    "volumes": lambda value, prefix: [word for mount in value for word in ("--volume", _volume(mount, prefix))],
    "healthcheck": lambda _value, _prefix: [],
}
