"""Building: an image from a Dockerfile against a guest, of the same files; and both again after the program changed."""

import os
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from density.capacity.versus.figure import Figures
from density.controller.versus.bed import Bed
from density.errors import DensityError
from density.payload.build import payload_binary
from density.payload.guests.initramfs import build_initramfs
from density.profile.spec import Endpoints
from density.threads import in_thread

ROUNDS = 3
BASE_BYTES = 16 * 2**20
"""Files that stay as they are between the two builds, as a distribution's do; noise."""


async def measure_building(bed: Bed, figures: Figures, say: Callable[[str], None], *, endpoints: Endpoints) -> None:
    """A few builds of each, every one with files that were never seen before."""
    program = await in_thread((await payload_binary(bed.context.cache_dir)).read_bytes)
    for subject in bed.subjects:
        if subject.missing:
            continue
        if subject.workload.engine == "docker":
            say(f"building: {subject.name}")
            await _images(bed, subject.name, figures, program, endpoints)
        elif subject.workload.engine == "libvirt" and subject.workload.guest == "payload":
            say(f"building: {subject.name}")
            await _guests(bed.context.cache_dir, subject.name, figures, program)
        else:
            why = "nothing is built" if subject.workload.engine == "native" else "it has no files to build"
            figures.miss("building", "", subject.name, why)


async def _images(bed: Bed, name: str, figures: Figures, program: bytes, endpoints: Endpoints) -> None:
    module = import_module("density.engines.docker.build")
    try:
        found = [
            await module.build_twice(
                endpoints.docker,
                run_id=bed.context.run_id,
                base=os.urandom(BASE_BYTES),
                programs=(program + os.urandom(8), program + os.urandom(8)),
            )
            for _ in range(ROUNDS)
        ]
    except DensityError as error:
        figures.miss("building", "", name, str(error))
        return
    figures.add("building", "first", name, [each.seconds for each in found], unit="seconds")
    figures.add("building", "again", name, [each.again_seconds for each in found], unit="seconds")
    figures.add("building", "bytes", name, [each.image_bytes for each in found], unit="bytes")
    figures.add("building", "again.bytes", name, [each.again_bytes for each in found], unit="bytes")


async def _guests(cache_dir: Path, name: str, figures: Figures, program: bytes) -> None:
    first: list[tuple[float, float]] = []
    again: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        base = os.urandom(BASE_BYTES)
        for built in (first, again):
            built.append(await in_thread(_guest, cache_dir, program + os.urandom(8), base))
    times, sizes = zip(*first, strict=True)
    times_again, sizes_again = zip(*again, strict=True)
    figures.add("building", "first", name, times, unit="seconds")
    figures.add("building", "again", name, times_again, unit="seconds")
    figures.add("building", "bytes", name, sizes, unit="bytes", words="and a kernel, which is not built")
    figures.add("building", "again.bytes", name, sizes_again, unit="bytes", words="written as a whole")


def _guest(cache_dir: Path, program: bytes, base: bytes) -> tuple[float, float]:
    """Seconds and bytes of one guest, built and written."""
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="built.") as scratch:
        began = time.perf_counter()
        data = build_initramfs(program, {"base": base})
        Path(scratch, "initramfs").write_bytes(data)
        return time.perf_counter() - began, len(data)
