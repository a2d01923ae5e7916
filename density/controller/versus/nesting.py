"""Containers inside a VM: a Debian with Docker, until a container has run in it; where its disk is here already."""

from collections.abc import Callable

from density.capacity.versus.figure import Figures
from density.controller.versus.bed import Bed
from density.controller.versus.serving import on_disk
from density.errors import DensityError
from density.profile.load import load_profile

NO_VM = "it is no VM that boots a whole guest"
NO_DISK = "its disk is not here; `density profiles nested` says how to make it"


async def measure_nested(bed: Bed, figures: Figures, say: Callable[[str], None]) -> None:
    """One launch under each accelerator that a subject's whole guest was found to boot under."""
    (wanted,) = load_profile("nested").workloads
    for subject in bed.subjects:
        if subject.missing:
            continue
        if subject.workload.engine != "libvirt" or subject.workload.guest == "null":
            figures.miss("nested", "ready", subject.name, NO_VM)
        elif workload := await on_disk(wanted, subject):
            say(f"a container inside a VM: {subject.name}")
            try:
                await bed.ready_for(workload)
                async with bed.launched(workload) as launched:
                    figures.add("nested", "ready", subject.name, [launched.ready_seconds], unit="seconds")
            except DensityError as error:
                figures.miss("nested", "ready", subject.name, str(error))
        else:
            figures.miss("nested", "ready", subject.name, NO_DISK)
