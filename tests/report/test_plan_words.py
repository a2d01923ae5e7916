"""The sentences of a plan: true, whole and short, whatever comes out."""

from dataclasses import replace
from fractions import Fraction

import pytest
from support.planning import COSTS, GIB, MIB, TASKS, measured, planned

from density.capacity.capacities import Capacity
from density.capacity.plan.plan import Outcome
from density.capacity.plan.policy import Policy
from density.capacity.plan.resources import CPU, MEMORY, Cost, name_of
from density.model import Workload
from density.report.plan.basis_words import rests_on
from density.report.plan.beyond_words import beyond
from density.report.plan.markdown import markdown
from density.report.plan.room_words import raising, room
from density.report.plan.words import amount, amount_of, binding, interval, price, proof, title

HOST = "cpus=64,memory=64GiB,pid_max=4194304"


def test_the_answer() -> None:
    """How many, of them how many to spare, and for how much."""
    assert title(planned({"web": 1})) == "1 web needs 1 host"
    assert (
        title(planned({"web": 3000, "db": 100}, HOST, spare=2)) == "3,000 web and 100 db need 4 hosts, 2 of them spare"
    )
    priced = planned({"web": 4000}, f"a:{HOST},price=99.50", f"b:{HOST},price=1200")
    assert title(priced) == "4,000 web need 2 hosts, for 199"
    assert (price(Fraction(1999, 10)), price(Fraction(12345))) == ("199.90", "12,345")


def test_the_interval() -> None:
    """Both ends, or one number where they agree; what fits nowhere at its end."""
    found = planned({"web": 10_000}, HOST)
    assert interval(found) == "4 at the upper ends of the footprints' 95% intervals, 3 at the lower ends"
    assert interval(planned({"web": 10}, HOST)) == "1 at both ends of the footprints' 95% intervals"
    wide = {"web": {**COSTS["web"], MEMORY: Cost(10 * GIB, 5 * GIB, 15 * GIB)}}
    said = interval(planned({"web": 3}, runs=(measured(costs=wide),)))
    assert said.startswith("none that fits (no host holds one web: on measured it takes 15 GiB")


def test_how_good_the_choice_is() -> None:
    """Proved, or within what share: rounded away from what would flatter it."""
    found = planned({"web": 10_000}, HOST)
    assert proof(found) == "no fewer hosts hold it: proved"
    assert proof(replace(found, best=Outcome((3,), Fraction(3), gap=0.0041))) == "within 0.5% of the fewest possible"
    priced = planned({"web": 100}, f"{HOST},price=3")
    assert proof(priced) == "no cheaper hosts hold it: proved"


def test_what_binds() -> None:
    """With whose limit, where it is not the planned host's own; and how near the nearest is, where nothing does."""
    assert binding(planned({"web": 5800}, HOST).groups[0]).startswith("memory.available binds, at 91% of its room")
    kept = binding(planned({"web": 2500}, "cpus=64,memory=640GiB").groups[0])
    assert kept == "tasks.pid_max binds, at 97% of its room, with the limit of the measured host"
    assert binding(planned({"web": 10}, HOST).groups[0]) == "nothing binds; memory.available comes to 0% of its room"
    assert binding(planned({"web": 9}, "instances=10").groups[0]) == "instances bind, at 90% of their room"
    few = planned({"web": 3}, "instances=10").groups[0]
    assert binding(few) == "nothing binds; instances come to 30% of their room"


def test_what_more_fits_and_what_to_raise() -> None:
    """With the knob's own text, and what it saves."""
    found = planned({"web": 10_000}, "cpus=640,memory=128GiB")
    assert room(found) == "288 web more"
    assert room(planned({"web": 100}, HOST)) == "3,074 web more (2,785 to 3,427)"
    both = planned({"web": 100, "db": 10}, "cpus=64,instances=130", spare=1)
    assert room(both) == "20 web more or 20 db more, with the spare still spare"
    assert next(iter(raising(found))) == (
        "tasks.pid_max: without it 2 hosts would do, and then memory.available binds; sysctl -w kernel.pid_max=4194304"
    )
    full = planned({"web": 3174}, HOST, spare=1)
    assert room(full) == (
        "nothing more fits beside the demand, if the spare is to stay one "
        "(353 web would at the lower ends of the footprints' intervals)"
    )
    assert room(planned({"web": 30}, "instances=30")) == "nothing more fits beside the demand"
    assert list(raising(full)) == []


def test_what_raising_saves_without_prices_and_with_none() -> None:
    """Hosts for nothing are saved too; what saves nothing alone, and what saves nothing with those above it."""
    free = planned({"web": 10_000}, "cpus=640,memory=128GiB,price=0")
    assert next(iter(raising(free))).startswith("tasks.pid_max: without it 2 for 0 would do, and then")
    first, second = (replace(step, hosts=free.best.hosts) for step in (free.raises[0], free.raises[0]))
    alone, together = raising(replace(free, raises=(first, second)))
    assert alone.startswith("tasks.pid_max: alone it saves no host; ")
    assert together.startswith("tasks.pid_max: with those above it, it saves nothing yet; ")


def test_amounts() -> None:
    """Short, in the resource's unit; the kernel's `no limit` as a word."""
    assert amount(9.2e18, ("files.file_max", "")) == "unlimited"
    assert amount(3e9, ("files.file_max", "")) == "3,000M"
    assert amount_of(32768, TASKS) == "32,768 tasks"
    assert amount_of(24 * GIB, MEMORY) == "24 GiB"
    assert amount_of(0.25, CPU) == "0.25 CPUs"


