"""Which ceiling is blamed for what failed: by the last words of instances, by what is full, by counters of the wave."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from density.ceilings.judge import judge
from density.ceilings.reading import Bounds
from density.ceilings.verdict import NOBODY, likeliest, suspects
from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    HostSampled,
    InstanceChanged,
    RunStarted,
    Stopped,
    WaveSettled,
    WaveStarted,
)
from density.model import Failure, OwnLimit, Phase, Workload
from density.profile.spec import Profile, Ramp
from density.ramp.decide import Stop, bounds_of, decide
from density.report.result import result
from density.state import RunState, fold

WEB = Workload(name="web", engine="simulated")
PROFILE = Profile(name="p", workloads=(WEB,), ramp=Ramp(until="failure", max_instances=1000))
BOUNDS = bounds_of(PROFILE)
CALM = {"memory.total_bytes": 24e9, "memory.available_bytes": 20e9, "tasks.count": 300.0, "tasks.pid_max": 32768.0}
INOTIFY_FULL = {"inotify.uid0.instances_count": 95.0, "inotify.instances_limit": 96.0}
SLICE_FULL = {"slice.tasks": 189.0, "slice.tasks_limit": 200.0}
FEW_FILES = {"daemon.dockerd.fds": 90.0, "daemon.dockerd.fds_limit": 1_048_576.0}


def after_a_wave(
    values: Mapping[str, float],
    failures: Sequence[Failure],
    *,
    ready: int = 8,
    before: Mapping[str, float] = {},
    start: Mapping[str, float] = {},
    reached: Phase = Phase.STARTED,
    started_at: float = 1.1,
) -> RunState:
    """A state after one wave on a host with these values.

    Args:
        ready: launches of the wave that became ready, before the others failed.
        before: what was different when the wave began; start: when the run did.
        reached: what the failed instances had come to; started_at: when, of 1.0 to 2.5.
    """
    ends = [InstanceChanged(2.5, f"web-{n:05d}", "web", Phase.FAILED, each) for n, each in enumerate(failures, ready)]
    names = [f"web-{n:05d}" for n in range(ready + len(failures))]
    host = {**CALM, **values}
    events: list[Event] = [
        RunStarted(0.0, "r", 0.0, "0", "p", "failure", (WEB,), 1000),
        HostSampled(0.2, {**host, **before, **start}, 0.001),
        HostSampled(0.5, {**host, **before}, 0.001),
        WaveStarted(1.0, 1, {"web": len(names)}, len(names)),
        *(InstanceChanged(1.0, name, "web", Phase.REQUESTED) for name in names),
        *(InstanceChanged(1.5, name, "web", Phase.READY) for name in names[:ready]),
        *(
            InstanceChanged(started_at, name, "web", reached)
            for name in names[ready:]
            if reached is not Phase.REQUESTED
        ),
        *ends,
        HostSampled(3.5, host, 0.001),
        WaveSettled(4.0, 3.2, 1, {"web": ready}, host, {}),
    ]
    return fold(events)


def exited(*lines: str, code: int = 1) -> Failure:
    """An instance that ended by itself with these last lines."""
    return Failure("exited", f"ended with exit code {code}", lines, exit_code=code)


def odds_of(state: RunState, costs: Mapping[tuple[str, str], float] = {}) -> dict[str, float]:
    """Ceiling -> its odds, and those of nobody."""
    found = suspects(state, Bounds(), costs)
    odds = {suspect.ceiling: suspect.odds for suspect in found}
    return odds | {NOBODY[0]: 1 - sum(odds.values())}


def test_what_an_application_said_last_names_the_ceiling_that_is_full() -> None:
    """Too many open files fit inotify instances too: those stand at their limit, and no daemon's files do."""
    state = after_a_wave(INOTIFY_FULL | FEW_FILES, [exited("listening", "Too many open files")] * 3)
    odds = odds_of(state, {("inotify.instances", "uid0"): 5.0, ("files.process", "dockerd"): 6.0})
    assert odds["inotify.instances"] > 0.9
    assert odds["inotify.instances"] > 20 * odds["files.process"]


