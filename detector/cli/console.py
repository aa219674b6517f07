"""What all commands share: the application they enrol in, its two consoles, options, and reading the settings.

Not here: the commands themselves, and what becomes of their errors (``main``).
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

if TYPE_CHECKING:
    from detector.settings import Settings

EXIT_CODES: Final = """[bold]Exit codes[/bold]

0 done or stopped on request · 2 wrong usage · 64 another instance owns this deployment · 65 a topic, checkpoint or
marker is not as it must be · 66 no usable model, or too little history · 69 Java or a jar is missing, or a port is
taken · 70 unexpected failure · 74 disk · 75 Kafka did not answer in time · 78 a setting is wrong
"""

app = typer.Typer(
    name="tidemark",
    help="Real-time anomaly detection for sensor streams: Kafka in, alerts on Kafka exactly once.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True)
app.add_typer(config_app, name="config")
UNWRAPPED: Final = 100_000  # columns; longer than any line of ours


def console(*, stderr: bool = False) -> Console:
    """Return a console that wraps lines on a terminal only: in a file or a pipe each stays whole."""
    made = Console(stderr=stderr)
    if not made.is_terminal:
        made.width = UNWRAPPED
    return made


out = console()
err = console(stderr=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings file (YAML). Environment TIDEMARK__SECTION__KEY and --set override it."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY.PATH=VALUE", help="Override one setting, e.g. windows.length=30s; repeatable."
    ),
]
FASTEST: Final = 1_000_000.0  # event time over real time; a day in 0.1 s


def speed_option(text: str) -> Any:
    """Return the option of a speed, which is a number from 1 on."""
    return typer.Option(help=text, min=1.0, max=FASTEST, callback=_number)


def _number(value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # passes every comparison with a bound
        raise typer.BadParameter("nan is not a speed; give a number from 1 on")
    return value


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def load_settings(config: Path | None, overrides: list[str] | None) -> Settings:
    """Read the settings of a command; ConfigError says what is wrong."""
    from detector.settings import load

    return load(config, overrides or ())


def jar_progress(name: str, done: int, total: int) -> None:
    """Say how far the fetching of jars is."""
    err.print(f"  {done}/{total} {name}", highlight=False)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object."""
    sys.stdout.write(json.dumps(value, default=str) + "\n")
