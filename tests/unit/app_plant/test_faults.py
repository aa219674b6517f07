from __future__ import annotations

import numpy as np
import pytest

from detector.app.plant import Fault


def test_a_fault_lasts_from_its_start_to_before_its_end() -> None:
    fault = Fault("stuck", "outlet", "level", 10.0, 30.0)
    assert np.arange(0.0, 50.0, 10.0)[fault.active(np.arange(0.0, 50.0, 10.0))].tolist() == [10.0, 20.0]


def test_an_efficiency_is_lost_and_won_back_little_by_little() -> None:
    fault = Fault("broken correlation", "pump-1", None, 100.0, 500.0, 0.1)
    lost = fault.efficiency_loss(np.array([0.0, 100.0, 150.0, 200.0, 400.0, 450.0, 500.0, 600.0]))
    np.testing.assert_allclose(lost, [0.0, 0.0, 0.05, 0.1, 0.1, 0.05, 0.0, 0.0], atol=1e-12)


def test_a_fault_without_time_or_at_the_wrong_place_is_refused() -> None:
    with pytest.raises(ValueError, match="ends at"):
        Fault("stuck", "outlet", "level", 30.0, 30.0)
    with pytest.raises(ValueError, match="only a fault of the process"):
        Fault("stuck", "outlet", None, 10.0, 30.0)
    with pytest.raises(ValueError, match="only a fault of the process"):
        Fault("broken correlation", "pump-1", "power", 10.0, 30.0, 0.1)
    with pytest.raises(ValueError, match="is not a fault"):
        Fault("rust", "outlet", "level", 10.0, 30.0)  # type: ignore[arg-type]
