"""Runs in a container: waits until the service is ready, and past a batch if one is named; prints what it serves.

Not here: what that must be (``test_image``).
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

SERVICE = "http://127.0.0.1:9108"
past = float(sys.argv[1]) if sys.argv[1:] else None
pause = threading.Event()


def get(path: str) -> tuple[int, str]:
    """Return status and body, 0 for a service that is not there."""
    try:
        with urllib.request.urlopen(SERVICE + path, timeout=10) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except urllib.error.URLError:
        return 0, ""


def totals() -> dict[str, float]:
    """Return every metric, summed over its labels."""
    found: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(get("/metrics")[1]):
        for sample in family.samples:
            found[sample.name] += sample.value
    return found


deadline = time.monotonic() + 100
while get("/readyz")[0] != 200 or (past is not None and not totals()["tidemark_last_committed_batch_id"] > past):
    if time.monotonic() > deadline:
        sys.exit(f"not ready in time: {get('/readyz')}, {totals()}")
    pause.wait(0.2)  # leaves the cores to the service
sys.stdout.write(json.dumps({"livez": get("/livez")[0], "readyz": get("/readyz")[0], "metrics": totals()}))
