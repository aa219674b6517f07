"""The entry point: runs a command and turns every error into one message and its documented exit code.

Not here: the commands.
"""

from __future__ import annotations

import sys
from typing import Final

from detector.cli.console import app, err
from detector.errors import DetectorError, StorageError
from models.errors import ModelError, StoreError

MODEL_EXIT_CODE: Final = 66  # EX_NOINPUT: no usable model, or too little history to train one


def main() -> None:
    """Run the command line; every error becomes one message and its documented exit code."""
    try:
        app()
    except (DetectorError, ModelError) as error:
        _fail(str(error), exit_code_of(type(error)))
    except Exception:  # noqa: BLE001 - the last resort: whatever it is, the exit code is a documented one
        err.print_exception()
        _fail("this is a defect of Tidemark; please report it with the lines above", DetectorError.exit_code)


def exit_code_of(kind: type[Exception]) -> int:
    """Return what the process ends with after an error of a class of ours."""
    if issubclass(kind, StoreError):
        return StorageError.exit_code
    return MODEL_EXIT_CODE if issubclass(kind, ModelError) else getattr(kind, "exit_code", DetectorError.exit_code)


def _fail(message: str, code: int) -> None:
    err.print("[bold red]tidemark:[/bold red]", end=" ")
    err.print(message, markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
