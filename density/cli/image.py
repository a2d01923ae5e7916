"""`density image`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio
import click
from anyio.to_thread import run_sync

from density.cli.output import echo
from density.controller.paths import cache_dir
from density.controller.versus.interruption import interruptible
from density.payload.images import SERVICES, Container, DebianDisk, container_archive, debian_disk, write_copy
from density.payload.images.bootstrap import SUITE, Packages
from density.payload.images.container import NOBODY
from density.payload.images.tools import check_place
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


@command.command("debian", epilog="\b\ndensity image debian --packages redis-server -o images/redis.qcow2")
@click.option("--packages", "names", default="", metavar="A,B,...", help="Packages to install beside the system.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH",
              help="Copy it there: raw if that ends in .raw or .img, else qcow2 [only the cache].")  # fmt: skip
@_suite
@_mirror
@_fresh
def debian(*, names: str, output: Path | None, suite: str, mirror: str, fresh: bool) -> None:
    """Make a disk image that boots a whole Debian: kernel, systemd, a console on the serial port.

    It prints "density: ready" there once systemd is done and redis-server and memcached, where they are among the
    packages, answer. Nobody can log in.
    """
    packages = Packages(names=tuple(name.strip() for name in names.split(",") if name.strip()), suite=suite,
                        mirror=mirror)  # fmt: skip

    async def make() -> Path:
        if output:
            await run_sync(check_place, output)
        made = await debian_disk(DebianDisk(packages), cache_dir(), say=_say, fresh=fresh)
        if output:
            await write_copy(made, output)
        return output or made

    path = _run(make)
    echo(str(path))


@command.command(
    "container",
    epilog="\b\ndensity image container redis\ndensity run redis --set workloads.redis.image=density-redis:local",
)
@click.argument("service", type=click.Choice(list(SERVICES)), metavar="SERVICE")
@_suite
@_mirror
@_fresh
def container(*, service: str, suite: str, mirror: str, fresh: bool) -> None:
    """Make a container image of SERVICE, redis or memcached: its program, the libraries that it loads, nothing else.

    For hosts from which no registry can be reached.
    """
    from density.engines.docker.importing import Layer, import_layer  # noqa: PLC0415 — half a second, for this alone

    wanted = Container(service, Packages(suite=suite, mirror=mirror))

    async def make() -> int:
        archive = await container_archive(wanted, cache_dir(), say=_say, fresh=fresh)
        layer = Layer(archive=archive, tag=wanted.tag, entry_point=wanted.entry_point, user=NOBODY)
        return await import_layer("", layer)

    _say(f"{format_bytes(_run(make))}")
    echo(wanted.tag)


def _say(line: str) -> None:
    echo(line, err=True)


def _run(make: Callable[[], Awaitable[Result]]) -> Result:
    """What it makes; a signal ends it, and it cleans up."""

    async def work() -> list[Result]:
        made: list[Result] = []
        async with interruptible(_say):
            made.append(await make())
        return made

    for result in anyio.run(work):
        return result
    raise click.Abort