def test_the_words_of_an_application_alone_prove_nothing() -> None:
    """With every ceiling far from its limit, too many open files may be the program's own: nobody is named."""
    state = after_a_wave(FEW_FILES, [exited("Too many open files")] * 3)
    assert likeliest(suspects(state, Bounds(), {("files.process", "dockerd"): 6.0})) == NOBODY


def test_a_refused_fork_in_this_wave_names_the_slice() -> None:
    """Threads that could not start, and the slice's own counter that moved since the wave began."""
    words = exited("java.lang.OutOfMemoryError: unable to create native thread: Resource temporarily unavailable")
    state = after_a_wave(SLICE_FULL | {"slice.tasks_denied": 7.0}, [words] * 3, before={"slice.tasks_denied": 0.0})
    found = suspects(state, Bounds(), {("tasks.cgroup", ""): 20.0})
    assert (found[0].ceiling, found[0].odds > 0.9) == ("tasks.cgroup", True)
    assert "the kernel denied 7 forks in the slice" in found[0].evidence


def test_a_counter_that_moved_before_the_wave_says_nothing_of_it() -> None:
    """Counters are compared with the wave's start, not with the run's: what another wave met is no evidence."""
    now = SLICE_FULL | {"slice.tasks_denied": 7.0}
    silent = [exited()] * 3
    moved = odds_of(after_a_wave(now, silent, before={"slice.tasks_denied": 0.0}), {("tasks.cgroup", ""): 20.0})
    still = odds_of(after_a_wave(now, silent, start={"slice.tasks_denied": 0.0}), {("tasks.cgroup", ""): 20.0})
    assert moved["tasks.cgroup"] > 0.9
    assert still["tasks.cgroup"] < 0.5


def test_a_full_ceiling_is_a_suspect_when_nobody_names_it() -> None:
    """Programs that end without a word beside a slice that is full: the slice weighs more than nobody."""
    state = after_a_wave(SLICE_FULL, [exited()] * 3)
    odds = odds_of(state, {("tasks.cgroup", ""): 20.0, ("tasks.pid_max", ""): 20.0})
    assert odds["tasks.cgroup"] > odds[NOBODY[0]] > odds["tasks.pid_max"]


def test_a_typical_cost_stands_in_where_none_was_measured() -> None:
    """Early in a ramp no line is fitted: one task is left of 200, and an instance is expected to take ten."""
    early = after_a_wave({"slice.tasks": 199.0, "slice.tasks_limit": 200.0}, [exited()] * 3)
    found = suspects(early, Bounds(), {}, lambda key: {("tasks.cgroup", ""): 10.0}.get(key, 0.0))
    measured = suspects(early, Bounds(), {("tasks.cgroup", ""): 10.0})
    assert likeliest(found) == ("tasks.cgroup", "")
    assert found[0].odds == measured[0].odds
    assert not any("one more instance takes" in sentence for sentence in found[0].evidence)


def test_a_ramp_weighs_by_typical_costs_before_it_has_measured() -> None:
    """After its first wave the slice has room for one of many launches more: it is blamed, and not nobody."""
    profile = replace(PROFILE, workloads=(replace(WEB, stated_costs={"tasks": 10.0}),))
    state = after_a_wave({"slice.tasks": 199.0, "slice.tasks_limit": 200.0}, [exited()] * 3)
    stop = decide(profile, state, 2)
    assert isinstance(stop, Stop)
    assert (stop.ceiling, stop.by_failures) == ("tasks.cgroup", True)


def test_failures_without_a_word_far_from_every_limit_are_nobodys() -> None:
    """The host has room for thousands: programs that exit do so for reasons of their own."""
    state = after_a_wave({}, [exited()] * 3)
    assert odds_of(state, {("tasks.pid_max", ""): 12.0})[NOBODY[0]] > 0.9


