"""What a guest and a domain take of the disk."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from density.engines.base import EngineContext
from density.engines.libvirt.hypervisor import all_directories
from density.engines.libvirt.machine import overlay_path
from density.model import Workload, object_name
from density.payload.guests import make_guest
from density.payload.guests.kernel import VARIABLE


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Of one domain.

    Attributes:
        image_bytes: what its siblings boot from too.
        files: how many files that is.
        own_bytes: its overlay and libvirt's log of it, in whole blocks.
        overlay: whether it has one.
    """

    image_bytes: int
    files: int
    own_bytes: int
    overlay: bool


async def disk_use(context: EngineContext, workload: Workload, instance_id: str) -> DiskUse:
    """Look at the files of a domain that runs.

    Raises:
        UsageError: there is no such guest.
    """
    explicit = os.environ.get(VARIABLE)
    guest = await make_guest(workload, context.cache_dir, kernel=Path(explicit) if explicit else None)
    overlay = overlay_path(context.data_dir, instance_id)
    name = object_name(context.run_id, instance_id)
    logs = (directories.logs / f"{name}.log" for directories in all_directories())
    own = 0
    for path in (overlay, *logs):
        with suppress(OSError):
            own += path.stat().st_blocks * 512
    return DiskUse(sum(path.stat().st_size for path in guest.files), len(guest.files), own, guest.overlay)
