"""The programs that make images: whether they are here, and running one."""

import fcntl
import glob
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import anyio
from anyio.to_thread import run_sync

from density.errors import DensityError, EngineUnavailable, UsageError

GRUB = Path("/usr/lib/grub/i386-pc")
BOOT_SECTOR = GRUB / "boot.img"

PACKAGES: Mapping[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "unshare": "util-linux",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "grub-mkimage": "grub-common",
    str(BOOT_SECTOR): "grub-pc-bin",
}
"""Program or file -> Debian's package of it."""
NEW_SECONDS = 60.0
"""A directory that was made just now may not be locked yet."""
FOR_TREES = ("mmdebstrap", "unshare")
FOR_DISKS = tuple(PACKAGES)

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""A root that came by `su` may lack the directories where mke2fs is."""
_COMPLAINT = re.compile(r"^(?:E: |error: |qemu-img: |mke2fs: |grub-mkimage: error: )(.+)", re.MULTILINE)


def check_tools(wanted: Iterable[str]) -> None:
    """Whether all of these are here, and this is root, whose files a system's are.

    Raises:
        UsageError: this is not root.
        EngineUnavailable: some are missing; it says how to get them.
    """
    if os.geteuid() != 0:
        raise UsageError("images are made by root alone, because their files belong to root: run this with sudo")
    missing = [name for name in wanted if shutil.which(name, path=_PATH) is None and not Path(name).is_file()]
    if missing:
        packages = " ".join(dict.fromkeys(PACKAGES[name] for name in missing))
        raise EngineUnavailable("image", f"there is no {', no '.join(missing)}", remedy=f"apt-get install {packages}")


async def run(command: Sequence[str], *, through: Sequence[str] = (), seconds: float = 600.0) -> str:
    """What a command prints, run by the words before it, if any; killed when this is cancelled.

    Raises:
        DensityError: it failed, or was not done in time.
    """
    name = Path(command[0]).name
    try:
        with anyio.fail_after(seconds):
            # In a session of its own: Ctrl-C is for us, who then end it.
            done = await anyio.run_process(
                [*through, *command], env={**os.environ, "PATH": _PATH, "LC_ALL": "C"}, start_new_session=True
            )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace")
        raise DensityError(f"{name}: {complaint(said) or f'ended with {error.returncode}'}") from error
    except TimeoutError as error:
        raise DensityError(f"{name} was not done within {seconds:.0f} s") from error
    return done.stdout.decode(errors="replace")


def complaint(text: str) -> str:
    """The first error in what a tool said, else its last line."""
    found = _COMPLAINT.search(text)
    lines = [line for line in text.splitlines() if line.strip()]
    return (found[1] if found else lines[-1] if lines else "").strip()


@asynccontextmanager
async def scratch_beside(path: Path) -> AsyncGenerator[Path]:
    """A directory next to this file that is gone afterwards, however that comes; nobody else can enter it.

    What a process that was killed left of the same file is removed first.

    Raises:
        UsageError: nothing can be written there.
    """
    await run_sync(_remove_left, path)
    directory = await run_sync(_scratch_beside, path)
    lock = _locked(directory)
    try:
        yield directory
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(shutil.rmtree, directory)
        os.close(lock)


def check_place(path: Path) -> None:
    """Whether a file can be written there; its directory is made.

    Raises:
        UsageError: it cannot.
    """
    _scratch_beside(path).rmdir()


def _scratch_beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(dir=path.parent, prefix=_prefix(path)))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _prefix(path: Path) -> str:
    """How the names of this file's scratch directories begin, and nobody else's."""
    return f".density-image-{path.name}."


def _remove_left(path: Path) -> None:
    for left in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        with suppress(OSError):  # in use, or somebody else's
            if time.time() - left.stat().st_mtime > NEW_SECONDS:
                os.close(_locked(left))
                shutil.rmtree(left)


def _locked(directory: Path) -> int:
    """The lock on a directory, as a descriptor; it ends with the process, however that ends.

    Raises:
        BlockingIOError: another process has it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def publish(made: Path, path: Path) -> None:
    """Give what is complete its name, readable for everybody."""
    made.chmod(0o644)
    made.replace(path)
