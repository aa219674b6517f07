"""The run of checks: their order, what a failure hides and what not, and what errors become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from detector.app.doctor.examination import CHECKS
from detector.app.doctor.findings import (
    Check,
    Finding,
    Result,
    Status,
    examine,
    failed,
    first_failure,
    warning,
    well,
)
from detector.errors import ContractError, DetectorError, StorageError, TransientError
from models.errors import RegistryError


def check(name: str, look: Callable[[Any], Any] = lambda _: [well("fine")], *needs: str) -> Check[Any]:
    return Check("group", name, look, needs, f"{name} is broken")


def breaks(error: Exception) -> Callable[[Any], Iterator[Finding]]:
    def look(_: Any) -> Iterator[Finding]:
        yield well("found before")
        raise error

    return look


def run(*checks: Check[Any]) -> dict[str, Result]:
    return {result.name: result for result in examine(None, checks)}


def test_a_check_that_fails_does_not_hide_those_that_do_not_need_it() -> None:
    found = run(check("one", breaks(ContractError("wrong"))), check("two"))

    assert [found[name].status for name in ("one", "two")] == [Status.FAILED, Status.WELL]


def test_what_needs_a_failed_check_is_not_checked_and_says_why() -> None:
    found = run(check("one", breaks(TransientError("no answer"))), check("two", breaks(OSError()), "one"))

    assert found["two"].status is Status.NOT_CHECKED
    assert [finding.found for finding in found["two"].findings] == ["one is broken"]


def test_the_reason_is_that_of_the_first_failure_also_along_a_chain() -> None:
    found = run(
        check("one", breaks(TransientError("no answer"))), check("two", breaks(OSError()), "one"),
        check("three", breaks(OSError()), "two"),
    )  # fmt: skip

    assert found["three"].findings[0].found == "one is broken"


def test_a_warning_hides_nothing() -> None:
    found = run(check("one", lambda _: [warning("odd", "look")]), check("two", lambda _: [well("fine")], "one"))

    assert found["two"].status is Status.WELL


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ContractError("the topic is wrong; mend it"), ContractError, "the topic is wrong; mend it"),
        (RegistryError("no model; train one"), RegistryError, "no model; train one"),
        (PermissionError(13, "Not permitted", "/data/owner.json"), StorageError, "/data/owner.json: Not permitted"),
        (KeyError("surprise"), DetectorError, "this check itself failed (KeyError: 'surprise'); please report it"),
    ],
)  # fmt: skip
def test_an_error_is_a_failure_in_its_own_words_beside_what_was_found_before(
    error: Exception, kind: type[Exception], said: str
) -> None:
    before, failure = run(check("one", breaks(error)))["one"].findings

    assert before == well("found before")
    assert (failure.status, failure.found, failure.kind) == (Status.FAILED, said, kind)


def test_the_first_failure_decides_the_exit_code() -> None:
    results = examine(
        None,
        [
            check("one", lambda _: [warning("odd", "look")]),
            check("two", lambda _: [well("fine"), failed(TransientError, "no answer")]),
            check("three", breaks(ContractError("wrong"))),
        ],
    )

    assert first_failure(results) is TransientError
    assert first_failure(examine(None, [check("one")])) is None


def test_every_check_stands_behind_what_it_needs_which_says_what_its_failure_means() -> None:
    earlier: dict[str, str] = {}
    for each in CHECKS:
        assert each.name not in earlier
        assert all(earlier.get(name) for name in each.needs), each.name
        earlier[each.name] = each.otherwise
