"""Host: what the run does to the machine, the engines' daemons, and what density itself takes."""

from grafana_foundation_sdk.builders import dashboard, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from grafana.generate import panels
from grafana.generate.about import About, Query
from grafana.generate.frame import frame
from grafana.generate.metric import gained, last, now, rate
from grafana.generate.palette import GREEN, SKY, VERMILLION

DAEMONS = ("dockerd", "containerd", "libvirtd", "virtqemud", "virtlogd")
MEMORY = ("anon", "slab", "pagetables", "kernelstack", "cached")
THIRD = (8, 8)
HALF = (12, 7)


def host() -> dashboard.Dashboard:
    """The dashboard."""
    described = (
        "What the run does to the host: CPU, memory, kernel tables, disks, network, daemons, and the tester itself."
    )
    return frame("Host", described, [_cpu(), _memory(), _tables(), _rest(), _daemons(), _tester(), _sensors()])


def _one(name: str, legend: str) -> Query:
    return Query(f"max({now(name)})", legend)


def _cpu() -> list[timeseries.Panel]:
    names = ("density_host_cpu_busy_ratio", "density_host_cpu_iowait_ratio", "density_host_cpu_steal_ratio")
    time = panels.graph(
        About("CPU time", names, THIRD),
        *map(_one, names, ("busy", "waiting for disks", "given to others")),
    ).max(1)
    names = ("density_host_load1", "density_host_tasks_running", "density_host_cpus")
    load = panels.graph(
        About("Load", names, THIRD, "Above the CPUs, tasks wait."), *map(_one, names, ("load", "running", "CPUs"))
    )
    pressure = panels.graph(
        About("Pressure", ["density_host_pressure_ratio"], THIRD),
        *(
            Query(f"max({now('density_host_pressure_ratio', resource=resource)})", legend)
            for resource, legend in (("cpu", "CPU"), ("io", "I/O"), ("memory", "memory"))
        ),
    ).max(1)
    return [time, panels.dashed(load, "CPUs"), pressure]


def _memory() -> list[Builder[model.Panel]]:
    split = panels.graph(
        About(
            "Memory by use",
            ["density_host_memory_bytes", "density_host_memory_size_bytes"],
            (16, 9),
            "Page tables and kernel stacks grow with every process: the part of an instance that no container shows.",
        ),
        *(Query(f"max({now('density_host_memory_bytes', kind=kind)})", kind) for kind in MEMORY),
        stacked=True,
    )
    available = panels.graph(
        About("Memory available", ["density_host_memory_available_bytes", "density_host_memory_size_bytes"], (8, 9)),
        _one("density_host_memory_available_bytes", "available"),
        _one("density_host_memory_size_bytes", "limit"),
    )
    return [split, panels.dashed(available, "limit")]


def _tables() -> list[timeseries.Panel]:
    return [
        panels.dashed(
            panels.graph(About(title, [used, limit], THIRD), _one(used, "used"), _one(limit, "limit")), "limit"
        ).scale_distribution(panels.logarithmic())
        for title, used, limit in (
            ("Processes and threads", "density_host_tasks", "density_host_tasks_limit"),
            ("Open files", "density_host_open_files", "density_host_open_files_limit"),
        )
    ] + [_network()]


def _network() -> timeseries.Panel:
    about = About(
        "Network",
        ["density_host_network_devices", "density_host_conntrack_entries", "density_host_neighbours"],
        THIRD,
        "Each container with a network costs a device at least.",
    )
    neighbours = (
        Query(f"max({now('density_host_neighbours', family=family)})", legend)
        for family, legend in (("v4", "IPv4 neighbours"), ("v6", "IPv6 neighbours"))
    )
    devices = _one("density_host_network_devices", "devices")
    return panels.graph(about, devices, _one("density_host_conntrack_entries", "tracked connections"), *neighbours)


def _rest() -> list[Builder[model.Panel]]:
    free = last("density_host_disk_available_bytes")
    size = last("density_host_disk_size_bytes")
    disks = panels.bars(
        About(
            "Disks used",
            ["density_host_disk_available_bytes", "density_host_disk_size_bytes"],
            (8, 7),
            "Where engines keep images, where runs are kept, and where sockets are.",
            unit="percentunit",
        ),
        Query(f"max by (disk) (1 - {free} / {size})", "{{disk}}"),
        color=SKY,
    ).max(1)
    disks.thresholds(panels.thresholds(panels.SHARE)).color_scheme(panels.by_threshold())
    slice_ = panels.graph(
        About("Memory of the slice", ["density_slice_memory_bytes"], (8, 7)), _one("density_slice_memory_bytes", "used")
    )
    killed = panels.number(
        About("Killed for want of memory", ["density_host_oom_kills_total"], (8, 7), "Within the time shown."),
        Query(f"sum({gained('density_host_oom_kills_total')})"),
    )
    killed.thresholds(panels.thresholds({1: VERMILLION}, base=GREEN)).color_scheme(panels.by_threshold())
    return [disks, slice_, killed]


def _daemons() -> list[timeseries.Panel]:
    cpu = About("CPU of the engines' daemons", ["density_engine_cpu_seconds_total"], THIRD, unit="suffix: CPUs")
    memory = About("Memory of the engines' daemons", ["density_engine_resident_memory_bytes"], THIRD)
    files = About("Open files of the engines' daemons", ["density_engine_open_files"], THIRD)
    return [
        panels.graph(about, Query(f"max by (daemon) ({expr})", "{{daemon}}"), names=DAEMONS)
        for about, expr in (
            (cpu, rate("density_engine_cpu_seconds_total")),
            (memory, now("density_engine_resident_memory_bytes")),
            (files, now("density_engine_open_files")),
        )
    ]


def _tester() -> list[timeseries.Panel]:
    late = panels.graph(
        About(
            "How late the tester is",
            ["density_tester_lag_seconds", "density_tester_lag_max_seconds", "density_tester_sample_seconds"],
            (8, 7),
            "A late tester measures itself: above 0.5 s do not trust latencies.",
        ),
        _one("density_tester_lag_seconds", "last tick"),
        _one("density_tester_lag_max_seconds", "latest tick so far"),
        _one("density_tester_sample_seconds", "reading the host"),
    )
    cpu = panels.graph(
        About("CPU of the tester", ["density_tester_cpu_seconds_total"], (8, 7), unit="suffix: CPUs"),
        Query(f"max({rate('density_tester_cpu_seconds_total')})", "density"),
    )
    memory = panels.graph(
        About("Memory of the tester", ["density_tester_resident_memory_bytes"], (8, 7)),
        _one("density_tester_resident_memory_bytes", "density"),
    )
    return [late, cpu, memory]


def _sensors() -> list[timeseries.Panel]:
    failing = panels.graph(
        About(
            "Sensors that fail",
            ["density_sensor_success"],
            HALF,
            "1: it fails, and what it reads is not watched. Sensors of what this kernel lacks fail all the time.",
        ),
        Query(f"topk(5, 1 - max by (sensor) ({now('density_sensor_success')}))", "{{sensor}}"),
    )
    slowest = panels.graph(
        About("Slowest sensors", ["density_sensor_duration_seconds"], HALF),
        Query(f"topk(5, max by (sensor) ({now('density_sensor_duration_seconds')}))", "{{sensor}}"),
    )
    return [failing, slowest]
