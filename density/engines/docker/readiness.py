"""Waiting until an instance is ready, in each of the ways a profile can ask for."""

import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread

from density.engines.docker.client import CLIENT_ERRORS, Clients
from density.engines.docker.instance import Instance
from density.engines.docker.netns import answers_http, read_listening
from density.payload.channel import Channel, ChannelClosed

if TYPE_CHECKING:
    from docker.types.daemon import CancellableStream

FIRST_PAUSE_SECONDS = 0.01
PAUSE_SECONDS_AT_MOST = 0.25
THREADS = 256
LOCAL_ONLY = frozenset({"payload", "tcp", "http"})
"""Ways that look into the container from this host's kernel."""


class Waiter:
    """Waits for instances; an instance that ends or is out of time has its wait cancelled from outside."""

    def __init__(self, clients: Clients, channel: Channel) -> None:
        self._clients = clients
        self._channel = channel
        # Threads that follow logs or ask inside containers, beside the calls and not in their way.
        self._limiter = CapacityLimiter(THREADS)

    async def wait(self, instance: Instance) -> tuple[float, Mapping[str, str]]:
        """When it became ready, seconds of `anyio.current_time()`, and what it said of itself."""
        ready = instance.workload.ready
        if ready.by == "payload":
            return await self._hello(instance)
        await self._ways()[ready.by](instance, ready.argument)
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
        try:
            hello = await self._channel.hello(instance.instance_id)
        except ChannelClosed:
            await anyio.sleep_forever()  # the daemon will say how it ended
        return hello.at, {"kernel": hello.kernel, "uptime_seconds": f"{hello.uptime_seconds:.6f}"}

    async def _running(self, instance: Instance, _: str) -> None:
        if await self._pid(instance) == 0:
            await anyio.sleep_forever()  # the daemon will say how it ended

    async def _healthy(self, instance: Instance, _: str) -> None:
        await instance.healthy.wait()

    async def _log(self, instance: Instance, pattern: str) -> None:
        follower = LogFollower(self._clients, instance.container_id, re.compile(pattern))
        try:
            matched = await to_thread.run_sync(follower.run, limiter=self._limiter, abandon_on_cancel=True)
        finally:
            follower.close()
        if not matched:
            await anyio.sleep_forever()

    async def _tcp(self, instance: Instance, argument: str) -> None:
        pid, port = await self._pid(instance), int(argument)
        await self._poll(lambda: port in read_listening(pid))

    async def _http(self, instance: Instance, argument: str) -> None:
        pid, (port, _, path) = await self._pid(instance), argument.partition("/")
        await self._poll(lambda: answers_http(pid, int(port), path))

    async def _poll(self, is_ready: Callable[[], bool]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not await to_thread.run_sync(is_ready, limiter=self._limiter, abandon_on_cancel=True):
            await anyio.sleep(pause)
            pause = min(PAUSE_SECONDS_AT_MOST, pause * 1.5)

    async def _pid(self, instance: Instance) -> int:
        found = await self._clients.call(lambda client: client.inspect_container(instance.container_id))
        pid: int = found["State"]["Pid"]
        return pid


class LogFollower:
    """Follows one container's log in a thread until a line matches."""

    def __init__(self, clients: Clients, container_id: str, pattern: re.Pattern[str]) -> None:
        self._clients = clients
        self._container_id = container_id
        self._pattern = pattern
        self._lock = threading.Lock()
        self._closed = False
        self._stream: CancellableStream[bytes] | None = None

    def run(self) -> bool:
        """Whether a line matched before the log ended or `close` was called. Blocks."""
        try:
            with self._clients.borrow() as client:
                stream = client.logs(self._container_id, stream=True, follow=True)
                with self._lock:
                    self._stream = stream
                    if self._closed:
                        return False
                return self._matches(stream)
        except CLIENT_ERRORS:
            return False
        finally:
            self.close()

    def close(self) -> None:
        """End `run`, from any thread."""
        with self._lock:
            self._closed = True
            if self._stream is not None:
                # A log that ended by itself has no socket left to close.
                with suppress(OSError, AttributeError):
                    self._stream.close()

    def _matches(self, stream: "CancellableStream[bytes]") -> bool:
        unfinished = ""
        for chunk in stream:
            *lines, unfinished = (unfinished + chunk.decode(errors="replace")).split("\n")
            if any(map(self._pattern.search, [*lines, unfinished])):
                return True
        return False
