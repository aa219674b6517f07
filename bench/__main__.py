"""``python -m bench``: start a broker, measure, print the tables, and keep them with the raw figures.

Not here: the parts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.deployment import Bench
from bench.figures import Outcome
from bench.latency import latency
from bench.machine import facts, require_disk
from bench.running import ROOT
from bench.scale import scale
from bench.stages import stages
from bench.throughput import throughput
from bench.transactions import transactions
from detector.errors import DetectorError
from detector.kafka.broker import EmbeddedBroker

PARTS: Final[Mapping[str, Callable[[Bench], Outcome]]] = {
    "throughput": throughput,
    "stages": stages,
    "scale": scale,
    "latency": latency,
    "transactions": transactions,
}
PEERS: Final = ROOT.parent / "shared" / "bench"
FULL_GIB, QUICK_GIB = 20.0, 2.0  # Kafka's data and the checkpoints of the largest part, with room to spare
FAILED: Final = 1  # a run that was measured and was not right

err = Console(stderr=True)


def main() -> int:
    """Measure what is asked for; 0 when every check held."""
    arguments = _arguments()
    names = arguments.only or list(PARTS)
    arguments.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    def say(text: str) -> None:
        err.print(f"{time.monotonic() - started:6.0f} s  {text}", highlight=False)

    try:
        require_disk(arguments.out, QUICK_GIB if arguments.quick else FULL_GIB)
        peers = None if arguments.quick or not arguments.peers.is_dir() else arguments.peers
        # Beside the results, not in the system's temporary directory: that may be memory.
        with tempfile.TemporaryDirectory(dir=arguments.out, prefix="run-", ignore_cleanup_errors=True) as directory:
            place = Path(directory)
            with EmbeddedBroker(place / "kafka") as broker:
                bench = Bench(broker.bootstrap_servers, place, arguments.quick, peers, say)
                outcomes = {name: _measured(name, bench) for name in names}
    except DetectorError as error:
        err.print(f"[bold red]bench:[/bold red] {error}", highlight=False)
        return error.exit_code
    say("done")
    return _report(outcomes, arguments.out)


def _measured(name: str, bench: Bench) -> Outcome:
    """Run a part; where it fails, the others are still worth having."""
    try:
        return PARTS[name](bench)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is printed and the run is marked as failed
        err.print_exception()
        return Outcome((), {"failure": str(error)}, (f"the part failed: {error}",))


def _report(outcomes: Mapping[str, Outcome], out: Path) -> int:
    about = facts()
    profiles = {outcome.raw["profile"] for outcome in outcomes.values() if "profile" in outcome.raw}
    found = [f"{name}: {text}" for name, outcome in outcomes.items() for text in outcome.complaints]
    if len(profiles) > 1:
        found.append(f"the parts ran under different profiles: {', '.join(sorted(profiles))}")
    command = "make bench" + (f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else "")
    head = [f"- {name}: {value}" for name, value in about.items()]
    head += [f"- profile of all rows: `{', '.join(sorted(profiles))}`"] if profiles else []
    head += [f"- command: `{command}`"]
    head += [f"- **not as it must be: {text}**" for text in found]
    tables = [table.markdown() for outcome in outcomes.values() for table in outcome.tables]
    text = "\n".join(head) + "\n\n" + "\n".join(tables)
    raw: dict[str, Any] = {**about, "command": command, "complaints": found}
    raw |= {name: outcome.raw for name, outcome in outcomes.items()}
    (out / "table.md").write_text(text)
    (out / "raw.json").write_text(json.dumps(raw, indent=1) + "\n")
    sys.stdout.write(text)
    err.print(f"kept in {out / 'table.md'} and {out / 'raw.json'}", highlight=False)
    return FAILED if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Tidemark on this machine.")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="a part, repeatable; default: all")
    parser.add_argument("--quick", action="store_true", help="small counts and no peers: whether everything works")
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the peers' programs")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="where the results go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
