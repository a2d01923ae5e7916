"""How launching scales with the launches in flight."""

import numpy as np
import pytest
from support.latencies import series

from density.capacity.scaling import Scaling, scaling


def launches(
    alone: float, contention: float, coherency: float, *, up_to: int = 32, noise: float = 0.2
) -> Scaling | None:
    """Fitted to a thousand launches of an engine that follows the law."""
    chance = np.random.default_rng(1)
    flying = chance.integers(1, up_to + 1, 1000).astype(float)
    law = 1 + contention * (flying - 1) + coherency * flying * (flying - 1)
    return scaling(series(np.arange(1000), alone * law * chance.lognormal(0, noise, 1000), in_flight=flying))


def test_the_law_is_found() -> None:
    """Parameters within a fifth, and the best number in flight where the law has it: sqrt((1 - 0.1) / 0.004) = 15."""
    found = launches(0.5, 0.1, 0.004)
    assert found is not None
    assert found.alone_seconds == pytest.approx(0.5, rel=0.2)
    assert found.contention == pytest.approx(0.1, rel=0.4)
    assert found.coherency == pytest.approx(0.004, rel=0.2)
    assert found.best_in_flight == pytest.approx(15, abs=2)
    assert found.most_per_second == pytest.approx(15 / 0.5 / (1 + 0.1 * 14 + 0.004 * 15 * 14), rel=0.1)


def test_a_single_server_is_all_contention() -> None:
    """Launches that only queue: the rate is the same with any number in flight, and no number was past the best."""
    found = launches(0.5, 1.0, 0.0)
    assert found is not None
    assert found.contention == pytest.approx(1, rel=0.2)
    assert found.most_per_second == pytest.approx(2, rel=0.1)


def test_where_the_law_does_not_fit_there_is_none() -> None:
    """An engine that does not feel its launches in flight, a fixed number of them, and too small a range."""
    assert launches(0.5, 0.0, 0.0) is None
    assert launches(0.5, 0.1, 0.004, up_to=1) is None
    assert launches(0.5, 0.1, 0.004, up_to=2) is None
    assert scaling(series(np.arange(0), np.arange(0.0))) is None
