"""The channel against peers that behave and peers that do not, on real sockets."""

import resource
import socket
import stat
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream
from hypothesis import given, settings
from hypothesis import strategies as st

from density.ceilings.errors import classify
from density.errors import DensityError
from density.payload import channel as channel_module
from density.payload import entrance, strangers
from density.payload.background import background
from density.payload.channel import Bench, BenchRefused, Channel, ChannelClosed
from density.payload.connection import Connection, Instance
from density.payload.poller import Poller

pytestmark = pytest.mark.anyio
PATIENCE = 10
WORDS = (
    b"density ready a-2\n", b"density ready a-2 secret=0\n\n", b"density ready v-1\n", b"density ready",
    b"density pong 1\n", b"density bench 1 2 3\ndensity begun 1\n", b"density refused 1 no\n", b"\n\n", b"\x1b]\r\n",
)  # fmt: skip
"""What somebody might say who knows the protocol and nobody's secret."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The channel keeps to anyio."""
    return str(request.param)


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncGenerator[Channel]:
    """An open channel, and a test that hangs is a failure."""
    with anyio.fail_after(PATIENCE):
        async with Channel(tmp_path / "run" / "c") as opened:
            yield opened


async def say(channel: Channel, text: str) -> SocketStream:
    """Connect as a process or container, and say something."""
    stream = await anyio.connect_unix(channel.socket_path)
    await stream.send(text.encode())
    return stream


def ready(channel: Channel, instance_id: str, more: str = "") -> str:
    """What the payload of an instance that is expected says first."""
    return f"density ready {instance_id} {more} secret={channel._instances[instance_id].secret}\n"


async def closed(stream: SocketStream) -> bool:
    """Wait until the channel closes this connection, dropping what it says."""
    try:
        while True:
            await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return True
    finally:
        await stream.aclose()


async def test_one_that_cannot_be_opened_leaves_no_directory(tmp_path: Path) -> None:
    """Or a run that had no room for its socket would count as one that died."""
    directory = tmp_path / ("c" * 120)
    with pytest.raises(DensityError):
        async with Channel(directory):
            raise AssertionError("it has no socket")
    assert not directory.exists()


async def test_hello_is_heard_once_it_is_said(channel: Channel) -> None:
    """`hello` waits for the instance and tells its kernel and age; from then on it can be pinged."""
    channel.expect("a-1")
    assert not channel.pingable("a-1")
    before = anyio.current_time()
    async with await say(channel, ready(channel, "a-1", "kernel=6.1 uptime_us=2500 pid=1")):
        hello = await channel.hello("a-1")
        assert channel.pingable("a-1")
    assert (hello.instance_id, hello.kernel, hello.uptime_seconds) == ("a-1", "6.1", 0.0025)
    assert before <= hello.at <= anyio.current_time()


@pytest.mark.parametrize(
    "words",
    [
        "density ready a-2 kernel=6.1\n",
        "density ready\n",
        "density pong 1\n",
        "GET / HTTP/1.1\r\n\r\n",
        "\n",
        "x" * 9999 + "\n",
        "x" * 9999,
        "one line\nand another\n",
        "density ready a-1\n",
        "density ready a-1 secret=\ndensity ready a-1 secret=0\n",
        "density ready a-1 secret=\u00e9\n",
    ],
)
async def test_strangers_are_hung_up_on(channel: Channel, words: str) -> None:
    """Who is not expected, does not know the secret, or says something else first is not heard; nobody else minds."""
    channel.expect("a-1")
    assert await closed(await say(channel, words))
    assert not channel.pingable("a-1")
    async with await say(channel, ready(channel, "a-1")):
        await channel.hello("a-1")


async def test_nobody_takes_anothers_place(channel: Channel) -> None:
    """A second hello with an id that is connected already is refused, and the first one stays."""
    channel.expect("a-1")
    async with await say(channel, ready(channel, "a-1")):
        await channel.hello("a-1")
        assert await closed(await say(channel, ready(channel, "a-1")))
        assert channel.pingable("a-1")


