"""The slice: one cgroup that holds every instance of a run, with limits that the kernel enforces."""

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from density.host import slice_systemd
from density.host.hierarchies import Hierarchy, SlicePaths, cgroup_version, find_hierarchies, slice_paths
from density.host.reading import Unavailable
from density.host.slice_directories import (
    count_processes,
    end_processes,
    lock,
    make_directories,
    populated,
    remove_directories,
    set_limits,
)
from density.host.slice_limits import Limits, SliceUnavailable, differences
from density.host.slice_systemd import Runner, run_command
from density.model import Placement
from density.threads import in_thread

_MADE_BY_US = re.compile(r"density(\d{8})(\d{6})([0-9a-f]{4})\.(?:partition|slice)", re.ASCII)
_CONTROLLERS = {"memory": "memory", "tasks": "pids", "cpus": "cpu"}
"""Key of the profile's `[slice]` -> the controller that enforces it."""
_TRIES = 20
_RETRY_SECONDS = 0.1


def slice_name(run_id: str) -> str:
    """The slice's name without its suffix. Without dashes, for each would be a level of nesting to systemd.

    Raises:
        ValueError: the run id has other characters than letters, digits and dashes.
    """
    name = "density" + run_id.replace("-", "")
    if not name.isascii() or not name.isalnum():
        raise ValueError(f"{run_id!r} is not a run id")
    return name


class Slice:
    """Makes the run's cgroup when entered, and removes it when left, where it is empty by then; kills nothing.

    Without systemd it is a directory `NAME.partition` in every cgroup hierarchy, which is what libvirt takes the
    partition `/NAME` to mean. With systemd it is the unit `NAME.slice`. While it is entered it is locked, so that a
    clean-up elsewhere does not take it for a leftover.

    Args:
        run_id: of the run.
        memory_bytes: limit of memory, 0 for none.
        tasks: limit of processes and threads, 0 for none.
        cpus: limit of CPU time a second, 0 for none.
        root: the host's root directory.
        run: runs systemctl.
    """

    def __init__(
        self,
        run_id: str,
        *,
        memory_bytes: int = 0,
        tasks: int = 0,
        cpus: float = 0,
        root: Path = Path("/"),
        run: Runner = run_command,
    ) -> None:
        self._name = slice_name(run_id)
        self._limits = Limits(memory_bytes=memory_bytes, tasks=tasks, cpus=cpus)
        self._root = root
        self._run = run
        self._systemd = slice_systemd.manages(root)
        self._directory = f"{self._name}.slice" if self._systemd else f"{self._name}.partition"
        self._hierarchies: tuple[Hierarchy, ...] = ()
        self._procs: list[Path] = []
        self._lock: int | None = None
        self._left: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        """Make the cgroup, set its limits and read them back.

        Raises:
            SliceUnavailable: no right to, no cgroups, or the kernel holds other limits than were asked for.
        """
        self._hierarchies = await in_thread(find_hierarchies, self._root)
        if cgroup_version(self._hierarchies) == 0:
            raise SliceUnavailable("no cgroup hierarchy that accounts memory is mounted here")
        try:
            if self._systemd:
                await slice_systemd.start_unit(self._directory, self._limits, self._run)
            await in_thread(self._make)
            await self._take_lock()
            await self._confirm()
        except BaseException:
            await self._remove()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._remove()

    @property
    def paths(self) -> SlicePaths:
        """Where the sensor reads; while entered."""
        return slice_paths(self._hierarchies, self._directory)

    @property
    def left(self) -> tuple[str, ...]:
        """What could not be removed when leaving: directories in which something lives, a unit that systemd keeps."""
        return self._left

    def populations(self) -> dict[str, int]:
        """Processes that each limit of the slice holds: `memory`, `tasks`, `cpus` where it was asked for -> count."""
        held = {"memory": self._limits.memory_bytes, "tasks": self._limits.tasks, "cpus": self._limits.cpus}
        directories = self.paths.controllers
        return {
            name: count_processes(directories[_CONTROLLERS[name]])
            for name, limit in held.items()
            if limit and _CONTROLLERS[name] in directories
        }

    def kill(self) -> int:
        """Kill whatever lives in the slice now, from any thread; says how many processes there were."""
        return end_processes(_directories(self._hierarchies, self._directory))

    def placement(self) -> Placement:
        """The slice in each engine's words; while entered."""
        parents = {"cgroupfs": f"/{self._directory}"} | ({"systemd": self._directory} if self._systemd else {})
        unit_by_path = self._systemd and not slice_systemd.has_machined(self._root)
        return Placement(
            docker_parents=parents,
            libvirt_partition=f"/{self._directory}" if unit_by_path else f"/{self._name}",
            procs_files=tuple(str(path) for path in self._procs),
        )

    def _make(self) -> None:
        self._procs = make_directories(self._hierarchies, self._directory, delegate=not self._systemd)
        if not self._systemd:
            set_limits(self.paths, self._limits)

    async def _take_lock(self) -> None:
        """A clean-up has it for the moment in which it looks whether the slice is in use."""
        for _ in range(_TRIES):
            self._lock = await in_thread(lock, self.paths.controllers["memory"])
            if self._lock is not None:
                return
            await anyio.sleep(_RETRY_SECONDS)
        raise SliceUnavailable("another process keeps the slice's lock")

    async def _confirm(self) -> None:
        """Wait for the kernel to hold the limits: systemd writes them a moment after it was told to."""
        found: list[str] = []
        for _ in range(_TRIES):
            try:
                found = await in_thread(differences, self.paths, self._limits)
            except Unavailable as error:
                found = [str(error)]
            if not found:
                return
            await anyio.sleep(_RETRY_SECONDS)
        raise SliceUnavailable(f"the kernel does not hold the slice's limits: {'; '.join(found)}")

    async def _remove(self) -> None:
        with anyio.CancelScope(shield=True):
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
            left, kept = await _remove(self._hierarchies, self._directory, root=self._root, run=self._run)
            self._left = (*map(str, left), *filter(None, [kept]))


