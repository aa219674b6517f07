"""The demonstration, part by part: broker, history, training, application, live records, verdict.

Everything is done by the jobs that the commands call; here they meet in one process.

Not here: the data (``plant``, ``replay``), the verdict (``judge``), how it looks (``view``).
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from detector.app.demo.picture import Picture
from detector.app.demo.plant import plant_play
from detector.app.demo.play import DemoSpec, Play
from detector.app.demo.replay import replay_play
from detector.app.demo.stage import LOG, SPARK_LOG, Stage
from detector.app.demo.view import Screen
from detector.errors import ConfigError
from detector.observability import logs

LOG_LINES_ON_FAILURE: Final = 15


def run_demo(spec: DemoSpec, console: Console) -> None:
    """Run the demonstration to its end, or until Ctrl-C; main thread only.

    Parameters
    ----------
    spec : DemoSpec
        What to play.
    console : Console
        Where to show it.

    Raises
    ------
    ConfigError
        If `spec` asks for something that is not there.
    DetectorError, ModelError
        What failed; the logs are then kept, and their last lines shown.
    """
    play = _play(spec)
    screen = Screen(console, Picture(spec.picture) if spec.picture is not None else None)
    directory = _directory(spec.keep_files)
    keep = spec.keep_files is not None
    try:
        with _interruptible(screen), _logging_to(directory):
            Stage(play, screen, directory, kept=keep, keep=spec.keep).run()
    except KeyboardInterrupt:
        screen.heading("Stopped on request, before the end.")
    except BaseException:
        keep = _show_logs(screen, directory) or keep
        raise
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def _play(spec: DemoSpec) -> Play:
    if spec.picture is not None and spec.picture.suffix != ".svg":
        raise ConfigError(f"--picture {spec.picture} is drawn as SVG; name a file that ends with .svg")
    if spec.data is not None:
        return replay_play(spec.data, spec.entities, spec.speed)
    if spec.entities:
        raise ConfigError("--entity names a series of --data; give --data DIR too, or leave out --entity")
    return plant_play(spec.seed, spec.speed, time.time())


def _directory(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="tidemark-demo-"))
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        if any(wanted.iterdir()):
            raise ConfigError(f"--keep-files {wanted} is not empty; name a new directory")
    except OSError as error:
        raise ConfigError(f"--keep-files {wanted} cannot be used ({error.strerror}); name another") from error
    return wanted.absolute()


@contextlib.contextmanager
def _interruptible(screen: Screen) -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, and restore both at the end."""
    asked = threading.Event()

    def interrupt(*_: object) -> NoReturn:
        asked.set()
        screen.line("stopping in order; this takes some seconds")
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    except Exception as error:
        if asked.is_set():  # a library in C that was interrupted reports it as an error of its own
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _logging_to(directory: Path) -> Iterator[None]:
    with (directory / LOG).open("w") as stream:
        logs.configure("info", "console", stream)
        try:
            yield
        finally:
            logs.configure("warning", "console")


def _show_logs(screen: Screen, directory: Path) -> bool:
    """Show how the logs end; returns whether they say anything."""
    logs_of_run = [path for name in (SPARK_LOG, LOG) if (path := directory / name).exists() and path.stat().st_size]
    for path in logs_of_run:
        screen.heading(f"{path} ends with:")
        for line in path.read_text(errors="replace").splitlines()[-LOG_LINES_ON_FAILURE:]:
            screen.line(line)
    return bool(logs_of_run)
