"""Networks without a bridge: a run counts the addresses that its own instances hold, and ends in time."""

import pytest
from support.simulation import simulate

from density.engines.simulated import SimulatedEngine
from density.events import HostSampled, WorkloadPrepared
from density.model import Phase, Prepared, Workload
from density.profile.spec import Profile, Ramp, SimulatedHost

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
