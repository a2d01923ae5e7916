"""How sure a verdict is."""

import math

from density.ceilings.judge import judge
from density.ceilings.reading import Bounds
from density.events import CeilingForecast, Forecasted, Stopped
from density.state import fold


def test_a_ceiling_whose_count_cannot_be_told_is_not_named_with_certainty() -> None:
    """Others that surely lie nearer speak against it; its odds are a number all the same."""
    unknown = CeilingForecast("files.file_max", "", 2846, 4747, 1000, math.inf, math.inf, math.inf)
    near = CeilingForecast("tasks.pid_max", "", 667, 32768, 1600, 3338, 3200, 3500)
    stopped = Stopped(2.0, "ceiling", "the next instance would not fit", "files.file_max")
    verdict = judge(fold([Forecasted(1.0, (near, unknown)), stopped]), Bounds(), {})
    assert verdict is not None
    assert verdict.confidence == 0
