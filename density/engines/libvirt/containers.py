"""The payload in containers of libvirt's own, by its LXC driver, where other endpoints of libvirt make VMs."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import libvirt

from density.engines.base import EngineContext
from density.engines.libvirt.domain import Program
from density.model import Workload
from density.payload.arguments import payload_arguments
from density.payload.build import payload_binary
from density.threads import in_thread

_ROOT = "root"
_ERRORS = "errors"
_PAYLOAD = "/payload"
_CHANNEL_VIEW = "/channel"
_ERRORS_VIEW = "/errors"
_SECRET = ".secret"  # noqa: S105 — the ending of a file's name
_MOUNT_POINTS = ("proc", "sys", "dev", ".oldroot", "channel", "errors")
"""What libvirt mounts something on; it could not make them in a root that is read-only."""
WORDS_BYTES = 4096
"""Of a payload's last words; it says one line of 512."""


def host_memory(connection: libvirt.virConnect) -> int:
    """Bytes of memory of the host. Blocks."""
    return int(connection.getInfo()[1]) * 2**20


async def make_root(context: EngineContext) -> Path:
    """The directory that all containers of a run see as their `/`; made where it is not there yet.

    Raises:
        EngineUnavailable: the payload cannot be compiled.
    """
    binary = await payload_binary(context.cache_dir)
    return await in_thread(_make_root, context.data_dir, binary)


def _make_root(data_dir: Path, binary: Path) -> Path:
    root = data_dir / _ROOT
    # Root's alone, as the first process of such a container is root too.
    for directory in (root, data_dir / _ERRORS):
        directory.mkdir(mode=0o700, exist_ok=True)
    for name in _MOUNT_POINTS:
        (root / name).mkdir(exist_ok=True)
    copy = root / _PAYLOAD.removeprefix("/")
    if not copy.exists():
        shutil.copy(binary, copy)
    return root


def program(root: Path, workload: Workload, instance_id: str, context: EngineContext) -> Program:
    """One instance's payload, which sees the channel's socket, its secret and a place for its last words."""
    socket = context.channel.socket_path
    options = (
        *("--socket", f"{_CHANNEL_VIEW}/{socket.name}"),
        *("--errors", f"{_ERRORS_VIEW}/{instance_id}"),
        *("--secret", f"{_ERRORS_VIEW}/{instance_id}{_SECRET}"),
    )
    return Program(
        path=_PAYLOAD,
        arguments=tuple(payload_arguments(workload, instance_id, context.run_id, *options)),
        views={"/": root, _CHANNEL_VIEW: socket.parent, _ERRORS_VIEW: context.data_dir / _ERRORS},
        written=frozenset({_ERRORS_VIEW}),
        cpus=workload.cpus,
    )


def keep_secret(data_dir: Path, instance_id: str, secret: str) -> None:
    """Leave the word by which the channel knows an instance where its payload finds it, and nobody else.

    Not in the domain, which libvirt shows to every user of the host.

    Raises:
        OSError: it cannot be written.
    """
    path = data_dir / _ERRORS / f"{instance_id}{_SECRET}"
    # A new file of ours: containers may write to the directory, and what one left there is not followed.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w") as opened:
        opened.write(secret)


def last_words(data_dir: Path, instance_id: str) -> tuple[str, ...]:
    """Why the payload ended by itself, a line each; empty where it did not say."""
    # A container's process wrote it, so it is neither followed to another file nor read without a bound.
    with suppress(OSError):
        file = os.open(data_dir / _ERRORS / instance_id, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return tuple(os.read(file, WORDS_BYTES).decode(errors="replace").splitlines())
        finally:
            os.close(file)
    return ()


def remove_root(data_dir: Path) -> None:
    """Remove what `make_root` made; a container that still runs keeps its view of it."""
    for name in (_ROOT, _ERRORS):
        shutil.rmtree(data_dir / name, ignore_errors=True)


def forget_words(data_dir: Path, instance_id: str) -> None:
    """Remove what `last_words` reads and `keep_secret` left."""
    for name in (instance_id, f"{instance_id}{_SECRET}"):
        (data_dir / _ERRORS / name).unlink(missing_ok=True)