def test_nobody_is_not_certain_while_a_ceiling_is_within_one_wave() -> None:
    """The room of a slice is less than what a wave of 40 takes, though more than what the failed ones wanted."""
    values = {"slice.tasks": 900.0, "slice.tasks_limit": 1200.0}
    state = after_a_wave(values, [exited()] * 3, ready=37)
    assert 0.5 < odds_of(state, {("tasks.cgroup", ""): 10.0})[NOBODY[0]] < 0.95


def test_a_time_that_ran_out_in_a_slice_that_is_nearly_empty_is_not_the_slices_doing() -> None:
    """An engine that stood still: every launch timed out with the slice's memory at 17.7 % of its limit."""
    values = {"slice.memory_bytes": 71e6, "slice.memory_limit_bytes": 400e6}
    late = [Failure("timeout", "not ready within 60 s")] * 8
    state = after_a_wave(values, late, ready=0, reached=Phase.REQUESTED)
    assert odds_of(state, {("memory.cgroup", ""): 30e6})["memory.cgroup"] < 0.2


def test_a_kind_that_one_ceiling_alone_causes_names_it_without_a_sensor() -> None:
    """Nothing reads how many networks the pools still have; the daemon's words are about nothing else."""
    refused = Failure("no_pool", "all predefined address pools have been fully subnetted")
    found = suspects(after_a_wave({}, [refused] * 2), Bounds(), {})
    assert (found[0].ceiling, found[0].odds > 0.9) == ("network.pools", True)


def test_a_kill_at_an_instances_own_limit_blames_no_ceiling_of_the_host() -> None:
    """The slice is full too, but the kernel counted the hits at the limit of the instance."""
    own = OwnLimit("memory.instance", 64e6, 64e6, hits=2)
    killed = Failure("oom_killed", "killed", (), 137, "SIGKILL", (own,))
    values = {"slice.memory_bytes": 999e6, "slice.memory_limit_bytes": 1e9, "memory.oom_kills": 3.0}
    state = after_a_wave(values, [killed] * 3, before={"memory.oom_kills": 0.0})
    odds = odds_of(state, {("memory.cgroup", ""): 60e6})
    assert odds["memory.instance"] > 0.9
    assert "memory.available" not in odds


def test_the_verdict_has_what_was_printed_last() -> None:
    """How many printed it, with the exit code; and the ceiling, its use and its knob."""
    state = after_a_wave(INOTIFY_FULL, [exited("listening", "Too many open files", "")] * 3, ready=2)
    state.apply(Stopped(5.0, "ceiling", "3 of 5 failed", "inotify.instances", "uid0", by_failures=True))
    verdict = judge(state, BOUNDS, {("inotify.instances", "uid0"): 5.0})
    assert verdict is not None
    assert (verdict.used, verdict.limit) == (95, 96)
    assert any('3 of 3 printed last: "Too many open files" (exit code 1)' in line for line in verdict.evidence)
    assert "fs.inotify.max_user_instances" in verdict.fix


def test_the_verdict_is_that_of_the_wave_that_ended_the_ramp() -> None:
    """What is sampled and what dies afterwards, in the hold, neither moves the verdict nor its confidence."""
    state = after_a_wave(SLICE_FULL, [exited()] * 3)
    state.apply(Stopped(5.0, "ceiling", "3 failed", "tasks.cgroup", "", by_failures=True))
    costs = {("tasks.cgroup", ""): 20.0}
    before = judge(state, BOUNDS, costs)
    state.apply(HostSampled(6.0, {**CALM, "slice.tasks": 20.0, "slice.tasks_limit": 200.0}, 0.001))
    state.apply(InstanceChanged(7.0, "web-00000", "web", Phase.LOST, Failure("oom_killed", "killed")))
    assert judge(state, BOUNDS, costs) == before


def test_what_binds_next_lies_ahead_of_what_ran() -> None:
    """A ceiling that was forecast at fewer than ran cannot be the next one."""
    state = after_a_wave({}, [], ready=19)
    behind = CeilingForecast("inotify.instances", "uid0", 95, 96, 8, 17.2, 17, 17.4)
    ahead = CeilingForecast("tasks.pid_max", "", 300, 32768, 0, 2000, 1900, 2100)
    state.apply(Forecasted(4.5, (behind, ahead)))
    state.apply(Stopped(5.0, "ceiling", "19 ran", "files.process", "dockerd"))
    verdict = judge(state, BOUNDS, {})
    assert verdict is not None
    assert [each.ceiling for each in verdict.next] == ["tasks.pid_max"]


