"""The host, the run's slice of it, the engines' daemons, and the tester itself."""

from collections.abc import Callable, Iterator, Mapping

from density.events import TesterMeasured
from density.metrics.table.entry import INFO, Metric, Read, Row, Seen, each, host, one
from density.state import RunState

_FACTS = ("kernel", "distribution", "cpu_model", "cgroup_version")
_MEMORY: Mapping[str, str] = {
    "anon": "memory.anon_bytes",
    "cached": "memory.cached_bytes",
    "slab": "memory.slab_bytes",
    "pagetables": "memory.pagetables_bytes",
    "kernelstack": "memory.kernelstack_bytes",
}


def _facts(seen: Seen) -> Iterator[Row]:
    if facts := seen.state.host_facts:
        yield Row(tuple(_word(facts.get(name, "")) for name in _FACTS), 1)


def _word(fact: str | float) -> str:
    return fact if isinstance(fact, str) else f"{fact:g}"


def _memory(seen: Seen) -> Iterator[Row]:
    for kind, name in _MEMORY.items():
        if name in seen.values:
            yield Row((kind,), seen.values[name])


def _engines(seen: Seen) -> Iterator[Row]:
    for name, engine in seen.state.engines.items():
        yield Row((name, engine.version, engine.endpoint), 1)


def _sample(state: RunState) -> float | None:
    return state.samples_in_wave[-1].cost_seconds if state.samples_in_wave else None


def _sensors(seen: Seen) -> Iterator[Row]:
    for name in seen.state.sensors.seconds:
        yield Row((name,), name not in seen.state.sensors.failures)


def _sensor_seconds(seen: Seen) -> Iterator[Row]:
    for name, seconds in seen.state.sensors.seconds.items():
        yield Row((name,), seconds)


def _tester(value: Callable[[TesterMeasured], float | None]) -> Read:
    """One number of the tester's own measurement."""
    return one(lambda state: value(state.tester) if state.tester else None)


# fmt: off
HOST: tuple[Metric, ...] = (
    Metric("density_host_info", "gauge", INFO, _FACTS, "The host; always 1.", _facts),
    Metric("density_host_boot_time_seconds", "gauge", "timestamp", (), "When the host booted, in UNIX seconds.",
           host("host.boot_time_seconds")),
    Metric("density_host_cpus", "gauge", "CPUs", (), "CPUs that are online.", host("cpu.count")),
    Metric("density_host_cpu_busy_ratio", "gauge", "ratio", (), "Share of all CPUs' time that was busy.",
           host("cpu.busy_ratio")),
    Metric("density_host_cpu_iowait_ratio", "gauge", "ratio", (), "Share of all CPUs' time spent waiting for disks.",
           host("cpu.iowait_ratio")),
    Metric("density_host_cpu_steal_ratio", "gauge", "ratio", (),
           "Share of all CPUs' time that this host's own hypervisor gave to others.", host("cpu.steal_ratio")),
    Metric("density_host_load1", "gauge", "tasks", (), "Load average over one minute.", host("load.one")),
    Metric("density_host_memory_available_bytes", "gauge", "bytes", (), "Memory that can still be given out.",
           host("memory.available_bytes")),
    Metric("density_host_memory_size_bytes", "gauge", "bytes", (), "Memory of the host.", host("memory.total_bytes")),
    Metric("density_host_memory_bytes", "gauge", "bytes", ("kind",),
           "Memory by what it is used for; cached can mostly be given out again.", _memory),
    Metric("density_host_swap_free_bytes", "gauge", "bytes", (), "Swap that is free.", host("memory.swap_free_bytes")),
    Metric("density_host_swap_size_bytes", "gauge", "bytes", (), "Swap of the host.", host("memory.swap_total_bytes")),
    Metric("density_host_oom_kills_total", "counter", "kills", (),
           "Processes that the kernel killed for want of memory since it booted.", host("memory.oom_kills")),
    Metric("density_host_tasks", "gauge", "tasks", (), "Processes and threads.", host("tasks.count")),
    Metric("density_host_tasks_running", "gauge", "tasks", (), "Tasks that run or want a CPU.", host("tasks.running")),
    Metric("density_host_tasks_limit", "gauge", "tasks", (), "kernel.pid_max.", host("tasks.pid_max")),
    Metric("density_host_open_files", "gauge", "files", (), "Open files, system-wide.", host("files.open")),
    Metric("density_host_open_files_limit", "gauge", "files", (), "fs.file-max.", host("files.max")),
    Metric("density_host_pressure_ratio", "gauge", "ratio", ("resource",),
           "Share of the last ten seconds in which some task waited for the resource (PSI).",
           each("pressure", "some_avg10_ratio")),
    Metric("density_host_pressure_full_ratio", "gauge", "ratio", ("resource",),
           "Share of the last ten seconds in which all tasks waited for the resource at once (PSI).",
           each("pressure", "full_avg10_ratio")),
    Metric("density_host_pressure_seconds_total", "counter", "seconds", ("resource",),
           "Time in which some task waited for the resource since the host booted (PSI).",
           each("pressure", "some_total_seconds")),
    Metric("density_host_disk_available_bytes", "gauge", "bytes", ("disk",), "Disk space that is left.",
           each("disk", "available_bytes")),
    Metric("density_host_disk_size_bytes", "gauge", "bytes", ("disk",), "Size of the file system.",
           each("disk", "total_bytes")),
    Metric("density_host_disk_inodes_free", "gauge", "inodes", ("disk",), "Inodes that are left.",
           each("disk", "inodes_free")),
    Metric("density_host_disk_inodes", "gauge", "inodes", ("disk",), "Inodes of the file system.",
           each("disk", "inodes")),
    Metric("density_host_network_devices", "gauge", "devices", (),
           "Virtual network devices, in all network namespaces.", host("network.devices_count")),
    Metric("density_host_bridge_ports", "gauge", "ports", ("device",), "Ports of a bridge that are taken.",
           each("network.bridge", "ports_count")),
    Metric("density_host_neighbours", "gauge", "entries", ("family",), "Entries of the ARP (v4) and NDP (v6) tables.",
           each("network.neighbours", "entries_count")),
    Metric("density_host_conntrack_entries", "gauge", "connections", (), "Connections that the kernel tracks.",
           host("network.conntrack.count")),
    Metric("density_host_conntrack_limit", "gauge", "connections", (), "net.netfilter.nf_conntrack_max.",
           host("network.conntrack.limit")),
    Metric("density_host_packets_dropped_total", "counter", "packets", (),
           "Packets dropped since boot because the backlog was full.", host("network.backlog.dropped_count")),
    Metric("density_host_mounts", "gauge", "mounts", ("namespace",), "Mounts in the mount namespaces of daemons.",
           each("mounts", "count")),
    Metric("density_host_memory_cgroups", "gauge", "cgroups", (), "Memory cgroups, dying ones counted.",
           host("cgroups.memory_count")),
)

