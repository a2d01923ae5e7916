"""Use and limits of the run's slice, read from its own files: totals of everything below it at a constant cost.

Counting what was denied is where kernels differ (tried on Linux 6.18 with v1 and 6.1 with v2):
- v1 counts an out-of-memory kill only in the victim's own cgroup and forgets it with that cgroup; what the slice's
  limit caused is heard through an eventfd instead (`density.host.oom`). v2 counts it in the victim's cgroup and all
  above, whichever limit was hit; hits of a limit, which are no kills, are counted beside it.
- A refused fork is counted at the limit (`pids.events` beside `pids.events.local`) on v2 since
  Linux 6.11. Before that, and on v1 always, it is counted in the cgroup of the process that forked: then
  `slice.tasks_denied` is left out, and `slice.tasks_peak` at the limit is what can be known.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from density.host.hierarchies import SlicePaths
from density.host.oom import OomCounter, OomEvents
from density.host.pressure import RESOURCES, parse_pressure
from density.host.reading import FileSensor, Parser, Unavailable, limit_parser, number_parser, parse_pairs

_STAT_V1 = {"total_rss": "slice.anon_bytes", "total_inactive_file": "slice.inactive_file_bytes"}
_QUOTA, _PERIOD = "cfs_quota_us", "cfs_period_us"
_EVENTS_V2 = {"max": "slice.memory_limit_hits"}
_STAT_V2 = {
    "anon": "slice.anon_bytes",
    "inactive_file": "slice.inactive_file_bytes",
    "kernel": "slice.kernel_bytes",  # since Linux 5.18
}


def parse_cpu_max(text: str) -> dict[str, float]:
    """`slice.cpus_limit`, in CPUs, from v2's cpu.max: quota and period in microseconds."""
    quota, period = text.split()
    return {} if quota == "max" else {"slice.cpus_limit": float(quota) / float(period)}


def parse_some_pressure(text: str, resource: str) -> dict[str, float]:
    """`slice.pressure.RESOURCE.some_avg10_ratio` from a cgroup's pressure file."""
    name = f"slice.pressure.{resource}.some_avg10_ratio"
    return {name: parse_pressure(text, f"slice.pressure.{resource}")[name]}


class SliceSensor:
    """`slice.*`: what the kernel holds against the slice's limits; a limit that is not set is left out.

    `slice.memory_bytes` is the number that the limit is enforced on; `slice.inactive_file_bytes` of it can be taken
    back at once, and `slice.kernel_bytes` of it are slabs, page tables and stacks. `slice.oom_kills` is how often the
    slice's own limit led to a kill since the sensor was made; on v1 only for root.

    Raises:
        Unavailable: the slice has no memory cgroup.
    """

    def __init__(self, paths: SlicePaths) -> None:
        if "memory" not in paths.controllers:
            raise Unavailable("no cgroup hierarchy accounts the slice's memory")
        self._files = FileSensor({}, _sources_v2(paths) if paths.version == 2 else _sources_v1(paths))
        self._kills: OomCounter | OomEvents | None = None
        with suppress(Unavailable):
            self._kills = (OomEvents if paths.version == 2 else OomCounter)(paths.controllers["memory"])

    def read(self) -> Mapping[str, float]:
        """The values now.

        Raises:
            Unavailable: the slice was removed.
        """
        values = _with_cpus_limit(self._files.read())
        if self._kills is not None:
            values["slice.oom_kills"] = float(self._kills.read())
        return values


def read_limits(paths: SlicePaths) -> dict[str, float]:
    """The limits that the kernel holds: `slice.{memory_limit_bytes,tasks_limit,cpus_limit}`, each only if it is set.

    Raises:
        Unavailable: the slice was removed.
    """
    found = FileSensor({}, _limits_v2(paths) if paths.version == 2 else _limits_v1(paths))
    return _with_cpus_limit(found.read())


