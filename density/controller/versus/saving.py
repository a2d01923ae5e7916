"""Saving state: a container's files by commit, a VM's memory by save; and running again from what was saved.

The two keep different things, and the figures say so: a commit has the files and no process, so what runs from it
starts anew; a save has the running guest, which goes on where it was.
"""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio

from density.capacity.versus.figure import Figures, Subject
from density.controller.engines import libvirt_uri
from density.controller.versus.bed import Bed
from density.errors import DensityError
from density.profile.spec import Endpoints

ROUNDS = 3
STATE_BYTES = 8 * 2**20
"""What each has to keep: a file of the container, memory of the VM; nothing can compress it."""
NO_WAY = "a plain process cannot be saved"


async def measure_saving(
    bed: Bed, figures: Figures, say: Callable[[str], None], *, endpoints: Endpoints, directory: Path
) -> None:
    """Save and restore each subject a few times; `directory` takes a VM's state for as long as that is needed."""
    for subject in bed.subjects:
        if subject.missing:
            continue
        if subject.workload.engine not in {"docker", "libvirt"}:
            figures.miss("saving", "", subject.name, NO_WAY)
            continue
        say(f"saving state: {subject.name}")
        try:
            save = _saving(bed, subject, endpoints, directory)
            found = [await save() for _ in range(ROUNDS)]
        except DensityError as error:
            figures.miss("saving", "", subject.name, str(error))
            continue
        docker = subject.workload.engine == "docker"
        kept = "files; what runs from it starts anew" if docker else "the running guest, which goes on"
        sizes = [each.added_bytes if docker else each.saved_bytes for each in found]
        figures.add("saving", "save", subject.name, [each.seconds for each in found], unit="seconds")
        figures.add("saving", "bytes", subject.name, sizes, unit="bytes", words=kept)
        figures.add("saving", "restore", subject.name, [each.restore_seconds for each in found], unit="seconds")


def _saving(
    bed: Bed, subject: Subject, endpoints: Endpoints, directory: Path
) -> Callable[[], Coroutine[Any, Any, Any]]:
    """What saves an instance of this subject once; a `Saved` of its engine, whose module is imported when used."""
    if subject.workload.engine == "docker":
        commit = import_module("density.engines.docker.commit")
        return lambda: commit.save(
            endpoints.docker,
            bed.context,
            subject.workload,
            (bed.new_id(subject.workload), bed.new_id(subject.workload)),
            state_bytes=STATE_BYTES,
        )
    touches = subject.workload.guest == "payload"
    workload = replace(subject.workload, touch_bytes=STATE_BYTES) if touches else subject.workload
    # One for all rounds: it finds out once how the guest boots.
    saver = import_module("density.engines.libvirt.save").Saver(bed.context, uri=libvirt_uri(endpoints.libvirt))

    async def save() -> Any:  # noqa: ANN401 — see above
        instance_id = bed.new_id(workload)
        path = await anyio.Path(directory / f"{instance_id}.saved").absolute()
        return await saver.save(workload, instance_id, Path(path))

    return save
