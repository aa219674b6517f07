"""``tidemark demo`` as a user runs it: a process of its own, its output, its exit code and the topics it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detector.app.demo.next_steps import STAYS
from tests.unit.app_demo.series import Entity, write_series

TIDEMARK = Path(sys.executable).with_name("tidemark")
TIMEOUT = 240  # seconds; a run takes about one minute on an idle machine
INSTANT = r"(\d\d-\d\d )?\d\d:\d\d:\d\d"  # with the day where a table has more than one
SPAN = rf"{INSTANT}\s+{INSTANT}"  # from and to in the table


def _shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as it was shown, without the virtual environment on the path."""
    return subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)  # noqa: S602 - what is tested


def _until(demo: subprocess.Popen[str], words: str) -> str:
    """Read lines up to the one that holds the words."""
    assert demo.stdout is not None
    read = []
    for line in demo.stdout:
        read.append(line)
        if words in line:
            return "".join(read)
    raise AssertionError("".join(read))


def _interrupted(demo: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, and return what is said until the end, which must be an orderly one."""
    assert demo.stdout is not None
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    assert demo.wait(TIMEOUT) == 0, rest
    assert "Traceback" not in rest
    return rest


def _started(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [TIDEMARK, "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environ},
    )


def _command(shown: str, words: str) -> str:
    """Return the shown command that holds the words."""
    return next(line.strip() for line in shown.splitlines() if line.startswith("    ") and words in line)


def _alerts(text: str) -> Iterator[dict[str, Any]]:
    return map(json.loads, filter(None, text.splitlines()))


def test_the_demo_finds_faults_of_the_plant_stays_up_and_all_that_it_says_to_try_works(tmp_path: Path) -> None:
    kept, picture = tmp_path / "kept files", tmp_path / "demo.svg"  # a blank in a path is a usual thing
    with _started("--speed", "400", "--keep", "--keep-files", str(kept), "--picture", str(picture)) as demo:
        shown = _until(demo, STAYS)
        assert re.search(rf"level shift\s+\S+\s+{SPAN}\s+✓ yes", shown), shown
        assert re.search(rf"silence\s+\S+\s+{SPAN}\s+- not covered yet", shown), shown
        assert re.search(r"is new and has no history: it is learning", shown), shown
        assert re.search(r"dead letters\s+6 published, 6 broken", shown), shown
        assert re.search(r"lag\s+0 records", shown), shown
        assert all(character == "\n" or character.isprintable() for character in shown)

        metrics = _shell(_command(shown, "/metrics"))
        assert "tidemark_windows_scored_total" in metrics.stdout, metrics.stderr
        ready = re.search(r"http://\S+/readyz", shown)
        assert ready is not None
        assert urllib.request.urlopen(ready[0]).status == 200  # noqa: S310 - the demo's own address
        checked = _shell(_command(shown, "config check"))
        assert checked.returncode == 0, checked.stderr
        assert "window" in checked.stdout
        read = _shell(_command(shown, "confluent_kafka"))
        alerts = list(_alerts(read.stdout))
        assert len({alert["alert_id"] for alert in alerts}) == len(alerts)
        assert len(alerts) >= int((re.search(r"alerts\s+(\d+) read", shown) or [])[1])

        rest = _interrupted(demo)
    assert "before the end" not in rest
    assert str(kept) in [line.strip() for line in rest.splitlines()]
    assert (kept / "broker").is_dir()
    assert "level shift" in picture.read_text(encoding="utf-8").replace("&#160;", " ")


def test_the_demo_replays_labelled_series_of_a_directory(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=280, train=200, labelled=tuple(range(250, 260)))], jump=15.0)
    with _started("--data", str(tmp_path), "--entity", "mill", "--speed", "1000") as demo:
        output = demo.communicate(timeout=TIMEOUT)[0]
    assert demo.returncode == 0, output
    assert re.search(rf"labelled\s+mill\s+{SPAN}\s+✓ yes", output), output
    assert "1 of 1 detected" in output
    assert "mill/a is" in output


def test_ctrl_c_ends_the_demo_in_order_and_removes_what_it_wrote(tmp_path: Path) -> None:
    with _started(TMPDIR=str(tmp_path)) as demo:
        _until(demo, "Training")
        rest = _interrupted(demo)
    assert "Stopped on request" in rest
    assert not list(tmp_path.glob("tidemark-*"))
