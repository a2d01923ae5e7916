"""What a run says to a plan, and several runs together."""

import random
from dataclasses import replace

import pytest
from support.planning import GIB, MIB, TASKS, measured, quickstart
from support.recorded_runs import PROFILE, events_of
from support.simulation import simulate

from density.capacity.outlook import fit_lines
from density.capacity.plan.basis import basis
from density.capacity.plan.measured import Use, measure
from density.capacity.plan.resources import CPU, INSTANCES, MEMORY, Cost, cost
from density.errors import UsageError
from density.events import Event, HostSampled, Stopped, WaveSettled
from density.metrics.current import bounds_of_run
from density.model import Workload
from density.profile.spec import Ramp
from density.state import fold


def test_a_run_on_a_known_host_gives_its_true_costs() -> None:
    """Of memory, tasks, files and CPU, with what the host itself uses and keeps."""
    state = fold(events_of("ceiling"))
    found = measure(state, bounds_of_run(state))
    for name, truth in PROFILE.simulated.costs.items():
        costs = found.costs[name]
        assert costs[MEMORY].value == pytest.approx(truth["memory_bytes"], rel=0.02)
        assert costs[TASKS].value == pytest.approx(truth["tasks"], rel=0.02)
        assert costs["files.file_max", ""].value == pytest.approx(truth["files"], rel=0.02)
        assert costs[CPU].value == pytest.approx(truth.get("cpus", 0.0), abs=1e-3)
        assert all(cost.measured and 0 <= cost.low <= cost.value <= cost.high for cost in costs.values())
    use = found.uses[MEMORY]
    assert use.base == pytest.approx(PROFILE.simulated.used_memory_bytes, rel=0.01)
    assert (use.limit, use.reserve) == (2 * GIB, GIB / 4)
    assert use.base < use.highest < use.limit
    assert found.peak == state.peak.count
    assert not found.unsure


def test_a_run_that_was_cut_off_is_known() -> None:
    """Its record has no end."""
    events = quickstart()
    whole, cut = fold(events), fold(event for event in events if not isinstance(event, Stopped))
    assert measure(whole, bounds_of_run(whole)).over
    assert not measure(cut, bounds_of_run(cut)).over


def test_what_belongs_to_the_run_is_left_out() -> None:
    """Its slice, its tester and the disk of its record: a planned host has none of them. And a disk counts once."""
    found = measure(state := fold(quickstart()), bounds_of_run(state))
    assert {"memory.cgroup", "tasks.cgroup"}.isdisjoint(ceiling for ceiling, _ in found.uses)
    assert "tester" not in {subject for _, subject in found.uses}
    assert [key for key in found.uses if key[0] == "disk.space"] == [("disk.space", "docker")]


def test_a_real_run_of_containers_and_vms() -> None:
    """A container of 24 MiB takes some 32 MiB, 12 tasks, 6 files of dockerd; an idle VM some thousandths of a CPU."""
    found = measure(state := fold(quickstart()), bounds_of_run(state))
    assert found.peaks == {"web": 65, "vm": 9}
    assert found.accelerators == {"vm": "tcg"}
    web, vm = found.costs["web"], found.costs["vm"]
    assert 25 * MIB < web[MEMORY].value < 40 * MIB
    assert web[TASKS].low < 12 < web[TASKS].high  # a shim of 11, and the payload
    assert 11.5 < web[TASKS].value < 13
    assert 5.5 < web["files.process", "dockerd"].value < 6.5
    assert web[CPU].value < 1e-3 < vm[CPU].value < 0.01
    assert vm["files.process", "containerd"].value == 0


def test_an_objective_that_was_missed_is_known() -> None:
    """With the most that kept it."""
    found = measure(state := fold(events_of("objective")), bounds_of_run(state))
    assert found.missed == ("slo.ready",)
    assert 0 < found.slo.count < found.peak


@pytest.mark.parametrize(
    ("typical", "expected"),
    [
        (4.0, Cost(4.0, 2.0, 6.0, measured=False)),
        (0.0, Cost(0.0, 0.0, pytest.approx(9.0, abs=6), measured=True)),  # type: ignore[arg-type]
    ],
)
def test_what_the_fit_cannot_tell_is_typical(typical: float, expected: Cost) -> None:
    """Where the interval holds nothing as well as the typical cost; nothing where nothing is usual."""
    state = fold(quickstart())
    workloads = [each.workload for each in state.workloads.values()]
    fitted = fit_lines(state, workloads, bounds_of_run(state))["files.process", "libvirtd"]
    value, low, high = fitted.footprint()["vm"]
    assert low <= 0 <= high
    assert value - low > value / 2
    assert cost(fitted, "vm", typical) == expected


