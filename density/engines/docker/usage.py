"""What an image and a container take of the disk."""

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from density.engines.docker.answers import Container, Image, ListedContainer, ListedImage
from density.engines.docker.asking import connected
from density.engines.docker.feed import INSTANCE_LABEL
from density.errors import DensityError
from density.model import LABEL
from density.threads import in_thread

_BLOCK_BYTES = 512
"""What st_blocks counts in, whatever the file system's own blocks (stat(2))."""


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Of one container.

    Attributes:
        image_bytes: all layers of its image, which its siblings share; packed and unpacked where the daemon keeps both.
        layers: how many.
        own_bytes: what it wrote itself, by the daemon's count.
        kept_bytes: what the disk gave for its layer and for the daemon's own files about it, in whole blocks; None
            where those directories cannot be read.
    """

    image_bytes: int
    layers: int
    own_bytes: int
    kept_bytes: int | None


async def disk_use(endpoint: str, *, run_id: str, instance_id: str) -> DiskUse:
    """Ask the daemon, and look at its directories.

    Raises:
        EngineUnavailable: the daemon does not answer.
        DensityError: there is no such container.
    """
    labels = [f"{LABEL}={run_id}", f"{INSTANCE_LABEL}={instance_id}"]
    async with connected(endpoint) as clients:
        found = ListedContainer.list_of(
            await clients.call(lambda client: client.containers(all=True, size=True, filters={"label": labels}))
        )
        if not found:
            raise DensityError(f"docker: there is no container of {instance_id}")
        [listed, *_] = found
        container = Container.of(await clients.call(lambda client: client.inspect_container(listed.id)))
        image = Image.of(await clients.call(lambda client: client.inspect_image(listed.image)))  # type: ignore[no-untyped-call]
        # Of an image in containerd's store, `inspect` has the size of what is packed alone.
        images = ListedImage.list_of(await clients.call(lambda client: client.images()))
    kept = await in_thread(kept_bytes, container)
    sizes = {each.id: each.size for each in images}
    return DiskUse(sizes.get(listed.image, image.size), len(image.root.layers), listed.size, kept)


def parse_upper(mountinfo: str) -> str:
    """Where what a container writes goes, from its /proc/PID/mountinfo; empty where its root is no overlay."""
    found = re.search(r"^\S+ \S+ \S+ \S+ / .* - overlay .*\bupperdir=([^,\s]+)", mountinfo, re.MULTILINE)
    return found[1] if found else ""


def allocated(path: Path, device: int | None = None) -> int:
    """Bytes of all blocks of a directory and of what is in it, but for file systems mounted there. Blocks.

    Raises:
        OSError: it cannot be read.
    """
    status = path.lstat()
    device = status.st_dev if device is None else device
    if status.st_dev != device:
        return 0
    below = sum(allocated(each, device) for each in path.iterdir()) if stat.S_ISDIR(status.st_mode) else 0
    return status.st_blocks * _BLOCK_BYTES + below


def kept_bytes(container: Container, *, root: Path = Path("/")) -> int | None:
    """What the disk gave for a running container's layer and for the daemon's own files about it. Blocks.

    None where either cannot be seen.

    Args:
        container: which one.
        root: the host's root directory.
    """
    try:
        upper = parse_upper((root / f"proc/{container.state.pid}/mountinfo").read_text())
        log = container.log_path
        return allocated(Path(upper).parent) + allocated(Path(log).parent) if upper and log else None
    except OSError:
        return None
