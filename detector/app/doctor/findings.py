"""What a check finds, and the run of checks one after another: one that fails does not hide the others.

Not here: the checks themselves (``machine``, ``cluster``, ``topics``, ``state``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from detector.errors import DetectorError, StorageError
from models.errors import ModelError

Subject = TypeVar("Subject")


class Status(StrEnum):
    """How well it is; later is worse."""

    WELL = "well"
    NOT_CHECKED = "not checked"
    WARNING = "warning"
    FAILED = "failed"


_ORDER = list(Status)


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Parameters
    ----------
    status : Status
        How well it is.
    found : str
        What is there.
    advice : str
        What to do; empty where there is nothing to do, or `found` says it.
    kind : type of Exception or None
        The class of error that a start would end with, if it failed.
    """

    status: Status
    found: str
    advice: str = ""
    kind: type[Exception] | None = None


def well(found: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Status.WELL, found)


def warning(found: str, advice: str) -> Finding:
    """Return a finding that no start fails of, and that deserves a look."""
    return Finding(Status.WARNING, found, advice)


def failed(kind: type[Exception], found: str, advice: str = "") -> Finding:
    """Return a finding that a start or the running service fails of."""
    return Finding(Status.FAILED, found, advice, kind)


def not_checked(why: str, advice: str = "") -> Finding:
    """Return what is said of something that could not be looked at."""
    return Finding(Status.NOT_CHECKED, why, advice)


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One look at a subject.

    Parameters
    ----------
    group, name : str
        What is looked at.
    look : callable
        Yields what is found; an error of the service that it raises is a failure in the error's words.
    needs : tuple of str
        Names of earlier checks without which this one cannot look.
    otherwise : str
        What a failure of this one means to those that need it, such as "Kafka does not answer".
    """

    group: str
    name: str
    look: Callable[[Subject], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    otherwise: str = ""


@dataclass(frozen=True)
class Result:
    """What a check found."""

    group: str
    name: str
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The worst of its findings."""
        return max((finding.status for finding in self.findings), key=_ORDER.index)


def examine(subject: Subject, checks: Sequence[Check[Subject]]) -> Iterator[Result]:
    """Run checks in order; yields each result as it is known.

    Parameters
    ----------
    subject : Subject
        What every check is given.
    checks : sequence of Check
        A check stands behind those that it needs.
    """
    lacking: dict[str, str] = {}
    for check in checks:
        why = next((lacking[name] for name in check.needs if name in lacking), None)
        result = Result(check.group, check.name, (not_checked(why),) if why else _look(subject, check))
        if why or result.status is Status.FAILED:
            lacking[check.name] = why or check.otherwise
        yield result


def first_failure(results: Iterable[Result]) -> type[Exception] | None:
    """Return the class of error of the first failure, None if nothing failed."""
    findings = (finding for result in results for finding in result.findings)
    return next((finding.kind for finding in findings if finding.kind is not None), None)


def _look(subject: Subject, check: Check[Subject]) -> tuple[Finding, ...]:
    found: list[Finding] = []
    try:
        found.extend(check.look(subject))
    except (DetectorError, ModelError) as error:
        found.append(failed(type(error), str(error)))
    except OSError as error:
        found.append(
            failed(
                StorageError, f"{error.filename or 'a file'}: {error.strerror}", "Check the disk and its permissions"
            )
        )
    except Exception as error:  # noqa: BLE001 - a defect of one check must not hide what the others find
        found.append(
            failed(DetectorError, f"this check itself failed ({type(error).__name__}: {error}); please report it")
        )
    return tuple(found)
