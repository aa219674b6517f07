from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from detector import failpoints

PROGRAM = """
from detector.failpoints import reach
reach("committed")
print("before", flush=True)
input()
reach("batch planned")
reach("committed")
print("after", flush=True)
"""


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_without_the_environment_no_place_holds_the_process(tmp_path: Path) -> None:
    (tmp_path / failpoints.ARMED).touch()
    with start({}) as process:
        assert process.communicate("\n", timeout=30)[0].split() == ["before", "after"]
    assert not (tmp_path / failpoints.REACHED).exists()


def test_an_armed_place_holds_the_process_until_it_may_go_on(tmp_path: Path) -> None:
    with start({failpoints.ENVIRONMENT: f"committed:{tmp_path}"}) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "before\n"  # not armed yet
        (tmp_path / failpoints.ARMED).touch()
        process.stdin.write("\n")
        process.stdin.flush()
        pause = threading.Event()
        while not (tmp_path / failpoints.REACHED).exists():
            assert process.poll() is None
            pause.wait(0.001)
        (tmp_path / failpoints.RESUME).touch()
        assert process.stdout.readline() == "after\n"


def test_a_place_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with start({failpoints.ENVIRONMENT: f"comitted:{tmp_path}"}) as process:
        process.communicate("\n", timeout=30)
    assert process.returncode == 1


@pytest.mark.parametrize("name", failpoints.NAMES)
def test_every_place_is_in_the_code_once(name: str) -> None:
    code = "".join(path.read_text() for path in Path(failpoints.__file__).parent.rglob("*.py"))
    assert code.count(f'reach("{name}")') == 1
