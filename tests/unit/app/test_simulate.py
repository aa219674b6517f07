from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.app.simulate import SimulationSpec, span
from detector.errors import ConfigError

NOW = 1_795_370_404.7


def test_at_the_speed_of_the_clock_records_are_due_at_their_event_time() -> None:
    when = span(SimulationSpec(), NOW)
    assert when.first == when.paced_from == 1_795_370_400.0
    assert when.end == math.inf
    assert when.due(when.paced_from + 1000) == when.paced_from + 1000


def test_a_history_ends_where_the_rest_begins() -> None:
    when = span(SimulationSpec(history=3 * 86_400.0), NOW)
    assert when.paced_from - when.first == 3 * 86_400
    assert NOW - when.paced_from < 10


def test_a_fast_simulation_begins_in_the_past_and_ends_with_the_clock() -> None:
    when = span(SimulationSpec(speed=60.0, length=3600.0), NOW)
    assert when.end - when.paced_from == 3600
    assert when.due(when.end) == pytest.approx(when.end)
    assert when.due(when.end) - when.due(when.paced_from) == pytest.approx(60)
    assert NOW - 10 < when.due(when.paced_from) <= NOW


def test_a_fast_simulation_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="--for"):
        span(SimulationSpec(speed=60.0), NOW)


specs = st.builds(
    SimulationSpec,
    every=st.sampled_from([0.1, 1.0, 10.0, 600.0]),
    history=st.floats(0, 1e6),
    speed=st.floats(1, 10_000),
    length=st.floats(1, 1e6),
)


@settings(deadline=None, max_examples=100)
@given(spec=specs, part=st.floats(0, 1), now=st.floats(1.7e9, 1.9e9))
def test_no_record_is_ever_due_before_its_event_time(spec: SimulationSpec, part: float, now: float) -> None:
    when = span(spec, now)
    event_time = when.paced_from + part * (when.end - when.paced_from)
    assert when.due(event_time) >= event_time - 1e-3
    assert when.first <= when.paced_from <= now
