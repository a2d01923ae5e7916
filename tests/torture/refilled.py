"""density with one stage changed: in place of the hold, what was killed is launched again, for as long as is wanted.

A ramp never replaces an instance, because one that dies is a finding. So a soak runs this program: `density run` with
all its parts (lock, engines, slice, sensors, probes, safety stop, record, metrics, teardown), where the hold is a loop
of the ramp's own steps.

    python -m torture.refilled SECONDS run PROFILE ...
"""

import sys

import anyio

from density.cli import main
from density.controller import run
from density.controller.hold import Holder
from density.events import StageEntered
from density.shares import split

REFILL_SECONDS = 10.0
"""Between two looks for what is missing."""


class Refiller(Holder):
    """A hold that launches what died."""

    seconds = 0.0

    async def hold(self) -> None:
        """Refill until the time is over; then come to rest once more."""
        profile, state = self._equipment.profile, self._bus.state
        full = split(profile.ramp.max_instances, profile.workloads, {})
        self._bus.emit(StageEntered(anyio.current_time(), "hold"))
        end = anyio.current_time() + self.seconds
        while anyio.current_time() < end and not self._safety.first:
            await anyio.sleep(REFILL_SECONDS)
            alive = state.alive_by_workload
            if missing := {name: count - alive[name] for name, count in full.items() if alive[name] < count}:
                await self._steps.grow(missing)


if __name__ == "__main__":
    Refiller.seconds = float(sys.argv[1])
    run.Holder = Refiller  # type: ignore[attr-defined]
    sys.exit(main(sys.argv[2:]))
