"""Rows that this comparison does not measure, and why."""

from collections.abc import Callable, Sequence
from importlib import import_module

from density.capacity.versus.figure import Figures, Subject

INSIDE = "the payload guest holds one program and no container engine; it takes a disk image with Docker in it"


async def tell_nested(subjects: Sequence[Subject], figures: Figures, _: Callable[[str], None]) -> None:
    """Containers inside a VM."""
    for subject in subjects:
        why = INSIDE if subject.workload.engine == "libvirt" else "it is no VM"
        figures.miss("nested", "ready", subject.name, why)


async def tell_lxc(subjects: Sequence[Subject], figures: Figures, say: Callable[[str], None]) -> None:
    """LXC through libvirt."""
    say("LXC: asking libvirt")
    try:
        problem = await import_module("density.engines.libvirt.lxc").lxc_problem()
    except ImportError as error:
        problem = f"its library is missing: {error}"
    why = f"libvirt: {problem}" if problem else "libvirt has it; density has no workload for it yet"
    for subject in subjects:
        figures.miss("lxc", "ready", subject.name, why)
