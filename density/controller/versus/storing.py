"""Hard disk: what an image takes, which instances share, and what each takes of its own."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio

from density.capacity.versus.figure import Figures, Subject
from density.controller.versus.bed import Bed, Launched
from density.errors import DensityError
from density.model import Workload
from density.payload.build import payload_binary
from density.profile.spec import Endpoints


async def measure_disk(bed: Bed, figures: Figures, say: Callable[[str], None], *, endpoints: Endpoints) -> None:
    """One instance of each subject that has written nothing yet."""
    for subject in bed.subjects:
        if subject.missing:
            continue
        say(f"hard disk: {subject.name}")
        try:
            async with bed.launched(subject.workload) as launched:
                await _measure(bed, subject, launched, figures, endpoints)
        except DensityError as error:
            figures.miss("disk", "", subject.name, str(error))


async def disk_use(bed: Bed, workload: Workload, launched: Launched, endpoints: Endpoints) -> Any:  # noqa: ANN401
    """The `DiskUse` of Docker's or libvirt's `usage`, whose modules are slow to import, of an instance that runs now.

    Raises:
        DensityError: the engine does not say.
    """
    usage = import_module(f"density.engines.{workload.engine}.usage")
    if workload.engine == "docker":
        return await usage.disk_use(endpoints.docker, run_id=bed.context.run_id, instance_id=launched.instance_id)
    return await usage.disk_use(bed.context, workload, launched.instance_id)


async def _measure(bed: Bed, subject: Subject, launched: Launched, figures: Figures, endpoints: Endpoints) -> None:
    def add(name: str, value: float, words: str = "") -> None:
        figures.add("disk", name, subject.name, [value], unit="bytes", words=words)

    def image(value: float, count: int, noun: str) -> None:
        add("image", value)
        parts = f"{count} {noun}" if count == 1 else f"{count} {noun}s"
        figures.add("disk", "parts", subject.name, [], unit="", words=parts)

    match subject.workload.engine:
        case "docker":
            found = await disk_use(bed, subject.workload, launched, endpoints)
            image(found.image_bytes, found.layers, "layer")
            add("written", found.own_bytes)
            if found.kept_bytes is None:
                figures.miss("disk", "own", subject.name, "the daemon's directories cannot be read")
            else:
                add("own", found.kept_bytes, "layer and the daemon's files")
        case "libvirt":
            found = await disk_use(bed, subject.workload, launched, endpoints)
            image(found.image_bytes, found.files, "file")
            add("own", found.own_bytes, "overlay and log" if found.overlay else "log; it has no disk to write to")
        case _:
            binary = Path(await payload_binary(bed.context.cache_dir))
            image((await anyio.Path(binary).stat()).st_size, 1, "file")
            add("own", 0)
