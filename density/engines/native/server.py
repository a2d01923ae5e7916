"""The fork server's process, seen from the engine."""

import socket
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import UNIXSocketStream

from density.engines.native.replies import Reply, parse_reply
from density.errors import EngineUnavailable
from density.host.processes import NATIVE, wait_for_end
from density.payload.protocol import Lines
from density.threads import in_thread

_START_SECONDS = 10.0
_LEAVE_SECONDS = 5.0
_GONE = "the fork server is gone"


class ForkServer:
    """A process in the slice that forks instances there; see `serve_spawns` in `payload.c`."""

    def __init__(self, pid: int, stream: UNIXSocketStream) -> None:
        self.pid = pid
        self._stream = stream
        self._lines = Lines()
        self._sending = anyio.Lock()

    async def command(self, *words: str) -> None:
        """Send a command.

        Raises:
            EngineUnavailable: the server is gone.
        """
        try:
            async with self._sending:
                await self._stream.send("\t".join(words).encode() + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise EngineUnavailable("native", _GONE) from None

    async def replies(self) -> AsyncIterator[list[Reply]]:
        """What it says, in order, as many at once as came at once; it may be silent once the server is gone."""
        with suppress(anyio.BrokenResourceError):
            async for chunk in self._stream:
                yield [parse_reply(line.decode(errors="replace")) for line in self._lines.feed(chunk)]

    async def begin(self) -> None:
        """Hear that it is in its cgroups.

        Raises:
            EngineUnavailable: it is not, in its own words.
        """
        said = b""
        with anyio.move_on_after(_START_SECONDS), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while b"\n" not in said:
                said += await self._stream.receive()
        first = said.decode(errors="replace").partition("\n")[0]
        if not first.startswith("serving\t"):
            raise EngineUnavailable("native", first.removeprefix("payload: ") or "the fork server does not start")


@asynccontextmanager
async def fork_server(binary: Path, *, run_id: str, procs_files: Sequence[str]) -> AsyncGenerator[ForkServer]:
    """Start a fork server in these cgroups; left in order, it leaves its children be.

    Raises:
        EngineUnavailable: it cannot be started, or cannot join a cgroup.
    """
    words = [NATIVE, "--spawn", "--run", run_id, *(word for path in procs_files for word in ("--procs", path))]
    try:
        ours, theirs = socket.socketpair()
        with theirs, anyio.CancelScope(shield=True):  # or nobody would end what was just started
            try:
                process = await in_thread(_start, binary, words, theirs.fileno())
                stream = await UNIXSocketStream.from_socket(ours)
            except BaseException:
                ours.close()  # the end of its input ends a fork server
                raise
    except OSError as error:
        raise EngineUnavailable("native", f"cannot start the fork server: {error}") from error
    server = ForkServer(process.pid, stream)
    try:
        await server.begin()
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            with suppress(EngineUnavailable):
                await server.command("detach")
            await stream.aclose()
            await _ended(process)


def _start(binary: Path, words: Sequence[str], descriptor: int) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C is for the controller, which then stops the instances in order.
    return subprocess.Popen(
        words, executable=binary, stdin=descriptor, stdout=descriptor, stderr=subprocess.DEVNULL, start_new_session=True
    )


async def _ended(process: subprocess.Popen[bytes]) -> None:
    with anyio.move_on_after(_LEAVE_SECONDS):
        await wait_for_end(process.pid)
    if process.poll() is None:
        process.kill()
        await in_thread(process.wait)
