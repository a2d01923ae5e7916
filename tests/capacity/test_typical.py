"""What an instance typically costs, before anything is measured."""

import math

import pytest

from density.capacity.typical import expected_cost, typical_cost, typical_costs
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


def test_what_nobody_has_measured_is_declared_or_a_lower_bound() -> None:
    """A user's image: its declared memory where there is one, else at least an empty container's; tasks at least."""
    limited = Workload(name="web", engine="docker", image="shop", memory_bytes=2**31)
    free = Workload(name="web", engine="docker", image="shop")
    memory = expected_cost(limited, "memory.available")
    assert (memory.basis, memory.high) == ("stated", memory.cost)
    assert 2**31 <= memory.cost <= 2**31 + 8 * 2**20
    assert memory.low == typical_cost(limited, "memory.available")
    assert expected_cost(free, "memory.available").basis == "at least"
    assert expected_cost(free, "memory.available").high == math.inf
    assert expected_cost(limited, "tasks.pid_max").basis == "at least"
    assert expected_cost(limited, "mounts.namespace", "host").basis == "typical"
    assert expected_cost(Workload(name="web", engine="docker"), "tasks.pid_max").basis == "typical"


def test_what_a_simulated_profile_states_is_exact() -> None:
    """Each stated resource stands for all ceilings of it; what is not stated is typical."""
    stated = Workload(name="web", engine="simulated", stated_costs={"memory_bytes": 1000.0, "tasks": 7.0})
    assert expected_cost(stated, "memory.available") == (1000.0, 1000.0, 1000.0, "stated")
    assert typical_cost(stated, "tasks.cgroup") == 7
    assert expected_cost(stated, "files.file_max").basis == "typical"