def test_two_runs_are_put_together() -> None:
    """Each gives the workloads that it knows; of the hosts the lowest limit and the highest base count."""
    uses = {MEMORY: Use(2 * GIB, 5 * GIB, 8 * GIB, 0.5 * GIB), TASKS: Use(100, 500, 65536, 1600)}
    one = measured(run_id="one", costs={"web": measured().costs["web"]})
    two = measured(run_id="two", costs={"db": measured().costs["db"]}, uses={**one.uses, **uses})
    known = basis([one, two], ["web", "db"])
    assert {name: run.run_id for name, run in known.sources.items()} == {"web": "one", "db": "two"}
    assert known.uses[MEMORY] == Use(2 * GIB, 6 * GIB, 8 * GIB, 1 * GIB)
    assert known.uses[TASKS] == Use(300, 2000, 32768, 1600)
    assert known.spared == ()


def test_a_workload_in_two_runs_is_taken_where_more_ran() -> None:
    """And that is said; a run that has nothing in demand is said too."""
    small, large = (
        measured(run_id="small", peaks={"web": 10, "db": 9}),
        measured(run_id="large", peaks={"web": 80, "db": 5}),
    )
    known = basis([small, large, large], ["web"])
    assert known.sources["web"] is large
    assert known.spared == ("web as in run large, where 80 were ready at once, not as in run small (10)",)
    other = measured(run_id="other", costs={"cache": measured().costs["web"]})
    assert "run other is not used: it has nothing that is in demand" in basis([large, other], ["web"]).spared


def test_one_name_is_one_workload() -> None:
    """Runs in which it is another thing cannot be put together; a share changes nothing of what it costs."""
    web = Workload(name="web", engine="docker", touch_bytes=2**20)
    one = measured(run_id="one", workloads={"web": web}, peaks={"web": 5})
    two = measured(run_id="two", workloads={"web": replace(web, share=3.0)}, peaks={"web": 6})
    assert basis([one, two], ["web"]).sources["web"] is two
    three = measured(run_id="three", workloads={"web": replace(web, touch_bytes=0, memory_bytes=1)}, peaks={"web": 6})
    with pytest.raises(
        UsageError, match=r"web is not the same in runs three and one: memory_bytes and touch_bytes differ"
    ):
        basis([one, three], ["web"])


def test_what_was_not_measured_cannot_be_planned() -> None:
    """With the nearest name, what there is, or why not."""
    with pytest.raises(UsageError, match=r"no workload 'wbe' was measured; did you mean web\?"):
        basis([measured()], ["wbe"])
    with pytest.raises(UsageError, match="no workload 'cache' was measured; measured are web and db"):
        basis([measured()], ["cache"])
    with pytest.raises(UsageError, match="web was never ready in run 20260101-000000-0000, so nothing is known of it"):
        basis([measured(peaks={"web": 0, "db": 3})], ["web"])


def test_what_only_a_plan_counts() -> None:
    """An instance is one, and what it is given is known without measuring."""
    vm = Workload(name="vm", engine="libvirt", memory_bytes=2**30, cpus=2.0)
    known = basis([measured(workloads={"vm": vm}, costs={"vm": measured().costs["db"]})], ["vm"])
    assert known.costs["vm"][INSTANCES].value == 1
    assert known.costs["vm"]["given.memory", ""].value == GIB
    assert known.costs["vm"]["given.cpus", ""].value == 2


def test_too_few_waves_are_known_to_be_too_few() -> None:
    """With as many as there are unknowns no interval is known."""
    profile = replace(PROFILE, ramp=Ramp(start=8, max_instances=8, calibrate=0, settle_seconds=1.0, hold_seconds=0.0))
    state = simulate(profile).state
    assert measure(state, bounds_of_run(state)).unsure


def test_memory_that_the_host_does_not_tell_is_that_of_the_cgroup() -> None:
    """Where other work moves the free memory about, the slice still says what one more is charged."""
    restless = random.Random(7)
    state = fold(_with_values(event, restless) for event in events_of("ceiling"))
    costs = measure(state, bounds_of_run(state)).costs
    for name, truth in PROFILE.simulated.costs.items():
        memory = costs[name][MEMORY]
        assert memory.own
        assert memory.low <= truth["memory_bytes"] <= memory.high
        assert memory.value == pytest.approx(truth["memory_bytes"], rel=0.15)


def _with_values(event: Event, restless: random.Random) -> Event:
    """As on a busy host: what the slice is charged is the free memory that went, which itself goes up and down."""
    if not isinstance(event, HostSampled | WaveSettled):
        return event
    total, free = (event.values[f"memory.{name}_bytes"] for name in ("total", "available"))
    charged = total - free - PROFILE.simulated.used_memory_bytes
    noise = restless.gauss(0, 0.6 * GIB) if isinstance(event, HostSampled) else 0.0
    return replace(
        event, values={**event.values, "slice.memory_bytes": charged, "memory.available_bytes": free + noise}
    )
