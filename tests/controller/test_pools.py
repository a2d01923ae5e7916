"""Networks without a bridge: a run counts the addresses that its own instances hold, and ends in time."""

import pytest
from support.simulation import simulate

from density.engines.simulated import SimulatedEngine
from density.events import HostSampled, InstanceChanged, WorkloadPrepared
from density.model import Phase, Prepared, Workload
from density.profile.spec import Profile, Ramp, SimulatedHost
from density.state import RunState

FREE = 13
PROFILE = Profile(
    name="plugged",
    workloads=(
        Workload(name="web", engine="simulated", network="lan"),
        Workload(name="lone", engine="simulated", share=0.25),
    ),
    ramp=Ramp(start=2, factor=1.5, settle_seconds=2, hold_seconds=5, max_instances=500),
    simulated=SimulatedHost(memory_bytes=64 * 2**30, launch_seconds=0.3),
)


async def prepared(_: SimulatedEngine, workload: Workload) -> Prepared:
    """As of a macvlan network of /28, which only one of the workloads uses."""
    return Prepared(pools={"lan": FREE} if workload.network == "lan" else {})


def test_a_network_without_a_bridge_is_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its addresses end the ramp before a launch fails for want of one, and the verdict names the network."""
    monkeypatch.setattr(SimulatedEngine, "prepare", prepared)
    run = simulate(PROFILE)
    assert run.state.outcome is not None
    assert (run.state.outcome.ceiling, run.state.outcome.subject) == ("network.addresses", "lan")
    assert [event.pools for event in run.events if isinstance(event, WorkloadPrepared)] == [{"lan": FREE}, {}]
    used = [event.values["network.pool.lan.instances_count"] for event in run.events if isinstance(event, HostSampled)]
    assert FREE - 3 <= max(used) <= FREE
    assert used[0] == 0.0
    assert run.state.counts["web"][Phase.FAILED] == 0
    assert run.state.values()["network.pool.lan.addresses_count"] == FREE


def test_what_is_only_created_has_no_address() -> None:
    """One more than there are addresses fails at its start, and is never counted: 13 of 13, not 14."""
    events = simulate(PROFILE).events
    state = RunState()
    state.apply(events[0])
    state.apply(WorkloadPrepared(0.0, "web", "", {}, 0.0, {"lan": FREE}))
    for number in range(FREE + 1):
        name = f"web-{number:05}"
        last = Phase.STARTED if number < FREE else Phase.CREATED
        for phase in (Phase.REQUESTED, Phase.CREATED, last):
            state.apply(InstanceChanged(1.0, name, "web", phase))
    assert state.pool_values()["network.pool.lan.instances_count"] == FREE
