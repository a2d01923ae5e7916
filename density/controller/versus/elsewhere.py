"""Rows that this comparison does not measure, and why."""

from collections.abc import Callable, Sequence

from density.capacity.versus.figure import Figures, Subject

INSIDE = "the payload guest holds one program and no container engine; it takes a disk image with Docker in it"


async def tell_nested(subjects: Sequence[Subject], figures: Figures, _: Callable[[str], None]) -> None:
    """Containers inside a VM."""
    for subject in subjects:
        why = INSIDE if subject.workload.engine == "libvirt" else "it is no VM"
        figures.miss("nested", "ready", subject.name, why)
