"""Tasks (processes and their threads), their limits, and the load averages."""

from pathlib import Path

from density.host.reading import FileSensor, number_parser


def parse_loadavg(text: str) -> dict[str, float]:
    """`load.*`, `tasks.running` and `tasks.count` (every thread of the host) from /proc/loadavg."""
    one, five, fifteen, tasks, _ = text.split()
    running, _, count = tasks.partition("/")
    return {
        "load.one": float(one),
        "load.five": float(five),
        "load.fifteen": float(fifteen),
        "tasks.running": float(running),
        "tasks.count": float(count),
    }


def tasks_sensor(root: Path) -> FileSensor:
    """The sensor of tasks and load; one file tells all of it, however many tasks there are.

    Raises:
        Unavailable: no /proc/loadavg or no limits in /proc/sys/kernel.
    """
    kernel = root / "proc/sys/kernel"
    return FileSensor(
        {
            root / "proc/loadavg": parse_loadavg,
            kernel / "pid_max": number_parser("tasks.pid_max"),
            kernel / "threads-max": number_parser("tasks.threads_max"),
        }
    )
