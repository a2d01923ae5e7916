"""The payloads' channel to the controller: hello, ping, benchmarks, console and lease of every instance of a run."""

import itertools
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

import anyio

from density.log import logger
from density.payload.background import background
from density.payload.connection import Bench, Connection, Hello, Instance, Question
from density.payload.entrance import Entrance
from density.payload.poller import Poller
from density.payload.protocol import (
    LINE_LIMIT,
    Begun,
    Benched,
    Pong,
    Ready,
    Refused,
    clean,
    parse,
    parse_console,
)
from density.payload.sockets import Owner, discard, listen, may_speak
from density.payload.strangers import Strangers
from density.profile.spec import LEASE_SECONDS
from density.text import line_pattern

__all__ = ["Bench", "BenchRefused", "Channel", "ChannelClosed", "Hello"]

_RENEWAL_SECONDS = 10.0
"""The longest time between two renewals of a lease; at least three come within it."""
log = logger(__name__)


class ChannelClosed(Exception):
    """The instance's end of the channel closed, or was never opened."""


class BenchRefused(Exception):
    """The instance cannot run this benchmark; the system's words."""


@dataclass(frozen=True, slots=True)
class _Serial:
    """A serial port that QEMU has not connected to yet; `owner` is who may, beside ourselves."""

    listener: socket.socket
    path: Path
    owner: Owner | None


