"""Small services: a real redis, a real memcached, until they take connections; where their images are here already.

Nothing is pulled or built for this: the profiles of those services say how to get their images.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import anyio

from density.capacity.versus.figure import Figures, Subject
from density.controller.versus.bed import Bed
from density.controller.versus.storing import disk_use
from density.errors import DensityError
from density.model import EngineName, Workload
from density.profile.load import load_profile
from density.profile.source import shipped_profiles
from density.profile.spec import Endpoints

SERVICES = ("redis", "memcached")
ROUNDS = 3
NO_PROCESS = "measured in containers and VMs alone"


async def measure_services(bed: Bed, figures: Figures, say: Callable[[str], None], *, endpoints: Endpoints) -> None:
    """Each service in the first container subject and in the first VM subject with a whole guest."""
    for service in SERVICES:
        for subject in bed.subjects:
            if subject.missing:
                continue
            if subject.workload.engine == "native" or subject.workload.guest == "null":
                figures.miss("services", service, subject.name, NO_PROCESS)
                continue
            workload = await _workload(service, subject, endpoints)
            if workload is None:
                why = f"its image is not here; `density profiles {service}` says how to get it"
                figures.miss("services", service, subject.name, why)
                continue
            say(f"small services: {service}, {subject.name}")
            try:
                await _measure(bed, service, subject, workload, figures, endpoints)
            except DensityError as error:
                figures.miss("services", service, subject.name, str(error))


async def _measure(
    bed: Bed, service: str, subject: Subject, workload: Workload, figures: Figures, endpoints: Endpoints
) -> None:
    """The first launch prepares and warms up; it is left out, but for a VM, whose canary has done both."""
    vm = workload.engine == "libvirt"
    await bed.ready_for(workload)
    seconds, disks = [], []
    for number in range(1 if vm else ROUNDS + 1):
        async with bed.launched(workload) as launched:
            disks.append(await disk_use(bed, workload, launched, endpoints))
        if number or vm:
            seconds.append(launched.ready_seconds)
    figures.add("services", service, subject.name, seconds, unit="seconds")
    figures.add("services", f"{service}.image", subject.name, [disks[-1].image_bytes], unit="bytes")
    owns = [disk.own_bytes if vm else disk.kept_bytes for disk in disks]
    if None not in owns:
        figures.add("services", f"{service}.own", subject.name, owns, unit="bytes")


async def _workload(service: str, subject: Subject, endpoints: Endpoints) -> Workload | None:
    """The service's workload for this subject's engine, with an image that is here; None where there is none."""
    engine: EngineName = subject.workload.engine
    profile = load_profile(service) if service in shipped_profiles() else None
    mine = [each for each in profile.workloads if each.engine == engine] if profile else []
    if not mine:
        return None
    if engine == "libvirt":
        return await on_disk(mine[0], subject)
    present = import_module("density.engines.docker.asking").present
    for image in (mine[0].image, f"density-{service}:local"):
        if await present(endpoints.docker, image):
            return replace(mine[0], image=image)
    return None


async def on_disk(workload: Workload, subject: Subject) -> Workload | None:
    """A VM that boots a disk image, by the subject's accelerator; None where the image is not here.

    A whole system would be tried under KVM for minutes; the subject's guest has found out already.
    """
    there = await anyio.Path(workload.image).is_file()
    return replace(workload, accelerator=subject.workload.accelerator) if there else None
