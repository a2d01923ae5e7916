"""Other users of the host at the channel: they can neither announce, nor stop, nor read an instance."""

import os
import socket
import stat
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from engines.contract import short_directory
from support.users import NOBODY, as_user

from density.payload import strangers
from density.payload.channel import Channel
from density.payload.entrance import Entrance
from density.payload.poller import Poller
from density.payload.sockets import discard, is_in_slice, listen

pytestmark = [pytest.mark.anyio, pytest.mark.root]
QEMU = (64055, 64055)
"""A user of QEMU's own, as distributions have one."""
PATIENCE = 20


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that every user may enter, as a run's is, and write to."""
    with short_directory(0o777) as path:
        yield path


@pytest.fixture
async def channel(directory: Path) -> AsyncGenerator[Channel]:
    """An open channel."""
    with anyio.fail_after(PATIENCE):
        async with Channel(directory / "c") as opened:
            yield opened


def talk(path: Path, words: bytes = b"") -> str:
    """Connect, say this, and give everything that comes back until the other end closes."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(PATIENCE)
        stream.connect(str(path))
        heard = b""
        with suppress(ConnectionResetError, BrokenPipeError):
            stream.sendall(words)
            while more := stream.recv(4096):
                heard += more
    return repr(heard)


async def theirs(path: Path, words: bytes = b"") -> str:
    """What another user of the host has of that."""
    return await to_thread.run_sync(as_user, NOBODY, partial(talk, path, words))


async def test_they_cannot_connect(channel: Channel) -> None:
    """Neither to the socket of processes and containers nor to a serial port."""
    channel.expect("a-1")
    for path in (channel.socket_path, await channel.listen_serial("v-1", owner=QEMU)):
        assert await theirs(path) == "PermissionError"


async def test_without_the_secret_they_announce_nobody(channel: Channel) -> None:
    """Where instances run as users not known beforehand, all may connect, and are hung up on without a word."""
    channel.admit_others()
    secret = channel.expect("a-1")
    for words in (b"density ready a-1\nstop\n", b"density ready a-1 secret=0\n", b"density pong 1\n\n"):
        assert await theirs(channel.socket_path, words) == "b''"
        assert not channel.pingable("a-1")
    # The instance itself, be its user who it may; another hello with its secret changes nothing for it.
    async with await anyio.connect_unix(channel.socket_path) as instance:
        await instance.send(f"density ready a-1 secret={secret}\n".encode())
        await channel.hello("a-1")
        assert await theirs(channel.socket_path, words) == "b''"
        assert channel.pingable("a-1")


async def test_a_flood_of_theirs_keeps_no_instance_out(channel: Channel) -> None:
    """With more silent connections than are let in, an instance that takes its time for its hello is heard."""
    channel.admit_others()
    secret = channel.expect("a-1")
    reading, writing = os.pipe()

    def flood() -> str:
        held = [socket.socket(socket.AF_UNIX) for _ in range(strangers.MOST + 50)]
        for each in held:
            each.connect(str(channel.socket_path))
        os.read(reading, 1)  # until the test is over
        return "done"

    async with await anyio.connect_unix(channel.socket_path) as instance, anyio.create_task_group() as group:
        while not len(channel._strangers):
            await anyio.lowlevel.checkpoint()
        group.start_soon(to_thread.run_sync, as_user, NOBODY, flood)
        while len(channel._strangers) < strangers.MOST:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert len(channel._strangers) == strangers.MOST
        await instance.send(f"density ready a-1 secret={secret}\n".encode())
        await channel.hello("a-1")
        os.write(writing, b"!")
    os.close(reading)
    os.close(writing)


async def test_strangers_outside_of_the_slice_cost_nothing(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """More connections of theirs than a process may have open: none is kept, none is heard, and an instance gets in."""
    channel.admit_others("density-r1")
    secret = channel.expect("a-1")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 — as cheap as can be

    def flood() -> str:
        said = {talk(channel.socket_path, b"density ready a-1 secret=" + secret.encode() + b"\n") for _ in range(900)}
        return str(said)

    assert await to_thread.run_sync(as_user, NOBODY, flood) == str({"b''"})
    assert (len(channel._strangers), channel.pingable("a-1")) == (0, False)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 — as above
    # In the slice, the same user with the same words is the instance.
    monkeypatch.setattr("density.payload.entrance.is_in_slice", lambda _pid, name: name == "density-r1")
    words = f"density ready a-1 secret={secret}\n".encode()
    async with anyio.create_task_group() as group:
        group.start_soon(to_thread.run_sync, as_user, NOBODY, partial(talk, channel.socket_path, words))
        await channel.hello("a-1")
        assert channel.pingable("a-1")
        channel.forget("a-1")


@pytest.mark.parametrize(
    ("cgroups", "inside"),
    [
        ("4:memory:/density-r1/0123\n0::/\n", True),
        ("0::/density-r1.slice/docker-0123.scope\n", True),
        ("0::/user.slice/user-1000.slice/user@1000.service/density-r1.slice/x\n", True),
        ("4:memory:/density-r1.partition/lxc\n", True),
        ("0::/density-r10\n4:pids:/x-density-r1\n", False),
        ("0::/docker/density\n", False),
    ],
)
async def test_who_is_in_a_slice(cgroups: str, inside: bool, tmp_path: Path) -> None:  # noqa: FBT001 — a parameter
    """The name of a cgroup above the process, as a whole, with the ending that systemd or libvirt gives it."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(cgroups)
    assert is_in_slice(7, "density-r1", tmp_path) == inside
    assert not is_in_slice(8, "density-r1", tmp_path)


