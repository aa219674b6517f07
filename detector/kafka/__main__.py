"""``python -m detector.kafka setup`` fetches Java and the jars; ``relock`` writes the lock of the jars anew.

Not here: the product's commands (``detector.cli``). These two must work before anything else does.
"""

from __future__ import annotations

import argparse
import sys

from detector.errors import DetectorError
from detector.kafka.jars import broker_jars, connector_jars, relock
from detector.kafka.java import ensure_java


def main() -> int:
    """Run one of the two commands; the exit code is the error's own."""
    parser = argparse.ArgumentParser(prog="python -m detector.kafka")
    parser.add_argument("command", choices=["setup", "relock"])
    command = parser.parse_args().command
    try:
        java = ensure_java(_say)
        if command == "relock":
            relock(_progress)
            return 0
        jars = [*broker_jars(_progress), *connector_jars(_progress)]
    except DetectorError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    _say(f"Java {java.version} at {java.home}; {len(jars)} jars verified in {jars[0].parent}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _progress(name: str, done: int, total: int) -> None:
    _say(f"  {done}/{total} {name}")


if __name__ == "__main__":
    sys.exit(main())
