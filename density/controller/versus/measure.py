"""The whole comparison, row by row, in one directory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from density.capacity.versus.figure import Figures, Subject
from density.controller.data import data_directory
from density.controller.engines import LXC
from density.controller.guard import guarded
from density.controller.intent import Place
from density.controller.leftovers import find_leftovers
from density.controller.paths import cache_dir, make_run_dir
from density.controller.versus.bed import Bed, make_bed
from density.controller.versus.building import measure_building
from density.controller.versus.interruption import interruptible
from density.controller.versus.lxc import by_lxc, ramp_lxc, start_lxc
from density.controller.versus.nesting import measure_nested
from density.controller.versus.performing import Benchmarks
from density.controller.versus.ramping import measure_ramps
from density.controller.versus.saving import measure_saving
from density.controller.versus.serving import measure_services
from density.controller.versus.starting import measure_start
from density.controller.versus.storing import measure_disk
from density.controller.versus.subjects import alone
from density.errors import DensityError, UsageError
from density.host.cpu import CpuSensor
from density.host.host import facts
from density.host.reading import Unavailable
from density.profile.spec import Profile
from density.threads import in_thread

ROWS = (
    "start",
    "disk",
    "performance",
    "capacity",
    "overhead",
    "saving",
    "building",
    "kernels",
    "services",
    "nested",
    "lxc",
)
"""Every row of the comparison, in the article's order."""
RAMPED = frozenset({"start", "capacity", "overhead", "kernels"})
Say = Callable[[str], None]


@dataclass(slots=True)
class Comparison:
    """What was found.

    Attributes:
        subjects: the columns, in the profile's order.
        counts: the most of each that ran at once.
        facts: the host's fingerprint.
        busy: share of the host's CPU time that was taken in the second before anything of ours ran.
        interrupted: the person asked for the end; the rows after that are missing.
        left: names of what could not be removed.
    """

    run_id: str
    rows: tuple[str, ...]
    subjects: tuple[Subject, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    facts: Mapping[str, str | float] = field(default_factory=dict)
    busy: float = 0.0
    figures: Figures = field(default_factory=Figures)
    interrupted: bool = False
    left: tuple[str, ...] = ()


async def compare(
    profile: Profile, *, run_id: str, run_dir: Path, say: Say, rows: Collection[str] = ROWS
) -> Comparison:
    """Measure every workload of the profile in these rows.

    Args:
        run_dir: made here; the ramps keep their records in it, a directory each.
        say: takes a line on what is being done.

    Raises:
        UsageError: an unknown row, a simulated workload, or the run's directory or lock cannot be made.
        EngineUnavailable: none of the engines can be used.
    """
    if unknown := sorted(set(rows) - set(ROWS)):
        raise UsageError(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    if "simulated" in profile.engines:
        raise UsageError("a simulated host has nothing to compare; versus needs docker, libvirt or native workloads")
    comparison = Comparison(
        run_id,
        tuple(row for row in ROWS if row in rows),
        counts={each.name: alone(profile, each).ramp.max_instances for each in profile.workloads},
        facts=facts(Path("/")),
        busy=await _busy(),
    )
    await in_thread(_make, run_dir)
    await _beside_ramps(profile, comparison, run_dir=run_dir, say=say)
    if not comparison.interrupted and RAMPED.intersection(rows):
        comparison.interrupted, left = await measure_ramps(
            profile, comparison.subjects, comparison.figures, say, run_dir=run_dir
        )
        comparison.left += left
    if not comparison.interrupted and "lxc" in rows and (lxc := by_lxc(profile, comparison.subjects)):
        comparison.interrupted, left = await ramp_lxc(lxc, comparison.figures, say, run_dir=run_dir)
        comparison.left += left
    return comparison


async def _beside_ramps(profile: Profile, comparison: Comparison, *, run_dir: Path, say: Say) -> None:
    """All that needs single instances, or none; the ramps come later, when nothing else of ours runs."""
    left: list[str] = []
    unasked: Sequence[str] = ()
    run_id = comparison.run_id
    beside = [Place("libvirt", LXC)] if "lxc" in comparison.rows else []
    async with guarded(profile, run_id=run_id, run_dir=run_dir, beside=beside) as guard:
        async with interruptible(say) as interruption:
            say("making everything ready")
            with guard.reaper.telling(say), data_directory(guard.data_dir):
                places = {"runtime_dir": guard.directory, "data_dir": guard.data_dir}
                async with make_bed(profile, run_id=run_id, **places, left=left) as bed:
                    comparison.subjects = bed.subjects
                    leftovers = await find_leftovers(
                        bed.engines.values(), run_id=run_id, base=guard.directory.parent, endpoints=profile.endpoints
                    )
                    if leftovers.words:
                        say(leftovers.words)
                    await _in_bed(profile, bed, comparison, run_dir=run_dir, say=say)
        guard.abandoned = bool(unasked)
        comparison.interrupted = interruption.came
        guard.all_gone = not left
    comparison.left += tuple(left)


async def _in_bed(profile: Profile, bed: Bed, comparison: Comparison, *, run_dir: Path, say: Say) -> None:
    for row in comparison.rows:
        try:
            await _row(row, profile, bed, comparison, run_dir=run_dir, say=say)
        except DensityError as error:  # an engine went away: what was measured stays, and other rows may do
            for subject in bed.subjects:
                comparison.figures.miss(row, "", subject.name, str(error))


async def _row(row: str, profile: Profile, bed: Bed, comparison: Comparison, *, run_dir: Path, say: Say) -> None:
    figures, endpoints = comparison.figures, profile.endpoints
    match row:
        case "start":
            await measure_start(bed, figures, say)
        case "disk":
            await measure_disk(bed, figures, say, endpoints=endpoints)
        case "performance":
            benchmarks = Benchmarks(bed, figures, say, disk=str(cache_dir()))
            await benchmarks.alone()
            await benchmarks.crowd(comparison.counts)
        case "saving":
            await measure_saving(bed, figures, say, endpoints=endpoints, directory=run_dir)
        case "building":
            await measure_building(bed, figures, say, endpoints=endpoints)
        case "services":
            await measure_services(bed, figures, say, endpoints=endpoints)
        case "nested":
            await measure_nested(bed, figures, say)
        case "lxc":
            if lxc := by_lxc(profile, bed.subjects):
                left: list[str] = []
                try:
                    await start_lxc(bed, lxc, figures, say, left=left)
                finally:
                    comparison.left += tuple(left)


async def _busy() -> float:
    """The share of the CPUs' time that is taken in a second, 0 where the host does not tell."""
    try:
        sensor = CpuSensor(Path("/"))
    except Unavailable:
        return 0.0
    await anyio.sleep(1.0)
    return sensor.read().get("cpu.busy_ratio", 0.0)


def _make(run_dir: Path) -> None:
    try:
        make_run_dir(run_dir)
    except OSError as error:
        raise UsageError(f"{run_dir} cannot be made: {error.strerror}") from error
