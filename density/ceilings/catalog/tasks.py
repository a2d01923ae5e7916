"""Ceilings of tasks: processes, their threads, and what each process may have."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import each, each_shared, either, plain

UNIT_RESERVE_TASKS = 64
"""What a daemon, or the tester, keeps of its own unit's tasks: without it instances cannot be removed either."""

TASKS = (
    Ceiling(
        id="tasks.pid_max",
        resource="process and thread ids",
        unit="tasks",
        read=plain("tasks.count", "tasks.pid_max", reserve="tasks"),
        lethal=True,
        errors=errors("try_again"),
        fix=Fix("sysctl -w kernel.pid_max=4194304", sysctls=("kernel.pid_max",)),
    ),
    Ceiling(
        id="tasks.threads_max",
        resource="threads",
        unit="tasks",
        read=plain("tasks.count", "tasks.threads_max", reserve="tasks"),
        lethal=True,
        errors=errors("try_again"),
        fix=Fix("sysctl -w kernel.threads-max=4194304", sysctls=("kernel.threads-max",)),
    ),
    Ceiling(
        id="tasks.cgroup",
        resource="tasks of a cgroup (the slice, or a unit)",
        unit="tasks",
        read=either(
            plain("slice.tasks", "slice.tasks_limit"),
            plain("own.tasks", "own.tasks_limit", reserve=UNIT_RESERVE_TASKS, subject="tester"),
            each("daemon", "tasks", "tasks_limit", reserve=UNIT_RESERVE_TASKS),
        ),
        errors=errors("try_again"),
        fix=Fix(
            "raise `tasks` in [slice] of the profile; "
            "for a daemon's unit: systemctl set-property UNIT TasksMax=infinity",
            directive="TasksMax",
        ),
    ),
    Ceiling(
        id="maps.process",
        resource="memory maps of one process: a daemon of an engine",
        unit="maps",
        read=each_shared("daemon", "maps_count", "maps.limit", reserve=1024),
        errors=errors("maps", "no_memory", "try_again"),
        fix=Fix("sysctl -w vm.max_map_count=1048576", sysctls=("vm.max_map_count",)),
    ),
)