def _limits_v1(paths: SlicePaths) -> dict[Path, Parser]:
    files = {
        ("memory", "memory.limit_in_bytes"): limit_parser("slice.memory_limit_bytes"),
        ("pids", "pids.max"): limit_parser("slice.tasks_limit"),
        ("cpu", "cpu.cfs_quota_us"): limit_parser(_QUOTA),
        ("cpu", "cpu.cfs_period_us"): number_parser(_PERIOD),
    }
    return _placed(paths, files)


def _limits_v2(paths: SlicePaths) -> dict[Path, Parser]:
    files: dict[tuple[str, str], Parser] = {
        ("memory", "memory.max"): limit_parser("slice.memory_limit_bytes"),
        ("pids", "pids.max"): limit_parser("slice.tasks_limit"),
        ("cpu", "cpu.max"): parse_cpu_max,
    }
    return _placed(paths, files)


def _sources_v1(paths: SlicePaths) -> dict[Path, Parser]:
    files: dict[tuple[str, str], Parser] = {
        ("memory", "memory.usage_in_bytes"): number_parser("slice.memory_bytes"),
        ("memory", "memory.failcnt"): number_parser("slice.memory_limit_hits"),
        ("memory", "memory.max_usage_in_bytes"): number_parser("slice.memory_peak_bytes"),
        ("memory", "memory.kmem.usage_in_bytes"): number_parser("slice.kernel_bytes"),
        ("memory", "memory.stat"): lambda text: parse_pairs(text, _STAT_V1),
        ("cpuacct", "cpuacct.usage"): number_parser("slice.cpu_seconds", factor=1e-9),
    }
    return _limits_v1(paths) | _placed(paths, files) | _common(paths)


def _sources_v2(paths: SlicePaths) -> dict[Path, Parser]:
    files: dict[tuple[str, str], Parser] = {
        ("memory", "memory.current"): number_parser("slice.memory_bytes"),
        ("memory", "memory.peak"): number_parser("slice.memory_peak_bytes"),
        ("memory", "memory.stat"): lambda text: parse_pairs(text, _STAT_V2),
        ("memory", "memory.events.local"): lambda text: parse_pairs(text, _EVENTS_V2),
        ("cpu", "cpu.stat"): lambda text: {
            name: value / 1e6 for name, value in parse_pairs(text, {"usage_usec": "slice.cpu_seconds"}).items()
        },
    }
    return _limits_v2(paths) | _placed(paths, files) | _common(paths)


def _common(paths: SlicePaths) -> dict[Path, Parser]:
    """What reads the same on both: tasks and, where a v2 hierarchy is mounted at all, pressure."""
    files = {
        ("pids", "pids.current"): number_parser("slice.tasks"),
        ("pids", "pids.peak"): number_parser("slice.tasks_peak"),
    }
    if paths.version == 2 and (paths.controllers.get("pids", Path()) / "pids.events.local").exists():
        files["pids", "pids.events"] = lambda text: parse_pairs(text, {"max": "slice.tasks_denied"})
    sources = _placed(paths, files)
    if paths.unified is not None:
        sources |= {paths.unified / f"{resource}.pressure": _pressure_parser(resource) for resource in RESOURCES}
    return sources


def _pressure_parser(resource: str) -> Parser:
    return lambda text: parse_some_pressure(text, resource)


def _placed(paths: SlicePaths, files: Mapping[tuple[str, str], Parser]) -> dict[Path, Parser]:
    return {
        paths.controllers[controller] / name: parser
        for (controller, name), parser in files.items()
        if controller in paths.controllers
    }


def _with_cpus_limit(found: Mapping[str, float]) -> dict[str, float]:
    """v1 has the quota and its period in two files."""
    values = {name: value for name, value in found.items() if name not in {_QUOTA, _PERIOD}}
    if _QUOTA in found and _PERIOD in found:
        values["slice.cpus_limit"] = found[_QUOTA] / found[_PERIOD]
    return values