def find_runs(root: Path = Path("/")) -> set[str]:
    """The runs that have a slice on this host, or a unit of one, by whole run ids, be they alive or dead. Blocks."""
    found = map(_MADE_BY_US.fullmatch, _names(find_hierarchies(root)) | slice_systemd.kept(root))
    return {"-".join(each.groups()) for each in found if each}


def residents(root: Path = Path("/")) -> dict[str, int]:
    """How many processes live in the slice of each run that has one, whatever they are. Blocks.

    A process that has left one hierarchy's slice may still be in another's, so the most of them counts.
    """
    found: dict[str, int] = {}
    for hierarchy in find_hierarchies(root):
        for entry in hierarchy.directory.iterdir():
            if each := _MADE_BY_US.fullmatch(entry.name):
                run_id = "-".join(each.groups())
                found[run_id] = max(found.get(run_id, 0), count_processes(entry))
    return found


async def remove_stale(
    run_id: str, *, root: Path = Path("/"), run: Runner = run_command
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove the slice that an earlier run left behind, with what still lives in it.

    Engines remove what is theirs before this; what is in a slice after that has lost its engine, as VMs do that
    outlive a libvirtd.

    Returns:
        Names of what was removed and of what is left: what is in use, or holds processes that do not end.
    """
    hierarchies = await in_thread(find_hierarchies, root)
    removed: list[str] = []
    left: list[str] = []
    wanted = {f"{slice_name(run_id)}.partition", f"{slice_name(run_id)}.slice"}
    there = await in_thread(_names, hierarchies) | await in_thread(slice_systemd.kept, root)
    for name in sorted(wanted & there):
        if await in_thread(_in_use, hierarchies, name):
            left.append(name)
            continue
        await in_thread(end_processes, _directories(hierarchies, name))
        directories, kept = await _remove(hierarchies, name, root=root, run=run)
        (left if directories or kept else removed).append(kept or name)
    return tuple(removed), tuple(left)


async def _remove(hierarchies: tuple[Hierarchy, ...], name: str, *, root: Path, run: Runner) -> tuple[list[Path], str]:
    """Engines remove their cgroups a moment after their processes ended, so try for two seconds.

    Returns:
        The directories that are left, and what systemd keeps, in words; empty where that is nothing.
    """
    directories = _directories(hierarchies, name)
    is_unit, stopped, problem = name.endswith(".slice"), False, ""
    answers = is_unit and slice_systemd.manages(root)
    left: list[Path] = []
    for attempt in range(_TRIES):
        if attempt:
            await anyio.sleep(_RETRY_SECONDS)
        if await in_thread(_any_populated, directories):
            left = [directory for directory in directories if directory.exists()]
            continue
        if is_unit and not stopped:
            problem = await slice_systemd.stop_unit(name, run) if answers else ""
            stopped = True
        left = await in_thread(remove_directories, directories)
        if not left:
            break
    if stopped and not problem:
        problem = ", ".join(map(str, await in_thread(slice_systemd.forget, root, name)))
    return left, f"unit {name} ({problem})" if problem else ""


def _directories(hierarchies: tuple[Hierarchy, ...], name: str) -> list[Path]:
    return [hierarchy.directory / name for hierarchy in hierarchies]


def _any_populated(directories: list[Path]) -> bool:
    return any(populated(directory) for directory in directories)


def _names(hierarchies: tuple[Hierarchy, ...]) -> set[str]:
    """Of the cgroups at the top."""
    return {entry.name for hierarchy in hierarchies for entry in hierarchy.directory.iterdir()}


def _in_use(hierarchies: tuple[Hierarchy, ...], name: str) -> bool:
    for directory in _directories(hierarchies, name):
        try:
            descriptor = lock(directory)
        except OSError:
            continue
        if descriptor is None:
            return True
        os.close(descriptor)
    return False