@pytest.mark.parametrize("kind", ["refused", "no_image", "overloaded", "engine"])
def test_an_engine_that_cannot_launch_is_no_ceiling(kind: str) -> None:
    """Every launch of a wave is refused while nothing is near its limit: an error, and which engine it was."""
    stop = decide(PROFILE, after_a_wave({}, [Failure(kind, "no")] * 4, ready=0), 2)
    assert isinstance(stop, Stop)
    assert (stop.outcome, stop.ceiling, stop.engine) == ("error", "", "simulated")


def test_launches_that_ran_out_of_time_before_anything_was_started_are_the_engines() -> None:
    """An engine that stood still starts nothing, or late; what ran and never got ready is another matter."""
    late = [Failure("timeout", "not ready within 60 s")] * 4
    stuck = decide(PROFILE, after_a_wave({}, late, ready=0, reached=Phase.REQUESTED), 2)
    back = decide(PROFILE, after_a_wave({}, late, ready=0, started_at=2.4), 2)
    slow = decide(PROFILE, after_a_wave({}, late, ready=0), 2)
    found = [(stop.outcome, stop.ceiling) for stop in (stuck, back, slow) if isinstance(stop, Stop)]
    assert found == [("error", ""), ("error", ""), ("ceiling", "slo.failures")]


def test_one_refused_launch_among_many_ends_nothing() -> None:
    """An engine that could not be reached once has launched twenty others."""
    state = after_a_wave({}, [Failure("refused", "connection refused")], ready=20)
    assert not isinstance(decide(PROFILE, state, 2), Stop)


def test_a_limit_counter_that_stands_still_clears_no_full_slice() -> None:
    """Linux 6.18 left `memory.failcnt` of v1 at 0 amid kills by the limit: a full slice is as suspect without it."""
    full = {"slice.memory_bytes": 3.2e9, "slice.memory_limit_bytes": 3.2e9}
    still = {"slice.memory_limit_hits": 0.0}
    costs = {("memory.cgroup", ""): 4e7}
    without, with_it = (
        odds_of(after_a_wave(values, [exited("reboot: Power down")] * 4), costs) for values in (full, full | still)
    )
    assert with_it["memory.cgroup"] == without["memory.cgroup"] > 0.8


def test_a_container_that_needs_more_mounts_to_start_than_are_left_is_refused_by_them() -> None:
    """Each launch mounts some 20 things for a moment, though a running instance keeps 2 of the daemon's."""
    full = {"mounts.dockerd.count": 302.0, "mounts.host.count": 23.0, "mounts.limit": 323.0}
    refused = Failure("no_space", "error mounting to rootfs at /etc/hostname: no space left on device")
    state = after_a_wave(full, [refused], ready=0, reached=Phase.REQUESTED)
    found = suspects(state, BOUNDS, {("mounts.namespace", "dockerd"): 2.0})
    assert likeliest(found) == ("mounts.namespace", "dockerd")


def test_a_use_that_nobody_knows_is_not_told_as_none() -> None:
    """The last words fit the limit on files of an instance, and nobody counted them: the limit alone is told."""
    own = OwnLimit("files.instance", None, 64.0)
    state = after_a_wave({}, [replace(exited("Too many open files"), own_limits=(own,))] * 3)
    state.apply(Stopped(5.0, "ceiling", "3 of 11 failed", "files.instance", "web", by_failures=True))
    document = result(state, BOUNDS)
    assert (document["verdict"]["used"], document["verdict"]["limit"]) == (None, 64)
    assert document["workloads"]["web"]["own_limits"][0]["used"] is None
    assert any("own limit of 64" in sentence for sentence in document["verdict"]["evidence"])
    assert not any("0 of 64" in sentence for sentence in document["verdict"]["evidence"])
