"""The model: which one would judge, whether it is whole, fits the settings, and how old it is.

Not here: how good it is (``tidemark evaluate``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from detector.app.doctor.deployment import Deployment
from detector.app.doctor.findings import Finding, warning, well
from detector.app.doctor.wording import counted, span
from detector.settings import config_digest

OLD_SECONDS: Final = 30 * 86_400.0  # models do not adapt; the runbook's alert about old ones waits as long


def model(deployment: Deployment) -> Iterator[Finding]:
    """See whether there is a model, for these windows and buckets, with its files as they were published."""
    registry, wanted = deployment.registry, deployment.settings.model.version
    chosen = deployment.judge.model  # checked against windows and buckets
    named = chosen.version if wanted == chosen.version else f"{chosen.version} ({wanted})"
    manifest, place = chosen.manifest, deployment.settings.model.registry
    yield well(f"{named} of {place}: {counted(int(manifest.training.get('sensors', 0)), 'sensor')}")
    began = time.monotonic()
    registry.verify(chosen.version)
    shards = counted(len(manifest.shards), "shard")
    if (signer := registry.signer(chosen.version)) is not None:
        checked = "as model.trusted_keys asks for" if deployment.settings.model.trusted_keys else "not checked"
        yield well(f"signed by key {signer}, {checked}")
    yield well(f"{shards} verified in {span(time.monotonic() - began)}, made for these windows, buckets and features")
    trained = f"trained {_age(deployment, manifest.created_at)} ago"
    if (age := _seconds(deployment, manifest.created_at)) > OLD_SECONDS:
        yield warning(trained, "It does not adapt: train again (tidemark train) if the process has changed since")
    else:
        yield well(trained)
    newest = registry.versions()[-1]
    if wanted == chosen.version and newest != chosen.version and age > 0:
        yield well(f"model.version names it; the newest in the registry is {newest}")
    if manifest.training.get("config_digest") not in (None, config_digest(deployment.settings)):
        what = "trained under other records.*, windows.* or model.* than the settings have now"
        yield warning(what, "Scores may be off where it matters; set them back, or train again")


def _seconds(deployment: Deployment, created_at: str) -> float:
    return deployment.clock() - datetime.fromisoformat(created_at).timestamp()


def _age(deployment: Deployment, created_at: str) -> str:
    return span(max(0.0, _seconds(deployment, created_at)))
