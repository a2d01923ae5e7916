"""Let the host come to rest after a wave, and read it while it rests."""

from collections.abc import Mapping, Sequence

import anyio

from density.controller.bus import Bus
from density.controller.sampler import Sampler
from density.events import WaveSettled

MOST_SAMPLES = 5


async def settle(bus: Bus, sampler: Sampler, *, wave: int, seconds: float) -> None:
    """Wait `seconds`, reading the host about once a second, and emit the mean of what was read."""
    count = min(MOST_SAMPLES, max(1, round(seconds)))
    samples = []
    for _ in range(count):
        await anyio.sleep(seconds / count)
        samples.append(await sampler.sample())
    state = bus.state
    values = {**state.values(), **mean(samples), **state.measures()}
    bus.emit(WaveSettled(anyio.current_time(), wave, state.alive_by_workload, values, dict(state.failed_in_wave)))


def mean(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every value that all samples have."""
    common = set(samples[0]).intersection(*samples[1:])
    return {name: sum(sample[name] for sample in samples) / len(samples) for name in common}
