"""Connections to a Docker daemon: which endpoint, one SDK client for each call under way, and the daemon's words."""

import math
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
from anyio import CapacityLimiter
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, TLSParameterError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException, Timeout
from urllib3.exceptions import HTTPError

from density.engines.docker.answers import MalformedAnswerError, Version
from density.engines.docker.context import active_context
from density.engines.docker.session import Interrupt, LeanClient, Patience, layers
from density.errors import EngineUnavailable
from density.threads import in_thread

DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
REMEDY = "start it with `systemctl start docker`, or install it with `apt-get install docker.io`"

TLS_REMEDY = "put ca.pem, cert.pem and key.pem into the directory that DOCKER_CERT_PATH names, by default ~/.docker"

CLIENT_ERRORS = (DockerException, RequestException, HTTPError, OSError)
"""Everything a call can raise: the daemon said no (`APIError`), or the way to it failed (the others)."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the daemon listens, and how to prove who we are where that is by TLS.

    Attributes:
        is_default: nobody asked for it: it is Docker's own default.
    """

    url: str
    tls: TLSConfig | None = None
    is_default: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is a socket of this host; what listens on it may still be a tunnel."""
        return self.url.startswith("unix://")

    @property
    def socket_path(self) -> str:
        """Path of the daemon's socket; empty where it has none."""
        return self.url.removeprefix("unix://") if self.is_local else ""


def find_endpoint(asked: str) -> Endpoint:
    """The endpoint asked for, else `DOCKER_HOST`, else Docker's own default; over TCP with Docker's TLS variables.

    The CLI's contexts are not followed: a run shall not depend on what was last chosen in another terminal.

    Raises:
        EngineUnavailable: no endpoint that can be asked, or TLS is asked for, without the files that it takes.
    """
    url = asked or os.environ.get("DOCKER_HOST") or DEFAULT_ENDPOINT
    if not _is_endpoint(url):
        source = "the profile or --docker" if asked else "DOCKER_HOST"
        allowed = "allowed is unix:///PATH or tcp://HOST:PORT, of this host"
        raise EngineUnavailable("docker", f"{url!r}, from {source}, is no endpoint that density can ask; {allowed}")
    if not url.startswith("tcp://"):
        return Endpoint(url, is_default=not (asked or os.environ.get("DOCKER_HOST")))
    try:
        return Endpoint(url, kwargs_from_env(dict(os.environ)).get("tls"))
    except TLSParameterError as error:
        raise EngineUnavailable("docker", f"{url} cannot be asked by TLS: {error.msg}", remedy=TLS_REMEDY) from error


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        by_tcp = parts.scheme == "tcp" and bool(parts.hostname and parts.port)
    except ValueError:  # a port that is none
        return False
    return by_tcp or (parts.scheme == "unix" and bool(parts.path))


class Clients:
    """SDK clients for worker threads. `APIClient` is not promised to be thread-safe, so a call has one to itself.

    Attributes:
        api_version: that is spoken with the daemon.
        patience: for how long it is waited for.
    """

    def __init__(self, endpoint: Endpoint, *, concurrency: int, patience: Patience = Patience()) -> None:
        """`concurrency`: calls under way at once, and connections kept for them; more wait their turn."""
        self.endpoint = endpoint
        self.patience = patience
        self.api_version = MINIMUM_DOCKER_API_VERSION
        self._concurrency = concurrency
        self._limiter = CapacityLimiter(concurrency)
        # Those that were given up end a moment later, and take no place of the others meanwhile.
        self._threads = CapacityLimiter(math.inf)
        self._idle: list[LeanClient] = []
        self._closed = False

    async def connect(self) -> Version:
        """Find out which API version to speak, and of which version the daemon is.

        Raises:
            EngineUnavailable: nobody answers, or not in a language of the SDK.
        """
        try:
            said = await self.call(lambda client: client.version(api_version=False), seconds=self.patience.hello)
            version = Version.of(said)
        except CLIENT_ERRORS as error:
            raise unavailable(self.endpoint, error) from error
        self.api_version = version.api_version
        self._close_idle()  # they speak the oldest version
        return version

    def close(self) -> None:
        """Close the connections that are idle; a call under way closes its own when it is over."""
        self._closed = True
        self._close_idle()

    @contextmanager
    def borrow(self, interrupt: Interrupt | None = None, *, seconds: float = 0.0) -> Iterator[LeanClient]:
        """A client for the thread that asks, until it gives it back.

        Args:
            interrupt: what may end what is waited for meanwhile, from another thread.
            seconds: without a word of an answer; 0: as for any question.
        """
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._make()
        client.begin(seconds or self.patience.answer, interrupt)
        try:
            yield client
        finally:
            client.end()
            interrupted = interrupt is not None and interrupt.fired.is_set()
            if interrupted or len(self._idle) >= self._concurrency:
                client.close()
            else:
                self._idle.append(client)
            if self._closed:
                self.close()

    async def call(
        self, function: Callable[[LeanClient], Result], *, seconds: float = 0.0, makes: bool = False
    ) -> Result:
        """Run one call in a worker thread, and give it up where it takes too long or the caller is cancelled.

        Args:
            function: takes a client.
            seconds: for all of it, however much has come of the answer by then; 0: as for any question.
            makes: what it makes has to be known, so a cancelled caller still waits for it, for a short time.

        Raises:
            requests.exceptions.Timeout: there is no whole answer by then.
        """
        seconds = seconds or self.patience.answer
        interrupt = Interrupt()

        def work() -> Result:
            with self.borrow(interrupt, seconds=seconds + 1) as client:  # the deadline of the caller comes first
                return function(client)

        async def answer() -> Result:
            return await in_thread(work, limiter=self._threads, abandon_on_cancel=True)

        async with self._limiter:
            try:
                return await _within(seconds, answer, more_seconds=self.patience.give_up if makes else 0.0)
            except TimeoutError:
                raise Timeout(f"no answer within {seconds:g} s") from None
            finally:
                interrupt.fire()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _make(self) -> LeanClient:
        return LeanClient(
            self.endpoint.url,
            version=self.api_version,
            tls=self.endpoint.tls,
            silence_seconds=self.patience.silence,
        )