class Channel(anyio.AsyncContextManagerMixin):
    """Async context manager; listens on a unix socket for processes and containers, and on one socket a VM.

    Other users of the host can do nothing here: the sockets are closed to them, and where one has to be open to users
    that are not known beforehand (`admit_others`), an instance is known by a secret of its own. Whatever one connection
    says or does concerns that connection alone.

    Needs two tasks of its own, however many instances there are. Entering raises `DensityError` where the directory's
    path is too long for a socket, `OSError` where it cannot be written.
    """

    def __init__(self, directory: Path, *, lease_seconds: float = LEASE_SECONDS) -> None:
        """Makes nothing yet.

        Args:
            directory: holds the sockets (made on entering, 0711; sockets 0600); containers get it bind-mounted
                read-only.
            lease_seconds: how long a payload on a serial port goes on without a renewal.
        """
        self.directory = directory
        self.lease_seconds = lease_seconds
        self._poller = Poller()
        self._instances: dict[str, Instance] = {}
        self._strangers = Strangers()
        self._listeners: dict[str, _Serial] = {}
        self._leased: dict[str, Connection] = {}
        self._numbers = itertools.count(1)
        self._entrance = Entrance(directory / "channel.sock", self._poller, self._welcome)

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        # QEMU's user, and the users of containers where they are mapped, pass through to their sockets.
        self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        try:
            self.directory.chmod(0o711)
            self._entrance.open()
            async with background(self._poller.run, self._renew):
                yield self
        finally:
            self._close()

    @property
    def socket_path(self) -> Path:
        """Where processes and containers connect; `/run/density/channel.sock` inside a container."""
        return self._entrance.path

    def admit_others(self, slice_name: str = "") -> None:
        """Let instances connect to `socket_path` that run as users which cannot be known beforehand.

        Args:
            slice_name: they are in this slice; empty: nobody knows where, and their secrets alone tell them apart.
        """
        self._entrance.admit_others(slice_name)

    def expect(self, instance_id: str) -> str:
        """Register before launching; without it a hello is refused. Forgotten again by `forget`.

        Returns:
            The secret that its payload has to say with its hello, for nobody else to see.

        Raises:
            ValueError: it is expected already.
        """
        if instance_id in self._instances:
            raise ValueError(f"{instance_id} is expected already")
        instance = self._instances[instance_id] = Instance(instance_id)
        return instance.secret

    async def listen_serial(self, instance_id: str, *, owner: Owner | None = None) -> Path:
        """A listening socket for this VM's serial port (QEMU connects, once); implies `expect`. Console lines are kept.

        Args:
            owner: user and group of QEMU, who may connect beside ourselves; None: it runs as we do.

        Raises:
            ValueError: it is expected already.
            OSError: the socket cannot be made.
        """
        self.expect(instance_id)
        try:
            # A short name of its own: with an instance's id in it the path might be too long.
            path = self.directory / f"s{next(self._numbers)}"
            serial = _Serial(listen(path, 1, owner=owner), path, owner)
            self._listeners[instance_id] = serial
            self._poller.add(serial.listener.fileno(), lambda: self._accept_serial(instance_id))
        except BaseException:
            self.forget(instance_id)
            raise
        return path

    def joined(self, instance_id: str) -> None:
        """Accept what has connected to a VM's serial port by now; its QEMU has, once it runs.

        Raises:
            ChannelClosed: it is not expected.
            OSError: its connection could not be accepted, such as where there is no descriptor left for it.
        """
        instance = self._known(instance_id)
        if instance_id in self._listeners:
            self._accept_serial(instance_id)
        if instance.problem:
            raise instance.problem

    async def hello(self, instance_id: str) -> Hello:
        """Wait until the instance says ready. Raises ChannelClosed if it closes before, OSError as `joined` does."""
        instance = self._known(instance_id)
        await instance.settled.wait()
        if instance.problem:
            raise instance.problem
        if instance.hello is None:
            raise ChannelClosed(f"{instance_id} ended before it was ready")
        return instance.hello

    def recall(self, instance_id: str) -> None:
        """Ask a payload that was ready before its VM was saved to say so again; `hello` waits for that.

        Raises:
            ChannelClosed: its serial port is not connected.
        """
        instance = self._known(instance_id)
        if instance.connection is None:
            raise ChannelClosed(f"{instance_id} is not connected")
        instance.connection.send("hello")

    async def console_match(self, instance_id: str, pattern: str) -> None:
        """Wait until a console line matches the regex (VMs), a begun line such as a prompt included.

        Raises:
            ChannelClosed: it closes before.
            re.error: the pattern is none.
        """
        instance = self._known(instance_id)
        wanted = line_pattern(pattern)
        begun = clean(instance.connection.lines.rest) if instance.connection else ""
        if any(wanted.search(line) for line in (*instance.console, begun)):
            return
        if instance.closed:
            raise ChannelClosed(f"the console of {instance_id} is closed")
        watcher = wanted, anyio.Event()
        instance.watchers.append(watcher)
        try:
            await watcher[1].wait()
        finally:
            instance.watchers.remove(watcher)
        if instance.closed:
            raise ChannelClosed(f"the console of {instance_id} closed before it matched {pattern}")

    def console(self, instance_id: str) -> tuple[str, ...]:
        """The last 20 lines that were no protocol lines, oldest first; none for an unknown instance."""
        instance = self._instances.get(instance_id)
        if instance and instance.connection:
            self._read(instance.connection)  # what came last may still wait to be read
        return tuple(instance.console) if instance else ()

    def lines(self, instance_id: str) -> int:
        """How many lines that were no protocol lines it has printed."""
        instance = self._instances.get(instance_id)
        return instance.lines if instance else 0

    async def ping(self, instance_id: str) -> float:
        """Round-trip seconds, without the time that it takes to wake the caller. Raises ChannelClosed."""
        began, answered, _ = await self._ask(instance_id, "ping")
        return answered - began

    async def bench(self, instance_id: str, kind: str, *, seconds: float, directory: str = "/") -> Bench:
        """Have the instance work for about so long; the kinds are those of the payload's `bench.c`.

        Args:
            directory: where it writes, as it sees it (kinds `file` and `disk`).

        Raises:
            BenchRefused: it cannot.
            ChannelClosed: it is gone.
        """
        began, answered, said = await self._ask(instance_id, "bench", f" {kind} {seconds * 1000:.0f} {directory}")
        if not isinstance(said, Benched):
            raise BenchRefused(said.words if said else "it answered with a pong")
        return Bench(said.amount, answered - began, said.seconds)

    async def _ask(self, instance_id: str, word: str, more: str = "") -> tuple[float, float, Benched | Refused | None]:
        instance = self._known(instance_id)
        if not instance.pingable or instance.connection is None:
            raise ChannelClosed(f"{instance_id} answers no questions")
        number = next(self._numbers)
        question = instance.questions[number] = Question(anyio.current_time())
        instance.connection.send(f"{word} {number}{more}")
        try:
            await question.done.wait()
        finally:
            del instance.questions[number]
        if question.answered is None:
            raise ChannelClosed(f"{instance_id} ended before it answered a {word}")
        return question.began, question.answered, question.answer

    def pingable(self, instance_id: str) -> bool:
        """Whether this instance answers pings (said hello over the payload's protocol, still connected)."""
        instance = self._instances.get(instance_id)
        return instance is not None and instance.pingable

    async def dismiss(self, instance_ids: Sequence[str] | None = None) -> None:
        """Close these (None: all) payloads' channels: they exit by themselves. Over serial, say `stop` instead.

        A serial port is closed when its VM is gone, or by `forget`: QEMU drops what it has not read from a closed one.
        """
        for instance_id in list(self._instances) if instance_ids is None else instance_ids:
            if instance := self._instances.get(instance_id):
                self._dismiss(instance)

    def cut(self) -> int:
        """Cut every payload's connection, or say `stop` to it over serial, from any thread: they exit by themselves.

        For when the event loop does not come back; if it does, it finds them closed.

        Returns:
            How many connections there were.
        """
        count = 0
        for instance in list(self._instances.values()):
            connection = instance.connection
            if connection is None or not connection.is_open:
                continue
            count += 1
            if connection.serial:
                connection.send("stop")
            else:
                with suppress(OSError):
                    connection.socket.shutdown(socket.SHUT_RDWR)
        return count

    def forget(self, instance_id: str) -> None:
        """Drop everything known of an instance."""
        if instance := self._instances.pop(instance_id, None):
            self._dismiss(instance)
            if instance.connection:
                self._hang_up(instance.connection)

    def _known(self, instance_id: str) -> Instance:
        try:
            return self._instances[instance_id]
        except KeyError:
            raise ChannelClosed(f"{instance_id} is not expected") from None

    def _dismiss(self, instance: Instance) -> None:
        if serial := self._listeners.pop(instance.instance_id, None):
            self._poller.remove(serial.listener.fileno())
            discard(serial.listener, serial.path)
        self._leased.pop(instance.instance_id, None)
        connection = instance.connection
        if connection and not connection.serial:
            self._hang_up(connection)
        elif connection and instance.pingable:
            connection.send("stop")
        instance.end()

    def _accept_serial(self, instance_id: str) -> None:
        serial, instance = self._listeners[instance_id], self._instances[instance_id]
        try:
            stream, _peer = serial.listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            # That VM has no console and no channel: its launch has failed, and nobody else's.
            instance.problem = error
            self._dismiss(instance)
            return
        connection = Connection(stream, instance)
        if not may_speak(connection.user, serial.owner):
            stream.close()
            return
        del self._listeners[instance_id]
        self._poller.remove(serial.listener.fileno())
        discard(serial.listener, serial.path)
        instance.connection = connection
        try:
            self._poller.add(stream.fileno(), lambda: self._read(connection))
        except OSError as error:
            instance.problem = error
            self._hang_up(connection)

    def _welcome(self, stream: socket.socket) -> None:
        connection = Connection(stream)
        self._strangers.add(connection, anyio.current_time())
        try:
            self._poller.add(stream.fileno(), lambda: self._read(connection))
        except OSError:
            self._hang_up(connection)
            return
        # Most have said hello by now: nothing needs to wait for another turn.
        self._read(connection)
        if surplus := self._strangers.surplus():
            self._hang_up(surplus)

    def _read(self, connection: Connection) -> None:
        try:
            self._receive(connection)
        except Exception:
            log.exception("hung up on, what it said could not be handled", peer=_name(connection))
            self._hang_up(connection)

    def _receive(self, connection: Connection) -> None:
        before = connection.lines.rest
        lines = connection.receive()
        if lines is None:
            self._hang_up(connection)
            return
        for line in lines:
            if not line and connection.instance:
                continue  # a million of them cost a guest as little as a megabyte
            self._hear(connection, line)
            if not connection.is_open:
                return
        rest = connection.lines.rest
        if connection.instance is None and len(rest) >= LINE_LIMIT:
            self._hang_up(connection)
        elif connection.serial and connection.instance and connection.instance.watchers and rest != before:
            connection.instance.show(clean(rest))

    def _hear(self, connection: Connection, line: bytes) -> None:
        text = clean(line)
        said = parse_console(text) if connection.serial else parse(text)
        instance = connection.instance
        match said:
            case Begun() | Pong() | Benched() | Refused() if instance:
                instance.answer(said, anyio.current_time())
            case Ready() if instance is None:
                self._greet_process(connection, said)
            case Ready() if instance and said.instance_id in {"", instance.instance_id}:
                self._greet_machine(connection, instance, said)
            case None if connection.serial and instance:
                if text:
                    instance.console.append(text)
                    instance.lines += 1
                    instance.show(text)
            case _ if instance is None:
                self._hang_up(connection)

    def _greet_process(self, connection: Connection, ready: Ready) -> None:
        instance = self._instances.get(ready.instance_id)
        if instance is None or instance.closed or instance.connection or not instance.knows(ready.secret):
            self._hang_up(connection)
            return
        self._strangers.remove(connection)
        connection.instance = instance
        instance.connection = connection
        instance.pingable = True
        instance.greet(_hello(instance, ready))

    def _greet_machine(self, connection: Connection, instance: Instance, ready: Ready) -> None:
        if ready.instance_id and not instance.closed:
            # Said again by a payload until it hears something; a guest without one is told nothing, ever.
            instance.pingable = True
            self._leased[instance.instance_id] = connection
            connection.send(f"lease {self.lease_seconds:g}")
        if instance.hello is None and not instance.closed:
            instance.greet(_hello(instance, ready))

    def _hang_up(self, connection: Connection) -> None:
        if not connection.is_open:
            return
        self._poller.remove(connection.socket.fileno())
        self._strangers.remove(connection)
        connection.socket.close()
        if instance := connection.instance:
            self._leased.pop(instance.instance_id, None)
            instance.connection = None
            instance.end()
        self._entrance.go_on()

    async def _renew(self) -> NoReturn:
        while True:
            await anyio.sleep(min(_RENEWAL_SECONDS, self.lease_seconds / 3))
            for connection in self._leased.values():
                connection.send(f"lease {self.lease_seconds:g}")
            for connection in self._strangers.overdue(anyio.current_time()):
                self._hang_up(connection)
            if problem := self._entrance.problem():
                self._fail_waiting(problem)

    def _fail_waiting(self, error: OSError) -> None:
        """No connection can be accepted: whoever is waited for cannot be heard, and is not to blame for it."""
        for instance in self._instances.values():
            if instance.connection is None and not instance.closed and instance.instance_id not in self._listeners:
                instance.problem = error
                instance.end()

    def _close(self) -> None:
        for instance_id in list(self._instances):
            self.forget(instance_id)
        for connection in self._strangers.all():
            self._hang_up(connection)
        self._entrance.close()
        self._poller.close()
        with suppress(OSError):
            self.directory.rmdir()


def _hello(instance: Instance, ready: Ready) -> Hello:
    return Hello(instance.instance_id, anyio.current_time(), ready.kernel, ready.uptime_seconds)


def _name(connection: Connection) -> str:
    return connection.instance.instance_id if connection.instance else f"a stranger (user {connection.user})"
