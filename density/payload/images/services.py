"""The services that are known here: which package has one, how it is started, and how it is asked whether it is up."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that listens on one TCP port.

    Attributes:
        package: Debian's.
        program: in the package, absolute.
        arguments: of the program in a container, where it runs as nobody and writes nothing.
        port: where it listens.
        asks: what it is asked, with C's escapes.
        answers: how its first line begins once it is up.
    """

    package: str
    program: str
    arguments: tuple[str, ...] = ()
    port: int
    asks: str
    answers: str


SERVICES: Mapping[str, Service] = {
    "redis": Service(
        package="redis-server",
        program="/usr/bin/redis-server",
        arguments=("--save", "", "--appendonly", "no"),
        port=6379,
        asks=r"PING\r\n",
        answers="+PONG",
    ),
    "memcached": Service(
        package="memcached",
        program="/usr/bin/memcached",
        port=11211,
        asks=r"version\r\n",
        answers="VERSION",
    ),
}


CONTAINERS = "docker.io"
"""Debian's package of Docker: a guest with it is ready once a container has run inside it."""


def services_in(packages: tuple[str, ...]) -> tuple[Service, ...]:
    """The services that these packages bring."""
    return tuple(service for service in SERVICES.values() if service.package in packages)
