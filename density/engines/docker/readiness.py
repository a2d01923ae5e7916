"""Waiting until an instance is ready, in each of the ways a profile can ask for."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio
from anyio import CapacityLimiter

from density.ceilings.errors import classify
from density.engines.docker.answers import Container
from density.engines.docker.client import Clients
from density.engines.docker.instance import Instance
from density.engines.docker.log import Budget, LogFollower
from density.engines.docker.netns import Answer, ask_http
from density.engines.docker.owners import Listener, answering, family, read_listeners, sockets_of
from density.errors import without_thread
from density.model import Failure
from density.payload.channel import Channel, ChannelClosed
from density.text import line_pattern
from density.threads import in_thread
from density.units import format_count, format_some

FIRST_PAUSE_SECONDS = 0.01
PAUSE_SECONDS_AT_MOST = 0.25
THREADS = 256
HOST_NETWORK = "host"
Result = TypeVar("Result")
TAKEN_SECONDS = 2.0
"""A port of the host that somebody else listens on for so long will not become the instance's own."""


class NeverReadyError(Exception):
    """An instance that cannot become ready any more, and why."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class Waiter:
    """Waits for instances; an instance that ends or is out of time has its wait cancelled from outside."""

    def __init__(self, clients: Clients, channel: Channel) -> None:
        self._clients = clients
        self._channel = channel
        # Threads that follow logs or ask inside containers, beside the calls and not in their way.
        self._limiter = CapacityLimiter(THREADS)
        self._budget = Budget()

    async def wait(self, instance: Instance) -> tuple[float, Mapping[str, str]]:
        """When it became ready, seconds of `anyio.current_time()`, and what it said of itself.

        What was tried meanwhile is noted in the instance. One whose health check fails is not ready.

        Raises:
            NeverReadyError: it cannot become ready any more.
        """
        ready = instance.workload.ready
        if ready.by == "payload":
            return await self._hello(instance)
        await self._ways()[ready.by](instance, ready.argument)
        while instance.unhealthy:
            await instance.healthy.wait()
        return anyio.current_time(), {}

    def _ways(self) -> Mapping[str, Callable[[Instance, str], Awaitable[None]]]:
        return {
            "running": self._running,
            "healthy": self._healthy,
            "log": self._log,
            "tcp": self._tcp,
            "http": self._http,
        }

    async def _hello(self, instance: Instance) -> tuple[float, Mapping[str, str]]:
        instance.tried.what = "waited for its payload to say hello over the channel"
        try:
            hello = await self._channel.hello(instance.instance_id)
        except ChannelClosed:
            await anyio.sleep_forever()  # the daemon will say how it ended
        return hello.at, {"kernel": hello.kernel, "uptime_seconds": f"{hello.uptime_seconds:.6f}"}

    async def _running(self, instance: Instance, _: str) -> None:
        instance.tried.what = "asked the daemon for its process"
        if await self._pid(instance) == 0:
            await anyio.sleep_forever()  # the daemon will say how it ended

    async def _healthy(self, instance: Instance, _: str) -> None:
        instance.tried.what = "waited for its health check to pass"
        await instance.healthy.wait()

    async def _log(self, instance: Instance, pattern: str) -> None:
        follower = LogFollower(self._clients, instance.container_id, line_pattern(pattern), self._budget)
        try:
            await self._in_thread(follower.run)
        finally:
            follower.close()
            lines = f"none of {format_count(follower.seen)} lines"
            instance.tried.what = f"followed its log for {pattern!r}"
            instance.tried.note(f"{lines}, and {follower.problem}" if follower.problem else lines)

    async def _tcp(self, instance: Instance, argument: str) -> None:
        instance.tried.what = f"looked who listens on port {argument}"
        pid, port = await self._pid(instance), int(argument)
        look = Look(pid, port, shared=instance.workload.network == HOST_NETWORK)
        await self._poll(instance, look.listens, port)

    async def _http(self, instance: Instance, argument: str) -> None:
        port_text, _, path = argument.partition("/")
        instance.tried.what = f"GET http://127.0.0.1:{port_text}/{path}"
        pid, port = await self._pid(instance), int(port_text)
        shared = instance.workload.network == HOST_NETWORK
        look = Look(pid, port, shared=shared)

        def ask() -> Answer | None:
            if shared and not (found := look.answers()):
                return found
            return ask_http(pid, port, path)

        await self._poll(instance, ask, port)

    async def _poll(self, instance: Instance, ask: Callable[[], Answer | None], port: int) -> None:
        """Ask until the answer is yes; None is somebody else's port, which is not asked for ever."""
        pause, taken_at = FIRST_PAUSE_SECONDS, math.inf
        while True:
            answer = await self._in_thread(ask)
            now = anyio.current_time()
            if answer is None:
                instance.tried.note("another process of this host listens there")
                taken_at = min(taken_at, now)
                if now - taken_at >= TAKEN_SECONDS:
                    raise NeverReadyError(port_taken(port, instance.tried.words))
            else:
                instance.tried.note(answer.words)
                taken_at = math.inf
                if answer.is_ready:
                    return
            await anyio.sleep(pause)
            pause = min(PAUSE_SECONDS_AT_MOST, pause * 1.5)

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        """What may take as long as the instance does.

        Raises:
            NeverReadyError: no thread is to be had for it, so that nobody can say when it is ready.
        """
        try:
            return await in_thread(function, limiter=self._limiter, abandon_on_cancel=True, or_here=False)
        except RuntimeError as error:
            if not without_thread(error):
                raise
            said = f"whether it is ready cannot be asked: density {error}"
            raise NeverReadyError(Failure(classify(said), said)) from error

    async def _pid(self, instance: Instance) -> int:
        found = await self._clients.call(lambda client: client.inspect_container(instance.container_id))
        return Container.of(found).state.pid


class Look:
    """Looks who listens on a port in a container's network; on the host's own, every instance sees all others' too.

    Args:
        pid: of the container's first process.
        shared: the network is the host's: a listener counts where a process of the container holds it.
    """

    def __init__(self, pid: int, port: int, *, shared: bool) -> None:
        self._pid = pid
        self._port = port
        self._shared = shared

    def listens(self) -> Answer | None:
        """Whether the container listens on the port; None where somebody else does. Blocks."""
        found = read_listeners(self._pid)
        at_port = [each for each in found if each.port == self._port]
        if not at_port:
            return Answer(is_ready=False, words=self._others(found))
        if self._shared and not any(each.inode in self._own() for each in at_port):
            return None
        return Answer(is_ready=True, words="listens")

    def answers(self) -> Answer | None:
        """Whether a connection to the port of 127.0.0.1 would be the container's; None where it is not, or may not be.

        Blocks.
        """
        found = answering(read_listeners(self._pid), self._port)
        if not found:
            return Answer(is_ready=False, words="connection refused")
        own = self._own()
        return Answer(is_ready=True, words="listens") if all(each.inode in own for each in found) else None

    def _own(self) -> frozenset[int]:
        return sockets_of(family(self._pid))

    def _others(self, found: list[Listener]) -> str:
        own = self._own() if self._shared else frozenset()
        ports = sorted({each.port for each in found if not self._shared or each.inode in own})
        return f"it listens on {format_some([str(port) for port in ports])}" if ports else "it listens on no port"


def port_taken(port: int, tried: str) -> Failure:
    """The failure of an instance that wants a port of the host which somebody else has."""
    return Failure(
        "port_taken",
        f"port {port} of the host, address already in use by another process ({tried});"
        ' with network = "host" only one instance can have it: use network = "bridge" or "none"',
    )
