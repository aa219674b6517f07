"""The errors of the service, classed by the reaction each one needs.

An error message says what happened, where (topic/partition/offset, file or setting) and what to do
next. Bad *records* are never exceptions: they are rows with a reject reason.

Not here: errors of the mathematics and of artifacts (``models.errors``).
"""

from __future__ import annotations

from typing import ClassVar


class DetectorError(Exception):
    """Any failure of the service that has a defined reaction.

    Attributes
    ----------
    exit_code : int
        What the process ends with when nothing handles the error (sysexits.h where it has the case).
    """

    exit_code: ClassVar[int] = 70  # EX_SOFTWARE


class ConfigError(DetectorError):
    """A setting is wrong or missing; never retried."""

    exit_code = 78  # EX_CONFIG


class ContractError(DetectorError):
    """A topic, schema, checkpoint or marker is not what the configuration says; a person must decide."""

    exit_code = 65  # EX_DATAERR


class FencedError(DetectorError):
    """Another instance owns this deployment's identity; stop at once and never re-initialise."""

    exit_code = 64


class TransientError(DetectorError):
    """A broker or another service did not answer within the deadline; retried, then ends the process."""

    exit_code = 75  # EX_TEMPFAIL


class StorageError(DetectorError):
    """The disk below the checkpoint or the registry failed or is full."""

    exit_code = 74  # EX_IOERR


class UnavailableError(DetectorError):
    """Something that the machine must have is absent: Java, a jar that cannot be downloaded."""

    exit_code = 69  # EX_UNAVAILABLE