async def _within(seconds: float, work: Callable[[], Awaitable[Result]], *, more_seconds: float) -> Result:
    """What this gives, if it comes in time; a caller who is cancelled meanwhile waits `more_seconds` for it at most.

    Raises:
        TimeoutError: it did not come in time.
    """
    if not more_seconds:
        with anyio.fail_after(seconds):
            return await work()
    done: list[Result] = []
    failed: list[Exception] = []
    scope = anyio.CancelScope(deadline=anyio.current_time() + seconds, shield=True)

    async def hurry() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            scope.deadline = min(scope.deadline, anyio.current_time() + more_seconds)

    async with anyio.create_task_group() as group:
        group.start_soon(hurry)
        with scope:
            try:
                done.append(await work())
            except Exception as error:  # noqa: BLE001 — raised below: the group would wrap it
                failed.append(error)
        group.cancel_scope.cancel()
    if failed:
        raise failed[0]
    if not done:
        await anyio.lowlevel.checkpoint_if_cancelled()  # else there was no answer in time
        raise TimeoutError
    return done[0]


def has_answered(error: BaseException) -> bool:
    """Whether the daemon itself said no; else it may have done, or may yet do, what it was asked."""
    return isinstance(error, APIError)


def is_refused(error: BaseException) -> bool:
    """Whether the daemon could not be reached, or hung up."""
    return not isinstance(error, APIError | MalformedAnswerError | Timeout)


def is_at_fault(error: APIError) -> bool:
    """Whether the daemon blames itself, and not what it was asked for."""
    return error.status_code is None or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR


def is_missing(error: BaseException) -> bool:
    """Whether the daemon said that there is no such object."""
    return isinstance(error, APIError) and error.status_code == HTTPStatus.NOT_FOUND


def words(error: BaseException) -> str:
    """What the daemon said, in one line."""
    if isinstance(error, MalformedAnswerError):
        return str(error)
    said = error.explanation if isinstance(error, APIError) and error.explanation else _root(error)
    return " ".join(str(said).split())


def _root(error: BaseException) -> str:
    """The system's own words: `requests` and `urllib3` wrap them in several layers of their own."""
    inner = error
    for inner in layers(error):
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
    said = str(inner) or type(inner).__name__
    return said[:1].lower() + said[1:]


def unavailable(endpoint: Endpoint, error: BaseException) -> EngineUnavailable:
    """The error for an endpoint that does not answer, or not as a daemon does."""
    if "PermissionError" in str(error) or isinstance(error, PermissionError):
        return EngineUnavailable(
            "docker", f"may not open {endpoint.url}", remedy="run as root, or join the group `docker`"
        )
    if isinstance(error, APIError | MalformedAnswerError):
        return EngineUnavailable("docker", f"{endpoint.url} answers, and cannot be used: {words(error)}")
    context = active_context() if endpoint.is_default else None
    remedy = context.remedy if context else REMEDY
    said = f"{endpoint.url} does not answer: {words(error)}"
    return EngineUnavailable("docker", said, remedy=remedy, is_away=is_refused(error))


def elsewhere(endpoint: Endpoint, there: str, here: str) -> EngineUnavailable:
    """The error for a daemon of another machine, both in words."""
    return EngineUnavailable(
        "docker",
        f"{endpoint.url} is a daemon of another machine ({there}; this one is {here}), and all that density measures is"
        " the machine it runs on",
        remedy="run density there",
    )