async def test_silent_strangers_are_few(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say nothing are bounded in number: the oldest has to go."""
    monkeypatch.setattr(strangers, "MOST", 2)
    channel.expect("a-1")
    streams = [await say(channel, "density") for _ in range(3)]
    assert await closed(streams[0])
    await streams[2].send(ready(channel, "a-1").removeprefix("density").encode())
    await channel.hello("a-1")
    for stream in streams[1:]:
        await stream.aclose()


async def test_silent_strangers_are_hung_up_on(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a hello has its time; an instance that said hello may be silent for ever."""
    monkeypatch.setattr(strangers, "HELLO_SECONDS", 0.05)
    monkeypatch.setattr(channel_module, "_RENEWAL_SECONDS", 0.01)
    async with Channel(channel.directory.with_name("d")) as quick:
        quick.expect("a-1")
        async with await say(quick, ready(quick, "a-1")):
            await quick.hello("a-1")
            assert await closed(await say(quick, "density re"))
            assert quick.pingable("a-1")


def test_who_floods_drives_out_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many strangers, the user with the most of them loses the oldest."""
    monkeypatch.setattr(strangers, "MOST", 3)
    crowd = strangers.Strangers()
    ends = [socket.socketpair() for _ in range(4)]
    connections = [Connection(ours) for ours, _ in ends]
    for number, (connection, user) in enumerate(zip(connections, (1, 2, 2, 2), strict=True)):
        connection.user = user
        assert crowd.surplus() is None
        crowd.add(connection, now=float(number))
    assert crowd.surplus() is connections[1]
    crowd.remove(connections[1])
    assert crowd.surplus() is None
    assert crowd.overdue(strangers.HELLO_SECONDS + 2.5) == [connections[0], connections[2]]
    for pair in ends:
        for end in pair:
            end.close()


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=1500) | st.sampled_from(WORDS)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_nothing_that_is_said_ends_the_run(said: list[tuple[int, bytes]]) -> None:
    """Whatever strangers, an instance and a VM's console say, the channel goes on, and each speaks for itself alone."""

    async def work() -> None:
        with tempfile.TemporaryDirectory() as directory, anyio.fail_after(PATIENCE):
            async with Channel(Path(directory) / "c") as channel:
                await babble(channel, said)

    anyio.run(work)


async def babble(channel: Channel, said: list[tuple[int, bytes]]) -> None:
    """A stranger, an instance and a VM talk; then another instance is heard as ever."""
    for instance_id in ("a-1", "a-2"):
        channel.expect(instance_id)
    instance = await say(channel, ready(channel, "a-1"))
    machine = await serial(channel, "v-1")
    await channel.hello("a-1")
    for who, words in said:
        async with await say(channel, "") as stranger:
            with suppress(anyio.BrokenResourceError):
                await (stranger, instance, machine)[who].send(words)
    assert not channel.pingable("a-2")
    async with instance, machine, await say(channel, ready(channel, "a-2")):
        await channel.hello("a-2")
        assert channel.pingable("a-1")


async def test_a_fault_of_ours_concerns_one_connection(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where handling a line goes wrong, that connection is closed, and its instance ends; the others go on."""
    for instance_id in ("a-1", "a-2"):
        channel.expect(instance_id)

    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    async with await say(channel, ready(channel, "a-2")):
        await channel.hello("a-2")
        monkeypatch.setattr(Instance, "greet", broken)
        assert await closed(await say(channel, ready(channel, "a-1")))
        await raises_closed(channel, "a-1")
        assert channel.pingable("a-2")


async def test_a_fault_of_a_handler_ends_that_handler() -> None:
    """The poller calls one that raises no more, and goes on with the others."""
    called: list[str] = []
    event = anyio.Event()

    def broken() -> None:
        called.append("broken")
        raise RuntimeError("a fault")

    poller = Poller()
    pairs = [socket.socketpair() for _ in range(2)]
    for (ours, theirs), handler in zip(pairs, (broken, event.set), strict=True):
        poller.add(ours.fileno(), handler)
        theirs.send(b"!")
    with anyio.fail_after(PATIENCE):
        async with background(poller.run):
            await event.wait()
    assert called == ["broken"]
    poller.close()
    for pair in pairs:
        for end in pair:
            end.close()


async def test_an_end_before_hello_is_told(channel: Channel) -> None:
    """Who waits for a hello is told when the instance is dismissed or forgotten, or was never expected."""
    channel.expect("a-1")
    channel.expect("a-2")
    async with anyio.create_task_group() as group:
        group.start_soon(raises_closed, channel, "a-1")
        group.start_soon(raises_closed, channel, "a-2")
        await anyio.wait_all_tasks_blocked()
        await channel.dismiss(["a-1", "unknown"])
        channel.forget("a-2")
    await raises_closed(channel, "a-3")
    assert await closed(await say(channel, ready(channel, "a-1")))


async def raises_closed(channel: Channel, instance_id: str) -> None:
    """Waiting for its hello ends with ChannelClosed."""
    with pytest.raises(ChannelClosed, match=instance_id):
        await channel.hello(instance_id)


async def test_an_id_is_expected_once(channel: Channel) -> None:
    """Two instances of one id are an error of the caller; a serial socket is not left behind by it."""
    channel.expect("a-1")
    with pytest.raises(ValueError, match="a-1"):
        channel.expect("a-1")
    with pytest.raises(ValueError, match="a-1"):
        await channel.listen_serial("a-1")
    assert [path.name async for path in anyio.Path(channel.directory).iterdir()] == ["channel.sock"]
    channel.forget("a-1")
    channel.expect("a-1")


async def test_pings_to_one_instance_do_not_mix(channel: Channel) -> None:
    """Concurrent pings each get their own pong, in whichever order they are answered."""
    channel.expect("a-1")
    seconds: dict[str, float] = {}

    async def ping(name: str) -> None:
        seconds[name] = await channel.ping("a-1")

    async with await say(channel, ready(channel, "a-1")) as stream, anyio.create_task_group() as group:
        await channel.hello("a-1")
        group.start_soon(ping, "first")
        await anyio.wait_all_tasks_blocked()
        group.start_soon(ping, "second")
        await anyio.wait_all_tasks_blocked()
        first, second = (await stream.receive()).decode().replace("ping", "pong").splitlines()
        await stream.send(f"density pong 999\ndensity {second}\n".encode())
        while "second" not in seconds:
            await anyio.lowlevel.checkpoint()
        assert "first" not in seconds
        await stream.send(f"density {first}\ndensity {first}\n".encode())
    assert 0 < seconds["second"] < seconds["first"]


async def test_a_ping_ends_with_its_instance(channel: Channel) -> None:
    """A ping has no time limit, but an instance that goes ends it; later ones fail at once."""
    channel.expect("a-1")
    stream = await say(channel, ready(channel, "a-1"))
    await channel.hello("a-1")
    async with anyio.create_task_group() as group:
        group.start_soon(stream.aclose)
        with pytest.raises(ChannelClosed):
            await channel.ping("a-1")
    assert not channel.pingable("a-1")
    with pytest.raises(ChannelClosed):
        await channel.ping("a-1")


async def test_a_benchmark_is_timed_between_its_two_answers(channel: Channel) -> None:
    """By our clock from its beginning to its end, not from the request; what the instance's clock says comes too."""
    channel.expect("a-1")
    found: list[Bench] = []
    times: list[float] = []

    async def bench() -> None:
        found.append(await channel.bench("a-1", "file", seconds=0.25, directory="/a b"))

    async with await say(channel, ready(channel, "a-1")) as stream, anyio.create_task_group() as group:
        await channel.hello("a-1")
        times.append(anyio.current_time())
        group.start_soon(bench)
        word, number, *rest = (await stream.receive()).decode().split(" ", 4)
        assert (word, rest) == ("bench", ["file", "250", "/a b\n"])
        await anyio.sleep(0.05)  # what it takes to set up
        await stream.send(f"density begun {number}\n".encode())
        await anyio.sleep(0.02)  # its work
        await stream.send(f"density bench {number} 4096 250000\n".encode())
    assert found[0].amount == 4096
    assert found[0].own_seconds == 0.25
    assert 0.01 < found[0].seconds < anyio.current_time() - times[0] - 0.04


async def test_a_benchmark_that_is_refused_says_why(channel: Channel) -> None:
    """In the system's words; an instance that goes, or none at all, is another matter."""
    channel.expect("a-1")
    async with await say(channel, ready(channel, "a-1")) as stream, anyio.create_task_group() as group:
        await channel.hello("a-1")

        async def refuse() -> None:
            number = (await stream.receive()).split()[1].decode()
            await stream.send(f"density refused {number} No space left on device\n".encode())

        group.start_soon(refuse)
        with pytest.raises(BenchRefused, match="No space left on device"):
            await channel.bench("a-1", "disk", seconds=0.1)
    with pytest.raises(ChannelClosed):
        await channel.bench("a-2", "disk", seconds=0.1)


async def test_a_payload_can_be_recalled(channel: Channel) -> None:
    """One that was ready before its VM was saved is asked who it is, and is heard as if it had just begun."""
    path = await channel.listen_serial("v-1")
    with pytest.raises(ChannelClosed):
        channel.recall("v-1")
    async with await anyio.connect_unix(path) as stream:
        await stream.send(b"\r\nrestored\r\n")
        await channel.console_match("v-1", "restored")
        channel.recall("v-1")
        assert await stream.receive() == b"hello\n"
        await stream.send(b"density ready v-1 kernel=6.1 uptime_us=9000000\n")
        assert (await channel.hello("v-1")).uptime_seconds == 9.0


async def test_one_that_does_not_read_blocks_nobody(channel: Channel) -> None:
    """Pings to an instance that never reads run into their caller's time limit, however full its socket is."""
    channel.expect("a-1")
    async with await say(channel, ready(channel, "a-1")), anyio.create_task_group() as group:
        await channel.hello("a-1")
        for _ in range(3000):
            group.start_soon(channel.ping, "a-1")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await channel.ping("a-1")
        group.cancel_scope.cancel()


async def test_dismissing_closes_the_sockets(channel: Channel) -> None:
    """Dismissing all hangs up on every process: they exit by themselves."""
    streams = []
    for name in ("a-1", "a-2"):
        channel.expect(name)
        streams.append(await say(channel, ready(channel, name)))
        await channel.hello(name)
    await channel.dismiss()
    for stream in streams:
        assert await closed(stream)


async def serial(channel: Channel, instance_id: str) -> SocketStream:
    """Connect as QEMU does."""
    return await anyio.connect_unix(await channel.listen_serial(instance_id))


async def test_a_serial_socket_is_for_one(channel: Channel) -> None:
    """QEMU's user may connect to it, and we, once: then it is gone, and the connection is not."""
    path = await channel.listen_serial("v-1")
    assert stat.S_IMODE((await anyio.Path(path).stat()).st_mode) == 0o600
    async with await anyio.connect_unix(path) as stream:
        await stream.send(b"\r\nhello\r\n")
        await channel.console_match("v-1", "^hello$")
        assert not await anyio.Path(path).exists()


async def test_a_payload_over_serial(channel: Channel) -> None:
    """It is heard among console lines, is answered with its lease, and may say ready more than once."""
    async with await serial(channel, "v-1") as stream:
        await stream.send(b"\x1b[2JSeaBIOS\r\n[ 0.1] kernel\r\n\ndensity ready v-1 kernel=6.1 uptime_us=1000\n")
        hello = await channel.hello("v-1")
        assert hello.kernel == "6.1"
        assert await stream.receive() == b"lease 30\n"
        await stream.send(b"density ready v-1 kernel=6.1 uptime_us=2000000\n")
        assert await stream.receive() == b"lease 30\n"
        assert await channel.hello("v-1") == hello
        assert channel.console("v-1") == ("SeaBIOS", "[ 0.1] kernel")
        assert channel.pingable("v-1")


async def test_a_guest_without_a_payload(channel: Channel) -> None:
    """The null guest says two words: it is ready, has no kernel, answers no pings and is told nothing."""
    async with await serial(channel, "v-1") as stream:
        await stream.send(b"Booting...density ready\r\n")
        assert (await channel.hello("v-1")).kernel == ""
        assert not channel.pingable("v-1")
        await channel.dismiss()
        with anyio.move_on_after(0.05) as scope:
            await stream.receive()
        assert scope.cancelled_caught


async def test_a_serial_port_does_not_speak_for_another(channel: Channel) -> None:
    """A VM that says another one's id is not heard, on its own port or on the processes' socket."""
    async with await serial(channel, "v-1") as stream:
        channel.expect("a-1")
        await stream.send(b"density ready a-1 kernel=6\ndone\n")
        await channel.console_match("v-1", "done")
        assert not channel.pingable("a-1")
        assert not channel.pingable("v-1")
        assert await closed(await say(channel, ready(channel, "v-1")))


async def test_leases_are_renewed(channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Payloads on serial ports get a renewal again and again; processes, whose socket tells, never."""
    monkeypatch.setattr(channel_module, "_RENEWAL_SECONDS", 0.01)
    async with Channel(tmp_path / "d") as quick, await serial(quick, "v-1") as stream:
        quick.expect("a-1")
        async with await say(quick, ready(quick, "a-1")) as process:
            await stream.send(b"density ready v-1\n")
            said = b""
            while said.count(b"lease 30\n") < 3:
                said += await stream.receive()
            await quick.dismiss(["a-1"])
            with pytest.raises(anyio.EndOfStream):
                await process.receive()


async def test_dismissing_a_vm_says_stop_and_listens_on(channel: Channel) -> None:
    """QEMU drops what it has not read from a closed socket, so a VM is told to stop and its last words are kept."""
    async with await serial(channel, "v-1") as stream:
        await stream.send(b"density ready v-1\n")
        await channel.hello("v-1")
        await channel.dismiss(["v-1"])
        said = b""
        while not said.endswith(b"stop\n"):
            said += await stream.receive()
        assert not channel.pingable("v-1")
        await stream.send(b"reboot: Power down\n")
        while channel.console("v-1") != ("reboot: Power down",):
            await anyio.lowlevel.checkpoint()


async def test_dismissing_a_vm_that_never_connected(channel: Channel) -> None:
    """Its socket goes with it, and who waits is told."""
    path = await channel.listen_serial("v-1")
    await channel.dismiss()
    assert not await anyio.Path(path).exists()
    await raises_closed(channel, "v-1")


async def test_the_console_keeps_the_last_lines(channel: Channel) -> None:
    """Twenty of them; they outlive the connection, so that a failure can show them."""
    stream = await serial(channel, "v-1")
    await stream.send(b"".join(b"line %d\n\n" % number for number in range(50)))
    await stream.aclose()
    await raises_closed(channel, "v-1")
    assert channel.console("v-1") == tuple(f"line {number}" for number in range(30, 50))
    channel.forget("v-1")
    assert channel.console("v-1") == ()


async def test_a_console_can_be_waited_for(channel: Channel) -> None:
    """A pattern is found in lines said before, in a prompt that has no end yet, and its wait ends with the VM."""
    stream = await serial(channel, "v-1")
    async with anyio.create_task_group() as group:
        group.start_soon(channel.console_match, "v-1", "login:$")
        group.start_soon(channel.console_match, "v-1", r"^Debian \d+")
        await anyio.wait_all_tasks_blocked()
        await stream.send(b"Debian 12\r\nhost login: ")
    await channel.console_match("v-1", "Debian")
    await channel.console_match("v-1", "login:")
    async with anyio.create_task_group() as group:
        group.start_soon(stream.aclose)
        with pytest.raises(ChannelClosed, match="never"):
            await channel.console_match("v-1", "never")
    with pytest.raises(ChannelClosed):
        await channel.console_match("v-1", "never")


async def test_it_leaves_nothing(tmp_path: Path) -> None:
    """Leaving hangs up on everyone and removes the sockets and the directory."""
    async with Channel(tmp_path / "c") as channel:
        channel.expect("a-1")
        stream = await say(channel, ready(channel, "a-1"))
        silent = await say(channel, "")
        await channel.hello("a-1")
        await channel.listen_serial("v-1")
        assert stat.S_IMODE((await anyio.Path(channel.directory).stat()).st_mode) == 0o711
        assert stat.S_IMODE((await anyio.Path(channel.socket_path).stat()).st_mode) == 0o600
    assert await closed(stream)
    assert await closed(silent)
    assert not await anyio.Path(channel.directory).exists()


async def test_errors_of_the_body_are_not_wrapped(tmp_path: Path) -> None:
    """What goes wrong inside a channel comes out as it is, and the channel is left all the same."""
    channel = Channel(tmp_path / "c")
    with pytest.raises(DensityError, match="mine"):
        async with channel:
            raise DensityError("mine")
    assert not await anyio.Path(channel.directory).exists()


async def test_a_long_path_is_told(tmp_path: Path) -> None:
    """A path too long for a socket is one clear sentence, not the kernel's."""
    with pytest.raises(DensityError, match="107 bytes"):
        async with Channel(tmp_path / ("x" * 100)):
            pytest.fail("entered")


@contextmanager
def out_of_descriptors() -> Iterator[socket.socket]:
    """A socket that is not connected yet, and no descriptor beyond it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as last:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno() + 1, hard))
            yield last
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_out_of_descriptors_it_rests_and_goes_on(channel: Channel) -> None:
    """With no descriptor left a connection waits in the backlog; when one is closed, it is heard."""
    channel.expect("a-1")
    channel.expect("a-2")
    first = await say(channel, ready(channel, "a-1"))
    await channel.hello("a-1")
    with out_of_descriptors() as second:
        second.connect(str(channel.socket_path))
        second.sendall(ready(channel, "a-2").encode())
        while not channel._entrance.rests:
            await anyio.lowlevel.checkpoint()
        assert not channel.pingable("a-2")
        await channel.dismiss(["a-1"])
        await channel.hello("a-2")
    assert await closed(first)


async def test_out_of_descriptors_for_long_who_waits_has_failed(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the shortage, not by its time; who is connected is not concerned, and afterwards all is as before."""
    monkeypatch.setattr(channel_module, "_RENEWAL_SECONDS", 0.01)
    monkeypatch.setattr(entrance, "SHORTAGE_SECONDS", 0.05)
    async with Channel(channel.directory.with_name("d")) as quick:
        for instance_id in ("a-1", "a-2"):
            quick.expect(instance_id)
        async with await say(quick, ready(quick, "a-1")):
            await quick.hello("a-1")
            with out_of_descriptors() as second:
                second.connect(str(quick.socket_path))
                with pytest.raises(OSError, match="Too many open files"):
                    await quick.hello("a-2")
                assert quick.pingable("a-1")
            await anyio.sleep(0.1)  # longer than a shortage may last: it is over, and fails nobody
            quick.expect("a-3")
            await anyio.sleep(0.05)
            async with await say(quick, ready(quick, "a-3")):
                await quick.hello("a-3")


async def test_out_of_descriptors_a_vm_fails_alone(channel: Channel) -> None:
    """A serial port that cannot be accepted is that instance's failure, in the system's words; the others go on."""
    channel.expect("a-1")
    first = await say(channel, ready(channel, "a-1"))
    await channel.hello("a-1")
    path = await channel.listen_serial("v-1")
    with out_of_descriptors() as qemu:
        qemu.connect(str(path))
        with pytest.raises(OSError, match="Too many open files") as raised:
            await channel.hello("v-1")
        assert classify(str(raised.value)) == "too_many_files"
        with pytest.raises(OSError, match="Too many open files"):
            channel.joined("v-1")
        assert channel.pingable("a-1")
    assert not await anyio.Path(path).exists()
    channel.forget("v-1")
    async with await serial(channel, "v-1") as stream:
        await stream.send(b"density ready v-1\n")
        await channel.hello("v-1")
    await first.aclose()


@pytest.mark.parametrize(
    ("line", "wanted"), [(b"x" * 79 + b"\n", ""), (b"\n", ""), (b"x", ""), (b"x" * 1023 + b"\n", ".*ready$")]
)
async def test_a_flood_on_a_serial_port_is_borne(line: bytes, wanted: str, channel: Channel) -> None:
    """A megabyte of short, empty, endless or long lines takes a fraction of a second; the console keeps its last."""
    path = await channel.listen_serial("v-1")
    with socket.socket(socket.AF_UNIX) as qemu:
        qemu.connect(str(path))
        channel.joined("v-1")
        async with anyio.create_task_group() as group:
            if wanted:
                group.start_soon(channel.console_match, "v-1", wanted)
            spent = time.thread_time()
            await anyio.to_thread.run_sync(qemu.sendall, line * (2**20 // len(line)))
            await anyio.to_thread.run_sync(qemu.sendall, b"\nnow ready\n")
            while "now ready" not in channel.console("v-1"):
                await anyio.lowlevel.checkpoint()
            assert time.thread_time() - spent < 0.6
    assert len(channel.console("v-1")) <= 20
