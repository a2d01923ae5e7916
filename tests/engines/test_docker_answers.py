"""A Docker daemon's answers where they are read, and calls that are given up."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from docker import APIClient
from engines.contract import short_directory
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.exceptions import Timeout
from support.fake_docker import Answer as Said
from support.fake_docker import FakeDocker, Question, Status, served

from density.engines.docker import answers
from density.engines.docker.answers import (
    Answer,
    Container,
    DockerNetwork,
    Event,
    Image,
    Info,
    ListedContainer,
    ListedImage,
    MalformedAnswerError,
    Version,
    parse_json,
)
from density.engines.docker.client import Clients, Endpoint
from density.engines.docker.session import Patience

NAMES = (
    "Id", "Names", "Labels", "State", "Status", "Config", "Healthcheck", "Test", "Interval", "IPAM", "Subnet",
    "Gateway", "Containers", "IPv4Address", "Pid", "ExitCode", "Health", "Log", "Ulimits", "Memory", "Action", "Actor",
    "Attributes", "time", "timeNano", "ApiVersion", "NCPU", "MemTotal", "SecurityOptions", "RepoTags", "Size", "RootFS",
)  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1.41", "::1/64"])
)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
)
MODELS = (Version, Info, Image, ListedImage, DockerNetwork, ListedContainer, Container, Event)


def refusal(read: Callable[[Any], object], answer: object) -> str:
    """The words of a `MalformedAnswerError`; empty where the answer was read."""
    try:
        read(answer)
    except MalformedAnswerError as error:
        return str(error)
    return ""


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_a_document_of_any_shape_is_read_or_refused(document: object) -> None:
    """With a `MalformedAnswerError` in one line and in few words; nothing else is ever raised."""
    for model in MODELS:
        for said in (refusal(model.of, document), refusal(model.list_of, document), refusal(model.list_of, [document])):
            assert "\n" not in said
            assert len(said) < 400


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_bytes_are_json_or_refused(data: bytes) -> None:
    """Whatever they are, and what is told of them can be printed."""
    assert refusal(parse_json, data).isprintable()


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"a":' * 50_000 + "1" + "}" * 50_000, "", "NaN-", "\x00"])
def test_what_is_no_json(text: str) -> None:
    """Depth, length and nothing at all are refused as an error of the call."""
    with pytest.raises(MalformedAnswerError, match="no JSON"):
        parse_json(text)


def test_null_is_as_good_as_absent() -> None:
    """Go writes null for a list or map that is empty; what has to be there is missed all the same."""
    found = ListedContainer.of({"Id": "c0ffee", "Names": None, "Labels": None})
    assert (found.name, found.labels) == ("c0ffee", {})
    with pytest.raises(MalformedAnswerError, match="list of containers is not as Docker's: Id: field required"):
        ListedContainer.of({"Id": None})


def test_every_model_says_what_it_is() -> None:
    """Each answer that is read as a whole is named in its error."""
    whole = [found for found in vars(answers).values() if isinstance(found, type) and issubclass(found, Answer)]
    assert {model.WHAT for model in MODELS} <= {found.WHAT for found in whole} - {Answer.WHAT}


@pytest.fixture
def anyio_backend() -> str:
    """Waits are real and short."""
    return "asyncio"


class Slow:
    """A daemon that answers `info` when it is told to."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def __call__(self, _: Question) -> Said:
        self.asked.set()
        self.go.wait(30)
        return Status(200, {"Name": "slow"})


@pytest.fixture
def slow() -> Iterator[tuple[Slow, FakeDocker, Clients]]:
    """It, and clients of it."""
    daemon = Slow()
    with short_directory() as directory, served(directory, daemon) as server:
        patience = Patience(answer=10.0, give_up=0.3)
        clients = Clients(Endpoint(f"unix://{directory}/docker.sock"), concurrency=2, patience=patience)
        yield daemon, server, clients
        daemon.go.set()
        clients.close()


def info(client: APIClient) -> str:
    """The daemon's name."""
    return Info.of(client.info()).name


def connections(server: FakeDocker) -> int:
    """Of this process to the daemon, as the kernel lists them."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {server.server_address}") and " 03 " in line for line in lines)


def until_closed(server: FakeDocker) -> None:
    """Wait until there are none."""
    deadline = time.monotonic() + 5
    while connections(server):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def cancelled_amid(slow: Slow, call: Callable[[], object]) -> float:
    """Cancel a call once the daemon was asked; for how long it went on."""
    async with anyio.create_task_group() as group:
        group.start_soon(call)  # type: ignore[arg-type]  # a coroutine function of no arguments
        await anyio.to_thread.run_sync(slow.asked.wait)
        began = anyio.current_time()
        group.cancel_scope.cancel()
    return anyio.current_time() - began


@pytest.mark.anyio
async def test_a_question_is_given_up_at_once(slow: tuple[Slow, FakeDocker, Clients]) -> None:
    """Who asked is cancelled: nobody waits for the daemon, and no connection is kept."""
    daemon, server, clients = slow
    assert await cancelled_amid(daemon, lambda: clients.call(info)) < 0.25
    daemon.go.set()
    await anyio.to_thread.run_sync(until_closed, server)


@pytest.mark.anyio
async def test_what_makes_something_is_waited_for_a_moment(slow: tuple[Slow, FakeDocker, Clients]) -> None:
    """The answer may still come, so that it is known what there is."""
    daemon, _, clients = slow
    assert 0.25 < await cancelled_amid(daemon, lambda: clients.call(info, makes=True)) < 5


@pytest.mark.anyio
@pytest.mark.parametrize("makes", [False, True])
async def test_a_call_has_a_bound(slow: tuple[Slow, FakeDocker, Clients], *, makes: bool) -> None:
    """Without a whole answer by then it has failed, and the next one works."""
    daemon, _, clients = slow
    with pytest.raises(Timeout, match=r"no answer within 0\.2 s"):
        await clients.call(info, seconds=0.2, makes=makes)
    daemon.go.set()
    assert await clients.call(info, makes=makes) == "slow"


@pytest.mark.anyio
async def test_a_call_over_the_network_is_given_up_too() -> None:
    """The daemon sees the connection end while it still thinks, so nothing of the call is left here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = Clients(Endpoint(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), concurrency=1)
        async with anyio.create_task_group() as group:
            group.start_soon(clients.call, info)
            connection, _ = await anyio.to_thread.run_sync(listener.accept)
            group.cancel_scope.cancel()
        with connection:
            connection.settimeout(5)
            while connection.recv(4096):
                pass
        clients.close()
