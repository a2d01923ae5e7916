"""What is happening, in words: `wave 7 of ~11: launching 64 containers, 3.9/s; tasks.pid_max in 1,204`."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from density.live.bar import Glyphs
from density.live.waves import all_waves, is_going_on, to_launch
from density.live.words import STAGES, listed, to_remove
from density.model import EngineName
from density.profile.spec import Ramp
from density.state import RunState
from density.text import one_line
from density.units import format_count

NOUNS: Mapping[EngineName, tuple[str, str]] = {
    "docker": ("container", "containers"),
    "libvirt": ("VM", "VMs"),
    "native": ("process", "processes"),
    "simulated": ("instance", "instances"),
}
"""What one instance of an engine is called, and several."""
_GROWING = ("calibrate", "ramp", "search")


class Doing(NamedTuple):
    """The parts of the sentence, the ones that matter most first; those that have nothing to say are empty.

    Attributes:
        step: the stage or the wave; work: what is being done in it; rate: how fast; near: the nearest ceiling.
    """

    step: str
    work: str
    rate: str
    near: str

    def fitting(self, width: int) -> "Doing":
        """Without the rate, or without rate and ceiling, where the whole sentence is wider than this."""
        shorter = (self, self._replace(rate=""), self._replace(rate="", near=""))
        return next((doing for doing in shorter if len(str(doing)) <= width), shorter[-1])

    def __str__(self) -> str:
        return f"{self.step}{self.rest}"

    @property
    def rest(self) -> str:
        """The sentence after `step`."""
        work = ", ".join(part for part in (self.work, self.rate) if part)
        return (f": {work}" if work else "") + (f"; {self.near}" if self.near else "")


def doing(state: RunState, ramp: Ramp | None, glyphs: Glyphs) -> Doing:
    """What the run does now. `ramp` is its profile's; without it nobody knows how many waves there will be."""
    if state.stage in _GROWING and state.wave:
        rate = f"{state.launch_rate:.1f}/s" if to_launch(state) > 0 and state.launch_rate else ""
        return Doing(_wave(state, ramp, glyphs), _work(state), rate, _near(state, glyphs))
    work = ""
    if state.stage == "hold":
        work = f"{_instances(state.alive_by_workload, state)} ready"
    elif state.stage == "teardown" and state.torn_down is None:
        work = f"{format_count(to_remove(state))} to go"
    return Doing(STAGES[state.stage], work, "", "")


def _wave(state: RunState, ramp: Ramp | None, glyphs: Glyphs) -> str:
    number = f"wave {format_count(state.wave)}"
    if waves := ramp and all_waves(ramp, state):
        about = "" if state.stage == "calibrate" else glyphs.about
        number += f" of {about}{format_count(waves)}"
    match state.stage:
        case "calibrate":
            return f"Calibrating, {number}"
        case "search":
            return f"Searching, {number}"
        case _:
            return number.capitalize()


def _work(state: RunState) -> str:
    if state.stage == "search" and state.alive > state.target:
        return f"stepping back to {format_count(state.target)}"
    if not is_going_on(state):
        return "settled"
    if to_launch(state) > 0:
        return f"launching {_instances(state.wave_sizes, state)}"
    return "waiting until the host is at rest"


def _instances(sizes: Mapping[str, int], state: RunState) -> str:
    """`48 containers and 16 VMs`."""
    by_engine: dict[EngineName, int] = {}
    for name, count in sizes.items():
        engine = state.workloads[name].workload.engine
        by_engine[engine] = by_engine.get(engine, 0) + count
    named = [f"{format_count(count)} {NOUNS[engine][count != 1]}" for engine, count in by_engine.items() if count]
    return listed(named) or "none"


def _near(state: RunState, glyphs: Glyphs) -> str:
    """The nearest ceiling, and how many instances away."""
    nearest = next((ceiling for ceiling in state.forecast if math.isfinite(ceiling.count)), None)
    if nearest is None or state.outcome is not None:
        return ""
    left = format_count(max(nearest.count - state.alive, 0))
    return f"{one_line(f'{nearest.ceiling} {nearest.subject}')} in {glyphs.about}{left}"
