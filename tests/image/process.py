"""Runs in a container: prints what the service's user may do, and which of the named directories it can write to.

Not here: what that must be (``test_image``).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def writable(directory: str) -> bool:
    """Tell whether a file can be made in a directory."""
    try:
        Path(directory, "probe").write_text("")
    except OSError:
        return False
    return True


status = dict(line.split(":", 1) for line in Path("/proc/1/status").read_text().splitlines())
seen = {
    "uid": os.getuid(),
    "capabilities": int(status["CapEff"], 16),
    "no_new_privileges": int(status["NoNewPrivs"]),
    "writable": [directory for directory in sys.argv[1:] if writable(directory)],
}
sys.stdout.write(json.dumps(seen))
