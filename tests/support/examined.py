"""Hosts as `density doctor` finds them, for tests of what it shows."""

from dataclasses import replace

from density.controller.doctor import Answer, EngineAnswer, Examination
from density.controller.doctor_runs import Booted
from density.model import EngineInfo, Workload
from density.profile.spec import Profile

MIB, GIB = 2.0**20, 2.0**30

CONTAINERS = Profile(name="containers", workloads=(Workload(name="web", engine="docker", touch_bytes=2**20),))
BRIDGED = replace(CONTAINERS, workloads=(replace(CONTAINERS.workloads[0], network="bridge"),))

VALUES = {
    "memory.total_bytes": 24 * GIB,
    "memory.available_bytes": 23 * GIB,
    "memory.overcommit_mode": 0.0,
    "tasks.count": 312.0,
    "tasks.pid_max": 32768.0,
    "tasks.threads_max": 192730.0,
    "files.open": 1283.0,
    "files.max": 9223372036854775807.0,
    "daemon.dockerd.fds": 147.0,
    "daemon.dockerd.fds_limit": 20000.0,
    "daemon.dockerd.busy_cpus": 0.04,
    "daemon.containerd.tasks": 40.0,
    "daemon.containerd.tasks_limit": 4915.0,
    "cpu.count": 2.0,
    "disk.docker.total_bytes": 250 * GIB,
    "disk.docker.available_bytes": 80 * GIB,
    "disk.docker.inodes": 16777216.0,
    "disk.docker.inodes_free": 16000000.0,
    "keys.uid0.count": 7.0,
    "keys.uid0.limit": 1000000.0,
    "namespaces.net.count": 5.0,
    "namespaces.net.limit": 96365.0,
    "namespaces.pid.count": 5.0,
    "namespaces.pid.limit": 96365.0,
    "network.bridge.docker0.ports_count": 0.0,
    "network.neighbours.v4.entries_count": 2.0,
    "network.neighbours.v4.entries_limit": 1024.0,
    "ptys.count": 1.0,
    "ptys.limit": 3072.0,
}
"""Sensors' values of a host of 24 GiB with dockerd, as read on the development host and rounded."""

HOST = Examination(
    facts={
        "cgroup_version": 2.0,
        "cpus": 2.0,
        "distribution": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0",
        "kvm": "usable",
        "memory_bytes": 24 * GIB,
        "systemd": "yes",
    },
    values=VALUES,
    unavailable={"network.conntrack": "/proc/sys/net/netfilter/nf_conntrack_count: No such file or directory"},
    engines=(
        EngineAnswer(
            name="docker",
            info=EngineInfo(
                name="docker", version="20.10.24", endpoint="unix:///run/docker.sock", daemons={"dockerd": 7}
            ),
        ),
        EngineAnswer(name="libvirt", problem="its library is missing", remedy="pip install 'density[libvirt]'"),
        EngineAnswer(name="native", info=EngineInfo(name="native", version="6.1.0", endpoint="fork")),
    ),
    payload=Answer(ok=True, words="compiled"),
    slice=Answer(ok=True, words="as a unit of systemd"),
    kernel=Answer(ok=True, words="/boot/vmlinuz-6.1.0"),
    booted=Booted("20260101-000000-0000", "tcg", "not ready under KVM"),
    runs={"20260102-000000-0000": False},
)
