"""``tidemark demo``.

Not here: what it plays and shows (``detector.app.demo``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.console import app, out, speed_option


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Replay labelled series from a directory with manifest.csv instead of made ones."),
    ] = None,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", help="With --data: which series; repeatable. Default: the first.")
    ] = None,
    speed: Annotated[
        float | None,
        speed_option("Event time over real time. Default: 200; with --data what makes the live part take 30 s."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the plant and its faults.", min=0)] = 1,
    keep_files: Annotated[
        Path | None,
        typer.Option(help="Keep model, checkpoint, logs and Kafka's data in this new directory.", metavar="DIR"),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay up after the verdict, with live data, until Ctrl-C; say what to try.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the live view and the verdict into this file (SVG).", metavar="FILE.svg")
    ] = None,
) -> None:
    """See it work: broker, history, training, live records with faults, alerts, and a table of what was found."""
    from detector.app.demo import DemoSpec, run_demo

    spec = DemoSpec(
        data=data,
        entities=tuple(entity or ()),
        speed=speed,
        seed=seed,
        keep_files=keep_files,
        keep=keep,
        picture=picture,
    )
    run_demo(spec, out)
