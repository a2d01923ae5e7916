"""Limits of each instance itself: what its workload or its engine allows it, however much the host has left."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import nothing

INSTANCE = (
    Ceiling(
        id="memory.instance",
        resource="memory that one instance may use",
        unit="bytes",
        read=nothing,
        own=True,
        errors=errors("own_limit"),
        fix=Fix(
            "raise `memory` of the workload, or make its program use less",
            of_workload="raise `memory` of the workload {workload}, or make its program use less",
        ),
    ),
    Ceiling(
        id="tasks.instance",
        resource="processes and threads that one instance may have",
        unit="tasks",
        read=nothing,
        own=True,
        errors=errors("own_limit", "try_again"),
        fix=Fix(
            "raise the limit on tasks that the engine gives each instance "
            "(Podman: `pids_limit` in containers.conf), or start fewer threads",
            of_workload="raise the limit on tasks that the engine gives each instance of the workload {workload} "
            "(Podman: `pids_limit` in containers.conf), or start fewer threads in it",
        ),
    ),
    Ceiling(
        id="files.instance",
        resource="open files of one process of an instance",
        unit="files",
        read=nothing,
        own=True,
        errors=errors("own_limit", "too_many_files"),
        fix=Fix(
            "raise the limit on open files that the engine gives each instance "
            '(Docker: "default-ulimits" with "nofile" in daemon.json), or what its program sets itself',
            of_workload="raise the limit on open files that the engine gives each instance of the workload {workload} "
            '(Docker: "default-ulimits" with "nofile" in daemon.json), or what its program sets itself',
        ),
    ),
    Ceiling(
        id="cpu.instance",
        resource="CPU time that one instance may use",
        unit="CPUs",
        read=nothing,
        own=True,
        errors=errors("timeout"),
        fix=Fix(
            "raise `cpus` of the workload, or give it more time: `ready_timeout`",
            of_workload="raise `cpus` of the workload {workload}, or give it more time: `ready_timeout`",
        ),
    ),
    Ceiling(
        id="ports.fixed",
        resource="a port of the host that every instance of a workload listens on",
        unit="instances",
        read=nothing,
        own=True,
        errors=errors("port_taken"),
        fix=Fix(
            'give each instance of the workload a network of its own: network = "bridge"; or let it choose a free port',
            of_workload="one host takes one instance of the workload {workload}: give each a network of its own "
            '(network = "bridge"), or let it choose a free port',
        ),
    ),
)
