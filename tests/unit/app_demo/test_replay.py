from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.app.demo.replay import replay_play
from detector.errors import ConfigError
from tests.unit.app_demo.series import STEP, Entity, write_series


def _records(ticks: object) -> list[dict[str, object]]:
    return [json.loads(message.value) for tick in ticks for message in tick.messages]  # type: ignore[attr-defined]


def test_the_prefix_is_history_and_the_rest_is_live(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=300, train=200)])
    play = replay_play(tmp_path, (), None)
    history, live = list(play.history()), list(play.live())
    assert len(history) == play.history_ticks == 200
    assert history[-1].time == play.live_from - STEP
    paced = [tick for tick in live if play.live_from <= tick.time < play.live_to]
    assert len(paced) == 100
    assert {record["asset_id"] for record in _records(history)} == {"mill"}
    assert {record["sensor_id"] for record in _records(history)} == {"a", "b"}


def test_the_last_record_closes_the_windows_of_the_live_part(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=300, train=200)])
    play = replay_play(tmp_path, (), None)
    *_, closing = play.live()
    assert len(closing.messages) == 1
    assert closing.time - STEP >= play.live_to


def test_labelled_timestamps_that_follow_each_other_are_one_event_of_the_live_part(tmp_path: Path) -> None:
    labels = [*range(10, 20), *range(220, 230), *range(250, 251)]
    write_series(tmp_path, [Entity("mill", rows=300, train=200, labelled=tuple(labels))])
    play = replay_play(tmp_path, (), None)
    assert play.events is not None
    spans = [((event.start - play.live_from) / STEP, (event.end - play.live_from) / STEP) for event in play.events]
    assert spans == [(20, 30), (50, 51)]


def test_without_labels_nothing_is_said_about_events(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=300, train=200)])
    (tmp_path / "labels.csv.gz").unlink()
    play = replay_play(tmp_path, (), None)
    assert play.events is None
    assert any("labels.csv.gz" in note for note in play.notes)


def test_entities_of_different_years_go_live_at_once_and_the_viewer_is_told(tmp_path: Path) -> None:
    later = Entity("saw", rows=300, train=150, start=1_600_000_000, labelled=(160,))
    write_series(tmp_path, [Entity("mill", rows=300, train=200), later])
    play = replay_play(tmp_path, ("mill", "saw"), None)
    first = next(tick for tick in play.live() if tick.time >= play.live_from)
    assert {record["asset_id"] for record in _records([first])} == {"mill", "saw"}
    assert play.events is not None
    assert play.events[0].start == play.live_from + 10 * STEP
    assert any("mill is moved" in note for note in play.notes)


def test_a_given_speed_is_kept_and_otherwise_a_long_series_still_ends_soon(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=300, train=200)])
    assert replay_play(tmp_path, (), 100_000.0).speed == 100_000.0
    chosen = replay_play(tmp_path, (), None)
    assert (chosen.live_to - chosen.live_from) / chosen.speed <= 60


def test_an_unknown_entity_is_refused_with_names_near_it(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill-one", rows=300, train=200), Entity("saw", rows=300, train=200)])
    with pytest.raises(ConfigError, match="mill-one"):
        replay_play(tmp_path, ("mill-on",), None)


def test_a_history_that_is_too_short_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=100, train=30)])
    with pytest.raises(ConfigError, match="at least 64"):
        replay_play(tmp_path, (), None)


def test_entities_of_different_steps_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=300, train=200), Entity("saw", rows=300, train=200, step=300)])
    with pytest.raises(ConfigError, match="different steps"):
        replay_play(tmp_path, ("mill", "saw"), None)


def test_a_directory_without_manifest_is_refused_by_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"manifest\.csv does not exist"):
        replay_play(tmp_path, (), None)


def test_a_manifest_without_a_column_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("entity,path,step_seconds\nmill,mill.csv.gz,60\n")
    with pytest.raises(ConfigError, match="train_timestamps"):
        replay_play(tmp_path, (), None)


def test_a_series_that_is_named_but_absent_is_refused_by_its_path(tmp_path: Path) -> None:
    write_series(tmp_path, [Entity("mill", rows=300, train=200)])
    (tmp_path / "series" / "mill.csv.gz").unlink()
    with pytest.raises(ConfigError, match=r"series/mill\.csv\.gz"):
        replay_play(tmp_path, (), None)


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("entity,path,train_timestamps,step_seconds\nmill,mill.csv,2,60\n")
    (tmp_path / "mill.csv").write_text("timestamp,sensor_id,value\nyesterday,a,1.0\n")
    with pytest.raises(ConfigError, match="yesterday"):
        replay_play(tmp_path, (), None)
