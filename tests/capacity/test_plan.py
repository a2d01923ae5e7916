"""Plans: intervals, limits, what binds, what more fits, what to raise, and where they go beyond what was measured."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.planning import COSTS, GIB, MIB, PORTS, TASKS, USES, measured, planned

from density.capacity.plan.basis import basis
from density.capacity.plan.hosts import parse_host
from density.capacity.plan.limits import NO_ROOM, host_type, loads
from density.capacity.plan.measured import Use
from density.capacity.plan.misfit import NoHostFits
from density.capacity.plan.policy import BUSY, Policy, busy_share
from density.capacity.plan.resources import CPU, GIVEN_CPUS, INSTANCES, MEMORY, Cost
from density.capacity.plan.room import first_full
from density.errors import UsageError
from density.model import Workload
from density.profile.spec import Objectives

DOCKERD, CONTAINERD = ("files.process", "dockerd"), ("files.process", "containerd")


def test_one_workload_by_hand() -> None:
    """64 GiB less 1 used and 1 kept hold 3,174 of 20 MiB: 10,000 need 4 hosts, and 1 more to spare."""
    assert int(62 * GIB / (20 * MIB)) == 3174
    alone = planned({"web": 10_000}, "cpus=640,memory=64GiB,pid_max=4194304")
    assert (alone.best.hosts, alone.best.gap) == ((4,), 0)
    spared = planned({"web": 10_000}, "cpus=640,memory=64GiB,pid_max=4194304", spare=1)
    assert spared.best.hosts == (5,)
    (group,) = spared.groups
    assert group.binds
    assert group.binds.key == MEMORY
    assert [each.counts for each in group.up] == [(2000,)]
    assert [each.counts for each in group.down] == [(2500,)]
    assert group.binds.up == GIB + 2000 * 20 * MIB
    assert group.binds.down == GIB + 2500 * 20 * MIB


def test_the_interval_is_carried_through() -> None:
    """Hosts at the ends of the footprints' intervals: 18 and 22 MiB."""
    found = planned({"web": 10_000}, "cpus=640,memory=64GiB,pid_max=4194304")
    fits = {size: int(62 * GIB / (size * MIB)) for size in (18, 22)}
    assert (found.low.total, found.high.total) == (-(-10_000 // fits[18]), -(-10_000 // fits[22])) == (3, 4)


def test_an_end_that_fits_nowhere_is_said() -> None:
    """Where at its upper end one instance is larger than a host, the best estimate still stands."""
    wide = {"web": {**COSTS["web"], MEMORY: Cost(10 * GIB, 5 * GIB, 15 * GIB)}}
    found = planned({"web": 3}, runs=(measured(costs=wide),))
    assert found.best.total == 3
    assert (found.high.total, found.low.total) == (0, 2)
    assert found.high.problem.startswith("no host holds one web: on measured it takes 15 GiB of memory.available")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 300), st.integers(0, 3), st.sampled_from(["8GiB", "32GiB", "100GiB"]))
def test_lower_estimate_upper_are_in_order(web: int, db: int, spare: int, memory: str) -> None:
    """Whatever the demand; and the hosts are as full as they may be at most, also after the loss."""
    found = planned({"web": web, "db": db}, f"cpus=64,memory={memory}", spare=spare)
    assert found.low.total <= found.best.total <= found.high.total
    for group in found.groups:
        for fill in group.fills:
            assert fill.up <= fill.down * (1 + 1e-9)
            assert fill.down <= (fill.limit.limit - fill.limit.reserve) * (1 + 1e-9)


def test_the_cheaper_type_is_bought() -> None:
    """A host of twice the memory for less than twice the price, and the other way round."""
    demand = {"web": 30_000}
    small = "small:cpus=1000,memory=64GiB,pid_max=4194304,price=100"
    dear = planned(demand, small, "big:cpus=1000,memory=128GiB,pid_max=4194304,price=250")
    assert dear.best.hosts == (10, 0)
    assert dear.best.price == 1000
    cheap = planned(demand, small, "big:cpus=1000,memory=128GiB,pid_max=4194304,price=150")
    # 126 GiB hold 6,451: five would need 6,000 each, and no small one is cheaper than what is left of a big one.
    assert cheap.best.hosts == (0, 5)
    assert [group.host.name for group in cheap.groups] == ["big"]