def test_without_root_a_containers_root_may_connect(directory: Path) -> None:
    """It is another user there, and has no capability that would let it pass a mode; nobody else may."""
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reset-env", "python3", "-c"]
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect('{directory}/s'); print('connected')"

    os.seteuid(QEMU[0])
    try:
        listener = Entrance(directory / "s", Poller(), lambda _: None)
        listener.open()
    finally:
        os.seteuid(0)
    try:
        assert os.getxattr(directory / "s", "system.posix_acl_access")
        done = subprocess.run([*bare, connect], capture_output=True, text=True, check=False)
        assert done.stdout == "connected\n", done.stderr
        assert as_user(NOBODY, partial(talk, directory / "s")) == "PermissionError"
    finally:
        listener.close()


async def test_a_serial_port_is_for_qemus_user(channel: Channel) -> None:
    """Where a socket cannot be closed to others, the kernel says who connects: only QEMU's user is heard."""
    path = await channel.listen_serial("v-1", owner=QEMU)
    status = await anyio.Path(path).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, QEMU[0])
    path.chmod(0o666)
    said = b"density ready v-1\n"
    assert await theirs(path, said) == "b''"
    assert not channel.pingable("v-1")
    async with anyio.create_task_group() as group:
        group.start_soon(to_thread.run_sync, as_user, QEMU[0], lambda: talk(path, said))
        await channel.hello("v-1")
        channel.forget("v-1")


def test_without_root_an_access_list_lets_qemu_in(directory: Path) -> None:
    """A user who cannot give the socket away lets QEMU's user in, and nobody else; the same user needs no list."""
    path, other = directory / "s", 12345
    os.seteuid(NOBODY)
    try:
        listener, own = listen(path, 4, owner=QEMU), listen(directory / "o", 4, owner=(NOBODY, NOBODY))
        roots = listen(directory / "r", 4, owner=(0, 0))
    finally:
        os.seteuid(0)

    def connect() -> str:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(path))
        return "connected"

    try:
        assert as_user(QEMU[0], connect) == "connected"
        assert as_user(NOBODY, connect) == "connected"
        assert as_user(other, connect) == "PermissionError"
        assert stat.S_IMODE((directory / "o").stat().st_mode) == 0o600
        assert os.getxattr(directory / "r", "system.posix_acl_access")
    finally:
        discard(listener, path)
        discard(own, directory / "o")
        discard(roots, directory / "r")
