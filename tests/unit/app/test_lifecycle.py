"""Starting and stopping the application, before there is a query."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from detector.app.lifecycle import Application
from detector.settings import load
from models.errors import RegistryError


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(load(None, ("source.topics=[plant]", f"model.registry={tmp_path}"), {}))


def test_what_a_stopped_start_meets_is_no_failure_and_is_said_in_one_line(application: Application) -> None:
    application.stop()

    with capture_logs() as logged:
        application.run()

    (line,) = logged
    assert (line["log_level"], line["event"]) == ("info", "stopped while it started")
    assert line["met"].startswith("RegistryError: ")
    assert "\n" not in line["met"]


def test_the_same_is_a_failure_of_a_start_that_nobody_stopped(application: Application) -> None:
    with pytest.raises(RegistryError):
        application.run()
