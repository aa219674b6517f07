"""The services of deploy/compose.yaml in containers of one image, under names that no other run has.

Not here: what must be true of them (``test_image``), and how a service becomes options (``compose``).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.image import compose

DEADLINE = 120.0  # seconds; a bound for a loaded machine, nothing waits this long when it works


class Stack:
    """The services, each in at most one container.

    Parameters
    ----------
    engine : str
        ``podman`` or ``docker``.
    image : str
        What every service runs.
    environment : dict
        What Compose would take from its environment.
    """

    def __init__(self, engine: str, image: str, environment: dict[str, str]) -> None:
        self._engine = engine
        self._image = image
        self._prefix = f"tidemark-{uuid.uuid4().hex[:8]}-"
        self._services = compose.services(environment)
        self._started: list[str] = []

    def run(self, service: str, *arguments: str) -> str:
        """Run a service to its end, which must be a good one; returns its standard output."""
        done = self._call("run", "--rm", *self._options(service, arguments), timeout=DEADLINE)
        assert done.returncode == 0, f"{service}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def fail(self, *arguments: str) -> tuple[int, str]:
        """Run the bare image, which must fail; returns the exit code and what it said."""
        done = self._call("run", "--rm", "--pull=never", "--no-healthcheck", "--network=none", self._image, *arguments)
        assert done.returncode, done.stdout
        return done.returncode, done.stderr

    def start(self, service: str, *arguments: str) -> None:
        """Start a service in a container of its own and leave it running."""
        self._check("run", "--detach", "--name", self._prefix + service, *self._options(service, arguments))
        self._started.append(service)

    def stop(self, service: str) -> int:
        """Stop a service as an orchestrator would, remove its container, and return its exit code."""
        grace = compose.grace_seconds(self._services[service])
        self._check("stop", "-t", str(grace), self._prefix + service)
        code = int(self._check("inspect", "--format", "{{.State.ExitCode}}", self._prefix + service))
        self._remove(service)
        return code

    def python(self, service: str, source: Path, *arguments: str) -> str:
        """Run a Python file inside of a service's container, from where alone its network can be reached."""
        command = ("exec", "--interactive", self._prefix + service, "python", "-", *arguments)
        done = self._call(*command, stdin=source.read_text("utf-8"))
        assert done.returncode == 0, f"{done.stderr}\n{self.log(service)}"
        return done.stdout

    def healthy(self, service: str) -> bool:
        """Run the health check of a service, Compose's or else the image's, in its container."""
        facts = json.loads(self._check("inspect", self._image))[0]
        of_image = facts.get("Healthcheck") or facts["Config"]["Healthcheck"]  # podman, docker
        test = self._services[service].get("healthcheck", {}).get("test") or of_image["Test"]
        assert test[0] == "CMD"
        return self._call("exec", self._prefix + service, *test[1:]).returncode == 0

    def wait_until(self, service: str, what: str, true: Callable[[], bool]) -> None:
        """Wait for something about a running service; fails with its log when it ends or takes too long."""
        deadline = time.monotonic() + DEADLINE
        while not true():
            state = self._check("inspect", "--format", "{{.State.Status}}", self._prefix + service).strip()
            assert state == "running", f"{service} is {state}, not {what}:\n{self.log(service)}"
            assert time.monotonic() < deadline, f"{service} is not {what}:\n{self.log(service)}"

    def log(self, service: str) -> str:
        """Return what a service has written."""
        done = self._call("logs", self._prefix + service)
        return done.stdout + done.stderr

    def events(self, service: str) -> list[dict[str, Any]]:
        """Return what a service has logged."""
        return [json.loads(line) for line in self.log(service).splitlines() if line.startswith("{")]

    def remove(self) -> None:
        """Remove every container and volume."""
        for service in reversed(self._started):
            with contextlib.suppress(AssertionError):
                self._remove(service)
        names = self._check("volume", "ls", "--quiet").split()
        for name in names:
            if name.startswith(self._prefix):
                self._check("volume", "rm", name)

    def _remove(self, service: str) -> None:
        self._call("kill", self._prefix + service)  # at once; one that has ended is no failure
        self._check("rm", "--force", "--volumes", self._prefix + service)

    def _options(self, service: str, arguments: tuple[str, ...]) -> list[str]:
        known = self._services[service]
        options = compose.run_options(known, self._prefix)
        return ["--pull=never", "--no-healthcheck", *options, self._image, *known["command"], *arguments]

    def _check(self, *arguments: str) -> str:
        done = self._call(*arguments)
        assert done.returncode == 0, f"{self._engine} {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def _call(self, *arguments: str, stdin: str = "", timeout: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._engine, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
