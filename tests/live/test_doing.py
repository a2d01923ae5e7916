"""What is happening, in words."""

from typing import get_args

import pytest

from density.events import Event, Forecasted, InstanceChanged, StageEntered, SteppedBack, Stopped, WaveSettled
from density.live.bar import ASCII
from density.live.doing import NOUNS, Doing, doing
from density.live.words import listed
from density.model import EngineName, Phase
from density.profile.spec import Ramp
from density.state import RunState, fold

RAMP = Ramp(start=4, calibrate=0)


def _said(state: RunState, ramp: Ramp | None = RAMP) -> str:
    return str(doing(state, ramp, ASCII))


def _ready(state: RunState, name: str, workload: str, at: float) -> None:
    state.apply(InstanceChanged(at, name, workload, Phase.REQUESTED))
    state.apply(InstanceChanged(at, name, workload, Phase.READY))


def test_a_wave_from_its_launch_to_its_rest(events: list[Event]) -> None:
    """How many of what, how fast once that is known, and how near the nearest ceiling is."""
    state = fold(events)
    assert _said(state) == "Wave 2 of ~8: launching 5 containers and 1 VM; tasks.pid_max in ~897"
    for number in range(4, 8):
        _ready(state, f"web-{number}", "web", 7.0)
    assert _said(state) == "Wave 2 of ~8: launching 5 containers and 1 VM, 2.0/s; tasks.pid_max in ~893"
    state.apply(InstanceChanged(7.0, "web-3", "web", Phase.READY))
    _ready(state, "guest-1", "guest", 8.0)
    assert _said(state) == "Wave 2 of ~8: waiting until the host is at rest; tasks.pid_max in ~891"
    state.apply(WaveSettled(12.0, 9.0, 2, {"web": 8, "guest": 1}, {}, {}))
    assert _said(state) == "Wave 2 of ~8: settled; tasks.pid_max in ~891"


def test_without_a_forecast_there_is_no_number_to_say(events: list[Event]) -> None:
    """Where no use grows, no ceiling comes nearer; where the forecast is vague, nobody knows how many waves."""
    state = fold(events)
    vague, endless = state.forecast[0], state.forecast[1]
    state.apply(Forecasted(5.5, (endless,)))
    assert _said(state, None) == "Wave 2: launching 5 containers and 1 VM"
    too_wide = type(vague)("tasks.pid_max", "", 1300, 32768, 1600, 900.0, 450.0, 1800.0)
    state.apply(Forecasted(5.5, (too_wide,)))
    assert _said(state) == "Wave 2: launching 5 containers and 1 VM; tasks.pid_max in ~897"


def test_each_stage_has_its_words(events: list[Event]) -> None:
    """From preflight to the end."""
    state = fold(events[:2])
    assert _said(state) == "Preparing engines, images and guests"
    state.apply(StageEntered(1.0, "calibrate"))
    assert _said(state) == "Calibrating each workload alone"
    state = fold([*events, StageEntered(5.0, "calibrate")])
    assert _said(state, Ramp()).startswith("Calibrating, wave 2 of 2: launching 5 containers and 1 VM")
    state = fold(
        [*events, Stopped(9.0, "ceiling", "an objective was missed", "slo.ready"), StageEntered(9.0, "search")]
    )
    assert _said(state) == "Searching, wave 2 of ~2: launching 5 containers and 1 VM"
    state.apply(SteppedBack(9.0, {"web": 2}, 1))
    assert _said(state) == "Searching, wave 2 of ~2: stepping back to 1"
    state.apply(StageEntered(10.0, "hold"))
    assert _said(state) == "Holding, to see that everything stays alive: 3 containers ready"
    state.apply(StageEntered(20.0, "teardown"))
    assert _said(state) == "Removing everything: 4 to go"
    state.apply(StageEntered(21.0, "done"))
    assert _said(state) == "Done"


SENTENCE = Doing("Wave 7 of ~11", "launching 64 containers", "3.9/s", "tasks.pid_max in ~1,204")
SHORTER = {
    200: "Wave 7 of ~11: launching 64 containers, 3.9/s; tasks.pid_max in ~1,204",
    70: "Wave 7 of ~11: launching 64 containers, 3.9/s; tasks.pid_max in ~1,204",
    69: "Wave 7 of ~11: launching 64 containers; tasks.pid_max in ~1,204",
    59: "Wave 7 of ~11: launching 64 containers",
    10: "Wave 7 of ~11: launching 64 containers",
}


@pytest.mark.parametrize(("width", "text"), SHORTER.items())
def test_a_sentence_becomes_shorter_by_whole_parts(width: int, text: str) -> None:
    """On a narrow terminal the rate goes first, then the ceiling."""
    assert str(SENTENCE.fitting(width)) == text


def test_lists_read_as_people_write_them() -> None:
    """With one and, before the last."""
    assert [listed(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_every_engine_has_a_noun_for_its_instances() -> None:
    """A new one, too: without it the live view would fail at the first launch."""
    assert set(NOUNS) == set(get_args(EngineName))