def test_limits_that_are_not_given_are_the_measured_hosts() -> None:
    """So pid_max binds on a larger host until it is given."""
    kept = planned({"web": 10_000}, "cpus=640,memory=640GiB")
    (group,) = kept.groups
    assert group.binds
    assert (group.binds.key, group.binds.limit.given, group.binds.limit.limit) == (TASKS, False, 32768)
    assert kept.best.total == -(-10_000 // int((32768 - 1600 - 300) / 12)) == 4
    assert planned({"web": 10_000}, "cpus=640,memory=640GiB,pid_max=4194304").best.total == 1


def test_a_limit_by_the_ceilings_id() -> None:
    """Of all its subjects, or of one; a subject that was not measured is an error that names those that were."""
    known = basis([measured(uses={**USES, PORTS: Use(0, 50, 1023, 0)}, costs=_bridged())], ["web"])
    for text in ("network.bridge_ports=4092", "network.bridge_ports.docker0=4092"):
        assert host_type(parse_host(text, name="h"), known, Policy()).limits[PORTS].limit == 4092
    with pytest.raises(UsageError, match=r"virbr0 was not measured; of network.bridge_ports there are .*docker0$"):
        host_type(parse_host("network.bridge_ports.virbr0=5", name="h"), known, Policy())
    # Of a ceiling that no run has read nothing is known, so it cannot bind, and that is said.
    assert host_type(parse_host("disk=2TiB", name="h"), known, Policy()).unknown == ("disk.space",)


def _bridged() -> dict[str, dict[tuple[str, str], Cost]]:
    return {"web": {**COSTS["web"], PORTS: Cost(1, 1, 1)}}


def test_a_small_disk_keeps_a_tenth() -> None:
    """As a run does: the reserve is 2 GiB, and never more than a tenth of a disk."""
    disk = ("disk.space", "docker")
    uses = {**USES, disk: Use(0.0, GIB, 5 * GIB, 0.5 * GIB)}
    known = basis([measured(uses=uses, costs={"web": {**COSTS["web"], disk: Cost(MIB, MIB, MIB)}})], ["web"])
    for size, kept in ((10, 1.0), (100, 2.0)):
        limit = host_type(parse_host(f"disk={size}GiB", name="h"), known, Policy()).limits[disk]
        assert limit.limit == size * GIB
        assert limit.reserve == pytest.approx(kept * GIB)


def test_cpus_are_filled_up_to_the_objective() -> None:
    """A person's word, else the run's objective, else 80 %."""
    known = basis([measured()], ["db"])
    asked = basis([measured(objectives=Objectives(cpu_busy_share=0.6))], ["db"])
    assert busy_share(known, Policy()) == BUSY
    assert busy_share(asked, Policy()) == 0.6
    assert busy_share(asked, Policy(cpu_busy=0.9)) == 0.9
    # 0.1 of a CPU each: 10 CPUs, 80 % of them busy, hold 80.
    host = "cpus=10,memory=640GiB,pid_max=4194304"
    assert planned({"db": 80}, host).best.total == 1
    assert planned({"db": 81}, host).best.total == 2
    assert planned({"db": 90}, host, policy=Policy(cpu_busy=0.9)).best.total == 1


def test_overcommit_is_bounded_only_when_asked() -> None:
    """Forty VMs of 2 CPUs on hosts of 4: 20 times what they have on one host, at most 4 times on five."""
    vm = Workload(name="vm", engine="libvirt", memory_bytes=2**28, cpus=2.0)
    costs = {"vm": {**COSTS["web"], CPU: Cost(0.01, 0.01, 0.01)}}
    run = measured(workloads={"vm": vm}, costs=costs)
    free = planned({"vm": 40}, runs=(run,))
    assert free.best.total == 1
    assert free.overcommit == {"cpus": 20.0, "memory": 0.625}
    bound = planned({"vm": 40}, runs=(run,), policy=Policy(overcommit_cpus=4.0))
    assert bound.best.total == 5
    assert bound.groups[0].binds
    assert bound.groups[0].binds.key == GIVEN_CPUS
    assert planned({"vm": 40}, runs=(run,), policy=Policy(overcommit_memory=0.25)).best.total == 3


def test_most_instances_of_a_host() -> None:
    """Where a person says so."""
    found = planned({"web": 500, "db": 50}, "cpus=64,memory=512GiB,instances=110")
    assert found.best.total == 5
    assert found.groups[0].binds
    assert found.groups[0].binds.key == INSTANCES


def test_what_is_nowhere_near_does_not_bind() -> None:
    """On a host that is half empty."""
    (group,) = planned({"web": 5}, "cpus=64,memory=512GiB").groups
    assert group.binds is None
    assert group.fills


def test_room_is_what_still_fits() -> None:
    """So many more do fit beside the demand without a host more, and with the spare still spare."""
    demand, host = {"web": 3000, "db": 100}, "cpus=64,memory=64GiB,pid_max=4194304"
    found = planned(demand, host, spare=1)
    for name, room in found.room.items():
        more = room.best
        assert more > 0
        assert planned({**demand, name: demand[name] + more}, host, spare=1).best.total == found.best.total
        # And little more than that.
        beyond = demand[name] + more + 2 * found.best.total
        assert planned({**demand, name: beyond}, host, spare=1).best.total > found.best.total


def test_room_has_an_interval() -> None:
    """Of 20 MiB, 18 to 22: what 62 GiB hold at each less what is in demand; none where not even that fits."""
    demand, host = 3000, "cpus=64,memory=64GiB,pid_max=4194304"
    room = planned({"web": demand}, host).room["web"]
    assert [room.least, room.best, room.most] == [0, *(int(62 * GIB / (size * MIB)) - demand for size in (20, 18))]
    few = planned({"web": 100}, host).room["web"]
    assert (few.least, few.best) == tuple(int(62 * GIB / (size * MIB)) - 100 for size in (22, 20))


def test_what_ends_the_room() -> None:
    """The resource of which the next instances take the most of what is left."""
    found = planned({"web": 10, "db": 10}, "cpus=4,memory=64GiB")
    (group,) = found.groups
    ends = {name: first_full(group, found.basis, name) for name in ("web", "db")}
    assert {name: fill and fill.key for name, fill in ends.items()} == {"web": CPU, "db": CPU}
    (large,) = planned({"web": 10}, "cpus=400,memory=64GiB").groups
    assert (fill := first_full(large, found.basis, "web"))
    assert fill.key == TASKS


def test_room_that_goes_beyond_what_was_measured_is_said() -> None:
    """How many of it then run on one host, with what ran at once; nothing where the room is small."""
    found = planned({"web": 50}, "cpus=4,memory=16GiB")
    (far,) = found.stretches
    assert (far.kind, far.workload, far.planned, far.measured) == ("room", "web", 50 + found.room["web"].best, 50)
    assert planned({"web": 50}, "cpus=4,memory=16GiB,instances=52").stretches == ()


def test_room_that_goes_beyond_what_kept_the_objectives() -> None:
    """Is said where the demand itself does not."""
    run = measured(slo=60, missed=("slo.ready",), costs={"web": COSTS["web"]}, peaks={"web": 100})
    (said,) = planned({"web": 50}, "instances=80", runs=(run,)).stretches
    assert (said.kind, said.workload, said.planned, said.measured) == ("objective", "web", 80, 60)
    (itself,) = planned({"web": 70}, "instances=80", runs=(run,)).stretches
    assert (itself.kind, itself.workload, itself.planned) == ("objective", "", 70)


def test_what_to_raise_first_and_then() -> None:
    """One ceiling after the other, each with the hosts that would be left and what would bind then."""
    found = planned({"web": 30_000}, "cpus=6400,memory=128GiB")
    first, second = found.raises[:2]
    assert (first.fill.key, first.then and first.then.key) == (TASKS, MEMORY)
    assert found.best.total == 12
    assert first.hosts == planned({"web": 30_000}, "cpus=6400,memory=128GiB,pid_max=4194304").best.hosts == (5,)
    assert second.fill.key == MEMORY
    assert second.hosts == (1,)


def test_only_what_is_named_is_raised() -> None:
    """Another daemon's limit of the same ceiling stays, and binds next: as if the first one had been given away."""
    files = {DOCKERD: Use(0, 500, 20_000, 0), CONTAINERD: Use(0, 400, 20_000, 0)}
    costs = {"web": {**COSTS["web"], DOCKERD: Cost(6, 6, 6), CONTAINERD: Cost(4, 4, 4)}}
    run = measured(uses={**USES, **files}, costs=costs)
    host = "cpus=6400,memory=1TiB,pid_max=4194304"
    first, second, *_ = planned({"web": 12_000}, host, runs=(run,)).raises
    assert (first.fill.key, first.then and first.then.key, first.hosts) == (DOCKERD, CONTAINERD, (3,))
    assert planned({"web": 12_000}, f"{host},files.process.dockerd=unlimited", runs=(run,)).best.hosts == (3,)
    assert (second.fill.key, second.hosts) == (CONTAINERD, (1,))


def test_hosts_for_nothing_are_saved_too() -> None:
    """Fewer of them are better, although the price stays."""
    free, counted = (planned({"web": 12_000}, f"cpus=640,memory=64GiB{price}") for price in (",price=0", ""))
    assert [step.hosts for step in free.raises] == [step.hosts for step in counted.raises]
    assert free.raises[0].rank < free.best.rank


def test_nothing_to_raise_where_one_host_does() -> None:
    """Fewer than one there cannot be, the spare ones aside."""
    assert planned({"web": 100}, spare=1).raises == ()


def test_one_instance_that_is_too_large() -> None:
    """What it takes, what is free and why, for each host; an exit code of its own."""
    with pytest.raises(NoHostFits) as caught:
        planned({"db": 3}, "a:cpus=4,memory=2GiB", "b:cpus=0.1,memory=64GiB")
    assert caught.value.exit_code == 3
    assert str(caught.value) == (
        "no host holds one db: on a it takes 200 MiB of memory.available, where 0 B are free "
        "(2 GiB, 1 GiB used by the host itself, 1 GiB kept as reserve); "
        "on b it takes 0.1 CPUs of cpu.busy, where 0.08 CPUs are free (0.1 CPUs, 0.02 CPUs kept as reserve)"
    )


def test_one_instance_that_is_given_too_much() -> None:
    """Is said in the words of the table."""
    vm = Workload(name="vm", engine="libvirt", memory_bytes=2**34, cpus=2.0)
    run = measured(workloads={"vm": vm}, costs={"vm": COSTS["web"]})
    with pytest.raises(NoHostFits, match="it takes 16 GiB of memory given, where 8 GiB are free"):
        planned({"vm": 1}, runs=(run,), policy=Policy(overcommit_memory=0.5))


def test_too_few_hosts_on_offer() -> None:
    """What is on offer, and what it does not hold."""
    with pytest.raises(NoHostFits, match=r"^at most 2 × old are on offer, and they do not hold 5,000 web with 1 to"):
        planned({"web": 5000}, "old:count=2", spare=1)


def test_no_room_at_all_is_no_division_by_zero() -> None:
    """A host smaller than its reserve holds nothing that takes any of it."""
    known = basis([measured()], ["web"])
    tiny = host_type(parse_host("memory=1GiB", name="h"), known, Policy())
    assert loads(tiny, known, ["web"], "best").max() == NO_ROOM


def test_where_it_goes_beyond_what_was_measured() -> None:
    """By how much: memory and CPUs of the host, instances on it, each workload, and the use of what binds."""
    found = planned({"web": 9000, "db": 90}, "cpus=64,memory=128GiB,pid_max=4194304")
    by_kind = {(each.kind, each.key[0] or each.workload): each for each in found.stretches}
    (group,) = found.groups
    assert by_kind["limit", MEMORY[0]].times == 128 / 16
    assert by_kind["limit", CPU[0]].times == 64 / 4
    assert by_kind["instances", ""].planned == group.most_together
    assert by_kind["instances", ""].measured == 70
    assert by_kind["workload", "web"].planned == group.most(0)
    assert by_kind["workload", "web"].measured == 50
    assert group.binds
    assert by_kind["use", group.binds.key[0]].measured == USES[group.binds.key].highest


@pytest.mark.parametrize("key", ["cpus", "memory", "pid_max"])
def test_no_limit_is_no_extrapolation(key: str) -> None:
    """It is not so many times the measured host's."""
    found = planned({"web": 9000, "db": 90}, f"{key}=unlimited")
    assert not any(each.kind == "limit" for each in found.stretches)
    assert all(math.isfinite(each.planned) for each in found.stretches)


def test_what_was_measured_is_no_extrapolation() -> None:
    """As many as ran, on the same host, with no room for more."""
    assert planned({"web": 50, "db": 20}, "instances=70").stretches == ()


def test_more_than_kept_every_objective_is_said() -> None:
    """Even a little more: an objective is no straight line."""
    run = measured(slo=60, missed=("slo.ready",))
    found = planned({"web": 45, "db": 20}, "instances=65", runs=(run,))
    (stretch,) = found.stretches
    assert (stretch.kind, stretch.planned, stretch.measured, stretch.objectives) == (
        "objective",
        65,
        60,
        ("slo.ready",),
    )
    assert planned({"web": 40, "db": 20}, "instances=60", runs=(run,)).stretches == ()


def test_a_demand_of_one_run_of_two() -> None:
    """Instances of one run are not held against the objectives of another."""
    one = measured(run_id="one", costs={"web": COSTS["web"]}, slo=20, missed=("slo.probe",))
    two = measured(run_id="two", costs={"db": COSTS["db"]})
    found = planned({"web": 20, "db": 20}, "instances=40", runs=(one, replace(two, slo=one.slo)))
    assert found.stretches == ()
