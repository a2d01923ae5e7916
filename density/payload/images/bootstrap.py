"""A file tree from Debian's packages, by mmdebstrap, in namespaces of its own."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from density.errors import DensityError, UsageError
from density.payload.images.tools import run

SUITE = "bookworm"
SECONDS = 1800.0
"""For fetching and unpacking; it took two minutes on two busy cores."""

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_SUITE = re.compile(r"[a-z][a-z0-9.-]*")
_MIRROR = re.compile(r"(https?://|file:/)\S+")
_NOT_THERE = re.compile("Unable to locate package|no installation candidate|does not have a Release file")
_NO_MIRROR = re.compile("invalid mirror|Failed to fetch")
"""What was asked for is not there, in the words of mmdebstrap and apt."""
_ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What mmdebstrap mounts into the tree is in no other process's view, and ends with it however it ends: nothing that is
removed afterwards can be the host's own /dev."""
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Which packages, and from where; raises UsageError for what can be the name of none.

    Attributes:
        names: what is asked for beside the variant's own.
        suite: Debian's release.
        mirror: address of an archive; empty: Debian's own.
    """

    names: tuple[str, ...] = ()
    suite: str = SUITE
    mirror: str = ""

    def __post_init__(self) -> None:
        for name in self.names:
            if not _PACKAGE.fullmatch(name):
                raise UsageError(f"{name!r} is no name of a package; one has a-z, 0-9, +, - and . alone")
        if not _SUITE.fullmatch(self.suite):
            raise UsageError(f"{self.suite!r} is no name of a suite; one is bookworm, trixie or the like")
        if self.mirror and not _MIRROR.fullmatch(self.mirror):
            raise UsageError(
                f"{self.mirror!r} is no address of an archive; one begins with http://, https:// or file:/"
            )


def command(
    packages: Packages, tree: Path, *, variant: Literal["minbase", "extract"], hooks: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The command that makes the tree.

    Args:
        variant: `minbase` installs a system; `extract` only unpacks the packages and what they depend on.
        hooks: shell commands that are run in the host, with the tree as $1, before anything but the base is installed.
    """
    return (
        *("mmdebstrap", "--mode=root", "--format=directory", f"--variant={variant}"),
        f"--include={','.join(packages.names)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f"--essential-hook={hook}" for hook in hooks),
        packages.suite,
        str(tree),
        *((packages.mirror,) if packages.mirror else ()),
    )


async def bootstrap(
    packages: Packages, scratch: Path, *, variant: Literal["minbase", "extract"], hooks: tuple[str, ...] = ()
) -> Path:
    """The tree, in a directory of `scratch`; the arguments are those of `command`.

    Raises:
        UsageError: there is no such suite or package, or nothing at the mirror; in the tool's own words.
        DensityError: there is no way to Debian's own archive, or the tool failed.
    """
    tree = scratch / "tree"
    try:
        await run(command(packages, tree, variant=variant, hooks=hooks), through=_ISOLATED, seconds=SECONDS)
    except DensityError as error:
        if _NOT_THERE.search(str(error)) or (packages.mirror and _NO_MIRROR.search(str(error))):
            raise UsageError(str(error)) from error
        raise
    return tree
