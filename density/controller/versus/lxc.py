"""LXC, on which Docker was first built: the container's workload once more, by libvirt's own driver."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from density.capacity.versus.figure import Figure, Figures, Subject
from density.controller.engines import LXC
from density.controller.versus.bed import Bed, make_bed
from density.controller.versus.ramping import measure_ramps
from density.controller.versus.starting import measure_start
from density.controller.versus.subjects import alone
from density.errors import DensityError
from density.model import Workload
from density.profile.spec import Profile

RETOLD: Mapping[tuple[str, str], str] = {
    ("start", "alone.ready"): "alone.ready",
    ("start", "density.ready"): "density.ready",
    ("overhead", "total"): "total",
    ("capacity", "count"): "count",
    ("capacity", "verdict"): "verdict",
}
"""Row and name of a figure of any subject -> its name in the row `lxc`."""


@dataclass(frozen=True, slots=True)
class ByLxc:
    """The same workload by LXC.

    Attributes:
        profile: with that workload alone.
        column: the container in whose column it is told.
    """

    profile: Profile
    column: str


def by_lxc(profile: Profile, subjects: Sequence[Subject]) -> ByLxc | None:
    """The first of Docker's containers that runs the payload; None where there is none."""
    for each in (subject.workload for subject in subjects if not subject.missing):
        if each.engine == "docker" and each.image == "payload":
            same = Workload(
                name="lxc",
                engine="libvirt",
                guest="none",
                memory_bytes=each.memory_bytes,
                touch_bytes=each.touch_bytes,
                burn=each.burn,
                ready_timeout_seconds=each.ready_timeout_seconds,
            )
            endpoints = replace(profile.endpoints, libvirt=LXC, missing="fail")
            return ByLxc(replace(alone(profile, each), workloads=(same,), endpoints=endpoints), each.name)
    return None


async def start_lxc(bed: Bed, lxc: ByLxc, figures: Figures, say: Callable[[str], None], *, left: list[str]) -> None:
    """Its start alone, in a bed of its own beside that of the others."""
    found = Figures()
    run_id, directory = bed.context.run_id, bed.context.runtime_dir / "lxc"
    data_dir = bed.context.data_dir / "lxc"
    say("LXC: asking libvirt")
    data_dir.mkdir(mode=0o700)
    try:
        async with make_bed(lxc.profile, run_id=run_id, runtime_dir=directory, data_dir=data_dir, left=left) as mine:
            (subject,) = mine.subjects
            if subject.missing:
                figures.miss("lxc", "", lxc.column, subject.missing)
                return
            await measure_start(mine, found, lambda line: say(f"LXC: {line}"))
    except DensityError as error:
        figures.miss("lxc", "", lxc.column, str(error))
    finally:
        for path in (directory, data_dir):
            shutil.rmtree(path, ignore_errors=True)
    figures.found += _retold(found, lxc)


async def ramp_lxc(
    lxc: ByLxc, figures: Figures, say: Callable[[str], None], *, run_dir: Path
) -> tuple[bool, tuple[str, ...]]:
    """Its ramp, where its start alone could be measured; returns as `measure_ramps`."""
    start = figures.get("lxc", "alone.ready", lxc.column)
    if start is None or start.why:
        return False, ()
    found = Figures()
    subjects = tuple(Subject(workload=workload) for workload in lxc.profile.workloads)
    ended = await measure_ramps(lxc.profile, subjects, found, say, run_dir=run_dir)
    figures.found += _retold(found, lxc)
    return ended


def _retold(found: Figures, lxc: ByLxc) -> Iterator[Figure]:
    for figure in found.found:
        names = [name for (row, of), name in RETOLD.items() if row == figure.row and figure.name in {of, ""}]
        for name in names:
            yield replace(figure, row="lxc", name=name, subject=lxc.column)
