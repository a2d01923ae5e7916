"""A record replayed gives the run again."""

from pathlib import Path

import anyio
import pytest
from support.hosts import random_host
from support.simulation import simulate

from density.ramp.decide import bounds_of
from density.record import RecordWriter, replay
from density.report.result import result


@pytest.mark.parametrize("seed", range(5))
def test_a_replayed_record_gives_the_same_result(seed: int, tmp_path: Path) -> None:
    """Footprint, forecast, verdict and capacities come out of run.sqlite to the last digit."""
    profile = random_host(seed).profile
    run = simulate(profile)
    path = tmp_path / "run.sqlite"

    async def record() -> None:
        async with RecordWriter(path) as writer:
            for event in run.events:
                writer.handle(event)

    anyio.run(record)
    again = replay(path)
    assert again.forecast == run.state.forecast
    assert result(again, bounds_of(profile)) == result(run.state, bounds_of(profile))
