"""Scores and incidents against labels, per entity and per data set.

Not here: how either came about (``test_entity``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.app.evaluate.outcome import Labels, Outcome, against, by_dataset, total
from detector.errors import ConfigError

LABEL = np.array([0, 1, 1, 0, 0, 1, 0, 0], bool)


def outcome(dataset: str, label: np.ndarray, score: np.ndarray, openings: tuple[int, ...] = ()) -> Outcome:
    return Outcome(dataset, 2, 1, len(label), len(openings), against(label, score, openings))


def test_a_score_that_ranks_every_labelled_timestamp_first_is_perfect():
    assert against(LABEL, LABEL.astype(float), []).auc_pr == 1.0


def test_a_constant_score_is_worth_the_share_of_labelled_timestamps():
    assert against(LABEL, np.zeros(8), []).auc_pr == pytest.approx(3 / 8)


@pytest.mark.parametrize("label", [np.zeros(4, bool), np.ones(4, bool)])
def test_where_all_or_nothing_is_labelled_no_area_is_told(label):
    assert against(label, np.arange(4.0), []).auc_pr is None


def test_an_event_is_hit_when_an_incident_opens_in_it_and_openings_elsewhere_are_counted():
    found = against(LABEL, np.zeros(8), [0, 2, 2, 4])

    assert (found.events, found.hit, found.outside) == (2, 1, 2)


def test_figures_are_summed_per_data_set_and_in_total():
    outcomes = [
        outcome("a", LABEL, LABEL.astype(float), (1,)),
        outcome("a", LABEL, np.zeros(8), (0, 5)),
        outcome("b", LABEL, np.zeros(8)),
    ]

    figures, together = by_dataset(outcomes), total(outcomes)

    assert list(figures) == ["a", "b"]
    assert figures["a"].auc_pr == pytest.approx((1 + 3 / 8) / 2)
    assert (figures["a"].series, figures["a"].sensors, figures["a"].learning) == (2, 4, 2)
    assert figures["a"].per_1000 == pytest.approx(1000 * 3 / 16)
    assert (figures["a"].events, figures["a"].hit, figures["a"].outside) == (4, 2, 1)
    assert together.auc_pr == pytest.approx((figures["a"].auc_pr + 3 / 8) / 2)
    assert (together.series, together.incidents, together.events) == (3, 3, 6)


def test_a_data_set_that_is_mostly_labelled_is_listed_and_in_no_mean():
    trap = ~LABEL
    outcomes = [outcome("a", LABEL, LABEL.astype(float)), outcome("trap", trap, np.zeros(8))]

    assert by_dataset(outcomes)["trap"].mostly_positive
    assert by_dataset(outcomes)["trap"].auc_pr == pytest.approx(5 / 8)
    assert total(outcomes).auc_pr == 1.0
    assert total(outcomes).series == 2


def test_without_labels_there_are_counts_alone():
    figures = total([Outcome("a", 2, 0, 100, 5, None)])

    assert figures.per_1000 == 50.0
    assert (figures.auc_pr, figures.events, figures.hit, figures.outside) == (None, None, None, None)


def test_labels_are_found_by_entity_and_instant_whatever_the_form_of_the_timestamp(tmp_path: Path):
    (tmp_path / "labels.csv").write_text(
        "entity,timestamp,label\nmill,2020-01-01T00:00:00Z,0\nmill,2020-01-01 00:01:00+00:00,1\nsaw,2020-01-01,1\n"
    )
    labels = Labels(tmp_path / "labels.csv")
    us = np.array([0, 60, 120]) * 1_000_000 + 1_577_836_800_000_000

    assert labels.at("mill", us).tolist() == [False, True, False]
    assert labels.at("saw", us).tolist() == [True, False, False]
    assert labels.at("press", us).tolist() == [False, False, False]


def test_labels_without_a_time_are_refused(tmp_path: Path):
    (tmp_path / "labels.csv").write_text("entity,timestamp,label\nmill,yesterday,1\n")
    with pytest.raises(ConfigError, match="yesterday"):
        Labels(tmp_path / "labels.csv")
