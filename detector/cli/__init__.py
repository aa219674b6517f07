"""The command line: ``tidemark COMMAND``. Commands parse their options, call one job of `detector.app`, and print.

Each file enrols its commands in ``console.app`` when it is imported; the order here is that of the help.

Not here: the jobs themselves. Spark is imported by the commands that need it, so that help is instant.
"""

from __future__ import annotations

from detector.cli import (  # noqa: F401 - enrols the commands
    audit,
    demo,
    doctor,
    evaluate,
    models,
    service,
    simulate,
    training,
)
from detector.cli.console import EXIT_CODES, app
from detector.cli.main import MODEL_EXIT_CODE, main

__all__ = ["EXIT_CODES", "MODEL_EXIT_CODE", "app", "main"]
