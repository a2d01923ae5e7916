"""What a run knows of the instances that failed at a limit of their own."""

from density.ceilings.reading import Bounds
from density.events import Event, InstanceChanged, RunStarted, WaveStarted
from density.model import Failure, OwnLimit, Phase, Workload
from density.report.result import result
from density.state import fold

MIB = 2**20


def _ended(number: int, phase: Phase, *own: OwnLimit) -> list[Event]:
    name = f"web-{number:05d}"
    requested = InstanceChanged(1.0, name, "web", Phase.REQUESTED)
    failure = Failure("oom_killed", "gone", exit_code=137, signal="SIGKILL", own_limits=own)
    return [requested, InstanceChanged(2.0, name, "web", phase, failure)]


def _events(*changes: list[Event]) -> list[Event]:
    started = RunStarted(0.0, "r1", 1.7e9, "0", "p", "safe", (Workload(name="web", engine="docker"),), 10)
    return [started, WaveStarted(1.0, 1, {"web": 4}, 4), *(event for events in changes for event in events)]


def test_those_that_met_a_limit_of_their_own_are_counted() -> None:
    """By the likeliest limit of each, failed and lost alike, with the highest use among them; others do not count."""
    first, second = OwnLimit("memory.instance", 63 * MIB, 64 * MIB, 3), OwnLimit("memory.instance", 64 * MIB, 64 * MIB)
    throttled = OwnLimit("cpu.instance", 0.5, 0.5, 900)
    state = fold(
        _events(_ended(1, Phase.FAILED, first), _ended(2, Phase.LOST, second, throttled), _ended(3, Phase.FAILED))
    )
    (tally,) = state.workloads["web"].own_limits.values()
    assert (tally.count, tally.highest) == (2, second)
    assert state.own_limits_in_wave == {("memory.instance", "web"): 2}


def test_a_new_wave_counts_anew() -> None:
    """A new wave forgets whose limits were met in the last one, the run does not."""
    met = _ended(1, Phase.FAILED, OwnLimit("tasks.instance", 40, 40, 1))
    state = fold([*_events(met), WaveStarted(5.0, 2, {"web": 4}, 8)])
    assert not state.own_limits_in_wave
    assert state.workloads["web"].own_limits["tasks.instance"].count == 1


def test_the_result_has_them_with_how_the_first_one_ended() -> None:
    """A program that reads `result.json` finds exit code, signal and limit as fields, not in a sentence."""
    own = OwnLimit("memory.instance", 64 * MIB, 64 * MIB, hits=3)
    state = fold(_events(_ended(1, Phase.FAILED, own), _ended(2, Phase.LOST, own)))
    web = result(state, Bounds())["workloads"]["web"]
    assert web["own_limits"] == [
        {"count": 2, "ceiling": "memory.instance", "used": 64 * MIB, "limit": 64 * MIB, "hits": 3}
    ]
    (failure,) = web["failures"]
    assert (failure["exit_code"], failure["signal"]) == (137, "SIGKILL")
