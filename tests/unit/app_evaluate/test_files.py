"""The two files: their form, and that the same content is the same bytes.

Not here: what stands in them (``test_timeline``).
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from detector.app.evaluate.files import INCIDENTS, SCORES, ResultFiles
from detector.errors import StorageError

STAMPS = pa.array(["2020-01-01T00:00:00Z", "2020-01-01T00:01:00Z", "2020-01-01T00:02:00Z"])


def write(directory: Path) -> None:
    with ResultFiles(directory) as files:
        files.write("mill", STAMPS, np.array([0.0, 1 / 3, 12.5]), [(1, 2), (2, 2)])
        files.write("saw, old", STAMPS.slice(2), np.array([1e-12]), [])


def test_scores_and_incidents_are_written_with_the_timestamps_of_the_data(tmp_path: Path) -> None:
    write(tmp_path)

    assert gzip.decompress((tmp_path / SCORES).read_bytes()).decode().splitlines() == [
        "entity,timestamp,score",
        "mill,2020-01-01T00:00:00Z,0",
        "mill,2020-01-01T00:01:00Z,0.333333333",
        "mill,2020-01-01T00:02:00Z,12.5",
        '"saw, old",2020-01-01T00:02:00Z,1e-12',
    ]
    assert gzip.decompress((tmp_path / INCIDENTS).read_bytes()).decode().splitlines() == [
        "entity,start,end",
        "mill,2020-01-01T00:01:00Z,2020-01-01T00:02:00Z",
        "mill,2020-01-01T00:02:00Z,2020-01-01T00:02:00Z",
    ]


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "other")

    for name in (SCORES, INCIDENTS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_run_that_fails_leaves_the_files_of_before(tmp_path: Path) -> None:
    write(tmp_path)
    before = (tmp_path / SCORES).read_bytes()

    with pytest.raises(RuntimeError), ResultFiles(tmp_path):
        raise RuntimeError

    assert (tmp_path / SCORES).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([SCORES, INCIDENTS])


def test_a_directory_that_cannot_be_made_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="taken"), ResultFiles(tmp_path / "taken"):
        pass
