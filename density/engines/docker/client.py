"""Connections to a Docker daemon: which endpoint, one SDK client for each call under way, and the daemon's words."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from docker import APIClient
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, TLSParameterError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException, Timeout
from urllib3.exceptions import HTTPError

from density.engines.docker.context import active_context
from density.engines.docker.session import CALL_SECONDS, Interrupt, LeanClient
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
    """

    def __init__(self, endpoint: Endpoint, *, concurrency: int) -> None:
        """`concurrency`: calls under way at once, and connections kept for them; more wait their turn."""
        self.endpoint = endpoint
        self._concurrency = concurrency
        self._limiter = CapacityLimiter(concurrency)
        self._idle: list[LeanClient] = []
        self._closed = False
        self.api_version = MINIMUM_DOCKER_API_VERSION

    def connect(self) -> None:
        """Find out which API version to speak. Blocks.

        Raises:
            EngineUnavailable: nobody answers, or not in a language of the SDK.
        """
        client = self._make()
        try:
            self.api_version = str(client.version(api_version=False)["ApiVersion"])
            self._idle.append(self._make())
        except CLIENT_ERRORS as error:
            raise unavailable(self.endpoint, error) from error
        finally:
            client.close()

    def close(self) -> None:
        """Close the connections that are idle; a call under way closes its own when it is over."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def borrow(self, interrupt: Interrupt | None = None) -> Iterator[LeanClient]:
        """A client for the thread that asks, until it gives it back.

        Args:
            interrupt: what may end the streams that are read meanwhile, from another thread.
        """
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._make()
        client.interrupt = interrupt
        try:
            yield client
        finally:
            client.end_streams()
            interrupted = interrupt is not None and interrupt.fired.is_set()
            if interrupted or len(self._idle) >= self._concurrency:
                client.close()
            else:
                self._idle.append(client)
            if self._closed:
                self.close()

    async def call(self, function: Callable[[APIClient], Result], *, seconds: int = CALL_SECONDS) -> Result:
        """Run one call in a worker thread, for at most so long without an answer.

        Never abandoned: what it makes is known when this comes back.
        """

        def work() -> Result:
            with self.borrow() as client:
                client.timeout = seconds
                return function(client)

        return await in_thread(work, limiter=self._limiter)

    def _make(self) -> LeanClient:
        return LeanClient(
            self.endpoint.url if self.endpoint.is_local else "",
            base_url=self.endpoint.url,
            version=self.api_version,
            timeout=CALL_SECONDS,
            tls=self.endpoint.tls or False,
        )


def has_answered(error: BaseException) -> bool:
    """Whether the daemon itself said no; else it may have done, or may yet do, what it was asked."""
    return isinstance(error, APIError)


def is_refused(error: BaseException) -> bool:
    """Whether the daemon could not be reached, or hung up."""
    return not isinstance(error, APIError | Timeout)


def is_missing(error: BaseException) -> bool:
    """Whether the daemon said that there is no such object."""
    return isinstance(error, APIError) and error.status_code == 404


def words(error: BaseException) -> str:
    """What the daemon said, in one line."""
    said = error.explanation if isinstance(error, APIError) and error.explanation else _root(error)
    return " ".join(str(said).split())


def _root(error: BaseException) -> str:
    """The system's own words: `requests` and `urllib3` wrap them in several layers of their own."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        wrapped = [part for part in inner.args if isinstance(part, BaseException)]
        inner = wrapped[-1] if wrapped else inner.__cause__ or inner.__context__
    return str(error)


def unavailable(endpoint: Endpoint, error: BaseException) -> EngineUnavailable:
    """The error for an endpoint that does not answer."""
    if "PermissionError" in str(error) or isinstance(error, PermissionError):
        return EngineUnavailable(
            "docker", f"may not open {endpoint.url}", remedy="run as root, or join the group `docker`"
        )
    context = active_context() if endpoint.is_default else None
    remedy = context.remedy if context else REMEDY
    return EngineUnavailable("docker", f"{endpoint.url} does not answer: {words(error)}", remedy=remedy)


def elsewhere(endpoint: Endpoint, there: str, here: str) -> EngineUnavailable:
    """The error for a daemon of another machine, both in words."""
    return EngineUnavailable(
        "docker",
        f"{endpoint.url} is a daemon of another machine ({there}; this one is {here}), and all that density measures is"
        " the machine it runs on",
        remedy="run density there",
    )