SLICE: tuple[Metric, ...] = (
    Metric("density_slice_cpu_seconds_total", "counter", "seconds", (), "CPU time that the run's slice used.",
           host("slice.cpu_seconds")),
    Metric("density_slice_memory_bytes", "gauge", "bytes", (), "Memory that the run's slice uses.",
           host("slice.memory_bytes")),
    Metric("density_slice_tasks", "gauge", "tasks", (), "Tasks in the run's slice.", host("slice.tasks")),
    Metric("density_slice_tasks_denied_total", "counter", "forks", (),
           "Forks that the kernel denied because the slice was at its limit of tasks.", host("slice.tasks_denied")),
    Metric("density_slice_oom_kills_total", "counter", "kills", (),
           "Processes of the slice that the kernel killed for want of memory.", host("slice.oom_kills")),
    Metric("density_slice_pressure_ratio", "gauge", "ratio", ("resource",),
           "Share of the last ten seconds in which some task of the slice waited for the resource (PSI).",
           each("slice.pressure", "some_avg10_ratio")),
)

ENGINES: tuple[Metric, ...] = (
    Metric("density_engine_info", "gauge", INFO, ("engine", "version", "endpoint"), "The engines in use; always 1.",
           _engines),
    Metric("density_engine_cpu_seconds_total", "counter", "seconds", ("daemon",), "CPU time of an engine's daemon.",
           each("daemon", "cpu_seconds")),
    Metric("density_engine_resident_memory_bytes", "gauge", "bytes", ("daemon",), "Memory of an engine's daemon.",
           each("daemon", "rss_bytes")),
    Metric("density_engine_threads", "gauge", "threads", ("daemon",), "Threads of an engine's daemon.",
           each("daemon", "threads")),
    Metric("density_engine_open_files", "gauge", "files", ("daemon",), "Open files of an engine's daemon.",
           each("daemon", "fds")),
    Metric("density_engine_open_files_limit", "gauge", "files", ("daemon",),
           "The most files that the daemon may have open.", each("daemon", "fds_limit")),
)

TESTER: tuple[Metric, ...] = (
    Metric("density_tester_cpu_seconds_total", "counter", "seconds", (), "CPU time that density itself took.",
           _tester(lambda tester: tester.cpu_seconds)),
    Metric("density_tester_resident_memory_bytes", "gauge", "bytes", (), "Memory of density itself.",
           _tester(lambda tester: tester.rss_bytes)),
    Metric("density_tester_threads", "gauge", "threads", (), "Threads of density itself.", host("tester.threads")),
    Metric("density_tester_open_files", "gauge", "files", (), "Open files of density itself.", host("tester.fds")),
    Metric("density_tester_sample_seconds", "gauge", "seconds", (), "How long reading the host took the last time.",
           one(_sample)),
    Metric("density_tester_lag_seconds", "gauge", "seconds", (), "How late the last sample was taken.",
           _tester(lambda tester: tester.lag_seconds)),
    Metric("density_tester_lag_max_seconds", "gauge", "seconds", (), "How late the latest sample so far was taken.",
           _tester(lambda tester: tester.max_lag_seconds)),
    Metric("density_tester_missed_samples_total", "counter", "samples", (),
           "Samples that were due while an earlier one was still late.", _tester(lambda tester: tester.missed_beats)),
    Metric("density_sensor_success", "gauge", "bool", ("sensor",),
           "Whether the last sample could read this sensor; one that fails is tried again.", _sensors),
    Metric("density_sensor_duration_seconds", "gauge", "seconds", ("sensor",),
           "How long this sensor's last reading took.", _sensor_seconds),
)
# fmt: on
