"""The image under test is named on the command line; without a name there is nothing to pass, so it fails.

Not here: building it (`make image`). A run of all tests leaves this folder out: it must be named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.stack import Stack

HERE = Path(__file__).parent
CONSUMER, PROBE, PROCESS = HERE / "consumer.py", HERE / "probe.py", HERE / "process.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--image", help="name of the image; `make image` builds one and gives its name")
    parser.addoption("--engine", default="podman", help="podman or docker")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    named = (Path(argument.split("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(HERE) for path in named) else True


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Iterator[Stack]:
    """Containers of the image, with five hours of history: 300 windows, so that both detectors judge."""
    image = pytestconfig.getoption("image")
    assert image, "name the image to test: make image, or pytest tests/image --image NAME"
    stack = Stack(pytestconfig.getoption("engine"), image, {"TIDEMARK_HISTORY": "5h"})
    yield stack
    stack.remove()
