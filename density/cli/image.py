"""`density image`."""

import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

import anyio
import click

from density.controller.paths import cache_dir
from density.payload.images import SERVICES, Container, DebianDisk, container_archive, debian_disk, write_copy
from density.payload.images.bootstrap import SUITE, Packages
from density.payload.images.container import NOBODY
from density.units import format_bytes

Result = TypeVar("Result")

_suite = click.option("--suite", default=SUITE, show_default=True, metavar="NAME", help="Debian's release.")
_mirror = click.option("--mirror", default="", metavar="URL", help="The archive to take packages from [Debian's own].")
_fresh = click.option("--fresh", is_flag=True, help="Make it again, with what the packages are by now.")


@click.group("image")
def command() -> None:
    """Make images of real services and of a whole Debian, from Debian's packages; as root.

    What is made stays in the cache and is made once for the same options.
    """


@command.command("debian")
@click.option("--packages", "names", default="", metavar="A,B,...", help="Packages to install beside the system.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH",
              help="Copy it there: raw if that ends in .raw or .img, else qcow2 [only the cache].")  # fmt: skip
@_suite
@_mirror
@_fresh
def debian(*, names: str, output: Path | None, suite: str, mirror: str, fresh: bool) -> None:
    r"""Make a disk image that boots a whole Debian: kernel, systemd, a console on the serial port.

    It prints "density: ready" there once systemd is done and redis-server and memcached, where they are among the
    packages, answer. Nobody can log in.

    \b
    density image debian --packages redis-server -o images/redis.qcow2
    """
    packages = Packages(names=tuple(name.strip() for name in names.split(",") if name.strip()), suite=suite,
                        mirror=mirror)  # fmt: skip

    async def make() -> Path:
        made = await debian_disk(DebianDisk(packages), cache_dir(), say=_say, fresh=fresh)
        if output:
            await write_copy(made, output)
        return output or made

    path = _run(make)
    click.echo(str(path))


@command.command("container")
@click.argument("service", type=click.Choice(list(SERVICES)))
@_suite
@_mirror
@_fresh
def container(*, service: str, suite: str, mirror: str, fresh: bool) -> None:
    r"""Make a container image of SERVICE: its program, its libraries, nothing else; where no registry can be reached.

    \b
    density image container redis
    density run redis --set workloads.redis.image=density-redis:local
    """
    from density.engines.docker.importing import Layer, import_layer  # noqa: PLC0415 — half a second, for this alone

    wanted = Container(service, Packages(suite=suite, mirror=mirror))

    async def make() -> int:
        archive = await container_archive(wanted, cache_dir(), say=_say, fresh=fresh)
        layer = Layer(archive=archive, tag=wanted.tag, entry_point=wanted.entry_point, user=NOBODY)
        return await import_layer("", layer)

    _say(f"{format_bytes(_run(make))}")
    click.echo(wanted.tag)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _run(make: Callable[[], Awaitable[Result]]) -> Result:
    """Run it; a signal that would end us ends it first, so that it cleans up."""
    before = {each: signal.signal(each, _interrupt) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        return anyio.run(make)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
