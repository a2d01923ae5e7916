"""A service's container image: its program out of Debian's package, the libraries that it loads, and nothing else."""

import hashlib
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anyio.to_thread import run_sync

from density.errors import DensityError
from density.payload.images.bootstrap import Packages, bootstrap, command
from density.payload.images.services import SERVICES, Service
from density.payload.images.tools import FOR_TREES, check_tools, publish, run, scratch_beside

LOADER = "lib64/ld-linux-x86-64.so.2"
LIBRARIES = "lib/x86_64-linux-gnu"
"""The first place where Debian's loader looks, in a system without a cache of libraries."""
NOBODY = "65534:65534"

_LOADED = re.compile(r"^\s*(?P<name>\S+) => (?P<path>/\S+|not found)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Container:
    """A service's image; `packages` says from where its package comes, and names none. KeyError: no such service."""

    name: str
    packages: Packages = field(default_factory=Packages)

    @property
    def service(self) -> Service:
        """Its package and program."""
        return SERVICES[self.name]

    @property
    def tag(self) -> str:
        """What the engine calls it."""
        return f"density-{self.name}:local"

    @property
    def everything(self) -> Packages:
        """What is unpacked for it."""
        return Packages(names=(self.service.package,), suite=self.packages.suite, mirror=self.packages.mirror)

    @property
    def key(self) -> str:
        """What must be equal for an archive to be used again; 16 hexadecimal digits."""
        parts = (*command(self.everything, Path("tree"), variant="extract"), self.service.program)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def entry_point(self) -> tuple[str, ...]:
        """What a container of it runs."""
        return (self.service.program, *self.service.arguments)


def parse_loaded(text: str) -> Mapping[str, Path]:
    """The libraries in what the loader lists for a program: name -> file.

    Raises:
        DensityError: one is missing.
    """
    found = {match["name"]: match["path"] for match in _LOADED.finditer(text)}
    missing = [name for name, path in found.items() if path == "not found"]
    if missing:
        raise DensityError(f"the package lacks the library {missing[0]} that its program needs")
    return {Path(name).name: Path(path) for name, path in found.items()}


async def container_archive(
    wanted: Container, cache_dir: Path, *, say: Callable[[str], None], fresh: bool = False
) -> Path:
    """A tar in the cache with the image's one layer, made there if it is not yet; the arguments are `debian_disk`'s.

    Raises:
        UsageError: this is not root, the cache cannot be written, or there is no such suite or mirror.
        EngineUnavailable: the programs for it are not here.
        DensityError: no way to the archive, or the package has no such program.
    """
    path = cache_dir / f"{wanted.name}-{wanted.packages.suite}-{wanted.key}.tar"
    if not fresh and await run_sync(path.exists):
        say(f"made earlier; --fresh makes it again: {path.name}")
        return path
    await run_sync(check_tools, FOR_TREES)
    async with scratch_beside(path) as scratch:
        say(f"unpacking {wanted.service.package} of Debian {wanted.packages.suite}")
        tree = await bootstrap(wanted.everything, scratch, variant="extract")
        program = tree / wanted.service.program.lstrip("/")
        libraries = parse_loaded(await run(await run_sync(_listing, tree, program)))
        archive = scratch / "image.tar"
        await run_sync(write_archive, archive, program, wanted.service.program, libraries)
        await run_sync(publish, archive, path)
    return path


def _listing(tree: Path, program: Path) -> tuple[str, ...]:
    """The command by which the tree's own loader lists what the program loads; before Debian 13, /lib is no link."""
    places = [tree / LIBRARIES, tree / "usr" / LIBRARIES]
    loader = next((place / Path(LOADER).name for place in places if (place / Path(LOADER).name).exists()), None)
    if loader is None or not program.exists():
        raise DensityError(f"there is no {program.name} in the package, or no libc for x86-64 with it")
    return (str(loader), "--library-path", ":".join(map(str, places)), "--list", str(program))


def write_archive(archive: Path, program: Path, name: str, libraries: Mapping[str, Path]) -> None:
    """The layer: the same files give the same bytes (no times, owner root)."""
    members = {name.lstrip("/"): program}
    for library, path in sorted(libraries.items()):
        members[LOADER if library == Path(LOADER).name else f"{LIBRARIES}/{library}"] = path
    with tarfile.open(archive, "w") as tar:
        for directory in sorted({str(parent) for member in members for parent in Path(member).parents} - {"."}):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for member, path in members.items():
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = path.stat().st_size, 0o755  # what a link leads to, as open() does
            with path.open("rb") as file:
                tar.addfile(entry, file)