def test_what_is_not_as_it_was_measured() -> None:
    """Each in a sentence with its factor."""
    run = measured(slo=60, missed=("slo.ready", "slo.probe"), accelerators={"db": "tcg"}, points=2)
    said = list(beyond(planned({"web": 280, "db": 20}, "cpus=64,memory=320GiB", runs=(run,))))
    assert said == [
        "320 GiB of memory are 20 times the memory of the measured host (16 GiB)",
        "64 CPUs are 16 times the CPUs of the measured host (4 CPUs)",
        "300 instances on a host are 4.3 times as many as ran at once (70)",
        "280 web on a host are 5.6 times as many as ran at once (50)",
        (
            "no more than 60 kept every objective in run 20260101-000000-0000, where slo.ready and slo.probe were "
            "missed beyond that; 300 on a host are 5 times as many, and whether they keep them was not measured"
        ),
        "with 2,259 web more, 2,539 of it on a host are 51 times as many as ran at once (50)",
        "with 464 db more, 484 of it on a host are 24 times as many as ran at once (20)",
        "run 20260101-000000-0000 came to rest only 2 times: too few for its intervals to mean anything",
        "db ran emulated (tcg): with KVM they take less CPU, and other memory",
    ]


def test_an_objective_that_no_count_kept() -> None:
    """Is no factor of nothing."""
    run = replace(measured(missed=("slo.ready",)), slo=Capacity(0, "observed", 0, 0))
    (said,) = beyond(planned({"web": 10}, "instances=10", runs=(run,)))
    assert said == (
        "no count kept every objective in run 20260101-000000-0000 (slo.ready was missed), "
        "so 10 on a host may not either"
    )


def test_a_subject_is_only_text() -> None:
    """Whatever a bridge is called, nothing of it reaches the terminal's controls."""
    assert name_of(("network.bridge_ports", "br\x1b[31m0")) == r"network.bridge_ports br\x1b[31m0"


def test_costs_that_are_not_measured_are_said() -> None:
    """Where they decide something."""
    costs = {"web": {**COSTS["web"], MEMORY: Cost(20 * MIB, 10 * MIB, 30 * MIB, measured=False)}}
    said = list(beyond(planned({"web": 3000}, HOST, runs=(measured(costs=costs),))))
    assert said[-1] == (
        "memory.available is planned by typical costs, as the run could not tell them: web 10 MiB to 30 MiB"
    )
    few = list(beyond(planned({"web": 50}, HOST, runs=(measured(costs=costs),))))
    assert few[-1] == said[-1]


def test_typical_costs_that_decide_nothing_are_not_said() -> None:
    """Of tasks: where they take little and memory is full long before; below 10 they have fractions."""
    costs = {"web": {**COSTS["web"], TASKS: Cost(1, 0.5, 1.5, measured=False)}}
    said = "tasks.pid_max is planned by typical costs, as the run could not tell them: web 0.5 to 1.5"
    assert said not in beyond(planned({"web": 50}, HOST, runs=(measured(costs=costs),)))
    assert said in beyond(planned({"web": 50}, "cpus=64,memory=64GiB,pid_max=2100", runs=(measured(costs=costs),)))
    assert said in beyond(planned({"web": 1}, "cpus=64,memory=64GiB,pid_max=2100", runs=(measured(costs=costs),)))


def test_an_objective_that_room_does_not_keep() -> None:
    """With how many more."""
    run = measured(slo=60, missed=("slo.ready",), costs={"web": COSTS["web"]}, peaks={"web": 100})
    assert list(beyond(planned({"web": 50}, "instances=80", runs=(run,)))) == [
        (
            "no more than 60 kept every objective in run 20260101-000000-0000, where slo.ready was missed beyond that; "
            "with 30 web more, 80 on a host are 1.3 times as many, and whether they keep them was not measured"
        )
    ]


def test_what_it_rests_on() -> None:
    """The runs, how busy CPUs may be, whose limits; what is overcommitted, and what nobody measured."""
    vm = Workload(name="vm", engine="libvirt", memory_bytes=2**28, cpus=8.0)
    run = measured(workloads={"vm": vm}, costs={"vm": COSTS["web"]})
    said = list(
        rests_on(planned({"vm": 30}, "cpus=64,memory=64GiB,disk=1TiB", runs=(run,), policy=Policy(cpu_busy=0.5)))
    )
    assert said == [
        "footprints of vm: run 20260101-000000-0000, on 4 CPUs and 16 GiB",
        "CPUs may be 50% busy",
        "each host itself uses, and keeps as reserve, what the measured one did",
        "disk.space of host-1 cannot bind: no run measured it",
        "instances are given 3.8 times the CPUs that the hosts have; --overcommit bounds it",
    ]
    like = list(rests_on(planned({"vm": 30}, runs=(run,))))
    assert "hosts are like the measured one" in like


def test_two_limits_that_nobody_measured() -> None:
    """Are several, not one."""
    said = rests_on(planned({"web": 30}, "disk=1TiB,inodes=1000000"))
    assert "disk.space and disk.inodes of host-1 cannot bind: no run measured them" in said


def test_a_run_that_has_no_end_is_said() -> None:
    """Killed or not over: with how much of it there is."""
    said = "run 20260101-000000-0000 has no end: it was cut off or still goes on, so far {} of it came to rest"
    assert said.format("8 waves") in rests_on(planned({"web": 30}, runs=(measured(over=False),)))
    assert said.format("1 wave") in rests_on(planned({"web": 30}, runs=(measured(over=False, points=1),)))
    assert not any("has no end" in sentence for sentence in rests_on(planned({"web": 30})))


@pytest.mark.parametrize("spare", [0, 1])
def test_markdown_escapes_and_its_tables_are_whole(spare: int) -> None:
    """Every row has as many cells as the heading."""
    page = markdown(planned({"web": 3000, "db": 10}, HOST, spare=spare))
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count(" |") for line in rows}) == 1
    assert "tasks.pid\\_max" in page
