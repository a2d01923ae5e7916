"""Ceilings of the engines themselves."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import capped, each, each_shared, plain

ENGINES = (
    Ceiling(
        id="libvirt.processes",
        resource="tasks that the user of QEMU may have (RLIMIT_NPROC; threads are counted)",
        unit="tasks",
        read=plain("qemu.tasks_count", "qemu.tasks_limit", reserve=16),
        errors=errors("try_again"),
        fix=Fix(
            "set max_processes = 1000000 in /etc/libvirt/qemu.conf (or LimitNPROC=infinity of libvirtd's unit), "
            "then: systemctl restart libvirtd",
            directive="LimitNPROC",
        ),
    ),
    Ceiling(
        id="engine.requests",
        resource="connections that wait until a daemon accepts them",
        unit="connections",
        read=each("daemon", "waiting_count", "waiting_limit"),
        errors=errors("overloaded"),
        fix=Fix(
            "launch fewer at once (`concurrency` in [ramp]); for libvirtd raise max_clients, max_client_requests and "
            "max_workers in /etc/libvirt/libvirtd.conf; for others: sysctl -w net.core.somaxconn=65535",
            sysctls=("net.core.somaxconn",),
        ),
    ),
    Ceiling(
        # No limit makes this fail: the CPUs bound it, and what is felt is that everything slows (a knee in slo.ready).
        id="engine.overload",
        resource="CPU time of a daemon, which can take no more than all CPUs",
        unit="CPUs",
        read=capped(each_shared("daemon", "busy_cpus", "cpu.count")),
        soft=True,
        errors=errors("overloaded", "timeout"),
        fix=Fix('fewer virtual devices (network = "host" or "none"), several networks, or more CPUs'),
    ),
    Ceiling(
        id="engine.locks",
        resource="locks of Podman: one a container, pod or volume",
        unit="locks",
        read=plain("engine.locks_count", "engine.locks_limit"),
        errors=errors("no_lock"),
        fix=Fix("set num_locks = 65536 in [engine] of containers.conf, then: podman system renumber"),
    ),
)
