"""What the settings came to: for people (redacted) and as a digest (what decides windows and scores).

Not here: reading them (``load``).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.settings.schema import Settings

REDACTED = "**********"
# Names of Spark settings whose values are secrets, after Spark's own spark.redaction.regex.
_SECRET_CONF = re.compile(r"(?i)secret|password|passphrase|token|credential|access[.]?key|jaas|sasl")
# Settings of the model section that decide scores and incidents; where the model lies does not.
_MODEL_PROFILE = {"false_alarm_rate", "fit_share", "min_windows", "close_ratio", "quiet_windows", "population", "seed"}


def effective(settings: Settings) -> dict[str, Any]:
    """Give every setting with its value, secrets replaced by asterisks.

    Parameters
    ----------
    settings : Settings
        What was loaded.

    Returns
    -------
    dict
        Nested dicts of JSON values, durations and sizes as text with units.
    """
    tree = settings.model_dump(mode="json")
    conf = tree["spark"]["conf"]
    tree["spark"]["conf"] = {key: REDACTED if _SECRET_CONF.search(key) else conf[key] for key in conf}
    return tree


def render(settings: Settings) -> str:
    """Write every setting as YAML that ``load`` reads back, secrets replaced by asterisks.

    Parameters
    ----------
    settings : Settings
        What was loaded.

    Returns
    -------
    str
        YAML in the order of the schema.
    """
    text: str = yaml.safe_dump(effective(settings), sort_keys=False, allow_unicode=True)
    return text


def config_digest(settings: Settings) -> str:
    """Hash the settings that decide which windows there are and how they score.

    These are `records`, `windows`, the profile in `model` and `state.buckets`. Addresses, secrets, topics,
    paths, ports and the sizes of batches, Spark and state partitions are left out: they may change
    between two runs that must agree.

    Parameters
    ----------
    settings : Settings
        What was loaded.

    Returns
    -------
    str
        SHA-256 in 64 hexadecimal digits over canonical JSON (keys sorted, no blanks, ASCII). Equal
        durations and sizes hash alike, however they were written.
    """
    text = json.dumps(decisive(settings), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def decisive(settings: Settings) -> dict[str, Any]:
    """Return the settings that `config_digest` hashes, as JSON values."""
    return {
        "records": settings.records.model_dump(mode="json"),
        "windows": settings.windows.model_dump(mode="json"),
        "model": settings.model.model_dump(mode="json", include=_MODEL_PROFILE),
        "state": {"buckets": settings.state.buckets},
    }


def with_decisive(settings: Settings, decided: Mapping[str, Any]) -> Settings:
    """Return settings in which those that decide windows and scores are others.

    Parameters
    ----------
    settings : Settings
        All else.
    decided : mapping
        What `decisive` returned for other settings. Its ``state`` counts for nothing: a checkpoint freezes it.
    """
    model = type(settings.model).model_validate({**settings.model.model_dump(mode="json"), **decided["model"]})
    return settings.model_copy(
        update={
            "records": type(settings.records).model_validate(decided["records"]),
            "windows": type(settings.windows).model_validate(decided["windows"]),
            "model": model,
        }
    )
