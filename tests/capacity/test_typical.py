"""What an instance typically costs, before anything is measured."""

import pytest

from density.capacity.typical import typical_cost, typical_costs
from density.ceilings.catalog import BY_ID
from density.model import Workload

WORKLOADS = (
    Workload(name="none", engine="docker"),
    Workload(name="bridge", engine="docker", network="bridge"),
    Workload(name="host", engine="docker", network="host", touch_bytes=2**20),
    Workload(name="vm", engine="libvirt", memory_bytes=2**27),
    Workload(name="tap", engine="libvirt", memory_bytes=2**27, network="default"),
    Workload(name="plain", engine="native"),
    Workload(name="lxc", engine="libvirt", guest="none"),
)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_every_cost_is_one_of_a_hard_ceiling(workload: Workload) -> None:
    """Soft ceilings are not forecast, and a misspelt id would cost nothing in silence."""
    assert all(not BY_ID[key.split(" ")[0]].soft for key in typical_costs(workload))
    assert all(cost > 0 for cost in typical_costs(workload).values())


def test_a_cost_falls_on_its_own_subject() -> None:
    """Root owns a container's keys and the shim lives with containerd, in whose unit dockerd need not be."""
    workload = WORKLOADS[0]
    assert typical_cost(workload, "keys.user", "uid0") == 1
    assert typical_cost(workload, "keys.user", "uid1000") == 0
    assert typical_cost(workload, "tasks.cgroup") == 1
    assert typical_cost(workload, "tasks.cgroup", "containerd") == 12
    assert typical_cost(workload, "tasks.cgroup", "dockerd") == 0
    assert typical_cost(workload, "tasks.cgroup", "libvirtd") == 0


def test_what_only_cgroup_v2_costs_is_not_forecast_on_v1() -> None:
    """Inotify instances would otherwise end at 128 on hosts where containers take none (measured with v1)."""
    workload = WORKLOADS[0]
    assert typical_cost(workload, "inotify.instances", "uid0") == 1
    assert typical_cost(workload, "inotify.instances", "uid0", cgroup_version=1) == 0
    assert typical_cost(workload, "namespaces.user", "cgroup", cgroup_version=1) == 0
    assert typical_cost(workload, "namespaces.user", "mnt", cgroup_version=1) == 1


def test_a_network_costs_only_those_that_plug_into_it() -> None:
    """A port of whichever bridge is watched; and no network namespace for what shares the host's."""
    none, bridge, host, *_ = WORKLOADS
    assert typical_cost(bridge, "network.bridge_ports", "br-1") == 1
    assert typical_cost(none, "network.bridge_ports", "br-1") == 0
    assert typical_cost(host, "namespaces.user", "net") == 0
    assert typical_cost(none, "namespaces.user", "net") == 1


def test_memory_that_is_touched_is_on_top() -> None:
    """A workload that touches a mebibyte costs one more."""
    assert typical_cost(WORKLOADS[2], "memory.available") - typical_cost(WORKLOADS[0], "memory.available") == 2**20


def test_a_container_of_libvirts_is_no_vm() -> None:
    """It takes terminals, and no machine's memory, as a container of Docker's; QEMU's processes are none of it."""
    docker, lxc, vm = WORKLOADS[0], WORKLOADS[-1], WORKLOADS[3]
    assert [typical_cost(each, "ptys") for each in (docker, lxc, vm)] == [0, 2, 0]
    assert typical_cost(lxc, "memory.available") < typical_cost(vm, "memory.available") / 10
    assert typical_cost(lxc, "libvirt.processes") == 0
