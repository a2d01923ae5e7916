"""Fetching the distribution's kernel for virtual machines by apt, without installing it and without being root."""

import re
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from density.threads import in_thread

META_PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64", "linux-image-generic")
"""What depends on the newest kernel: Debian's and Ubuntu's for clouds, then their general ones."""

SCRATCH = "density-kernel-"
"""How the names of temporary directories begin in which a kernel is unpacked."""
_FETCH_SECONDS = 300.0


class FetchError(OSError):
    """The kernel could not be fetched; the message has apt's own words."""


def parse_kernel_package(text: str) -> str | None:
    """The kernel's package in what `apt-cache depends` says of a meta package; None if it names none."""
    found = re.search(r"^\s*Depends: (linux-image-[0-9][^\s:]*)", text, re.MULTILINE)
    return found[1] if found else None


@asynccontextmanager
async def fetch_kernel() -> AsyncGenerator[Path]:
    """A `vmlinuz-VERSION` out of the distribution's package, in a directory that goes when this is left.

    Raises:
        FetchError: no apt, no such package, no network, no answer within five minutes.
    """
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                yield await _unpacked(Path(scratch))
        except FileNotFoundError as error:
            raise FetchError(f"there is no {error.filename} here") from error
        except TimeoutError as error:
            raise FetchError(f"apt gave no kernel within {_FETCH_SECONDS:.0f} s") from error


async def _unpacked(scratch: Path) -> Path:
    options: tuple[str, ...] = ()
    package = await _kernel_package(options)
    if package is None:
        # No package lists yet, as on a fresh machine: fetch them to a place of our own, which needs no root.
        options = _own_state(scratch)
        await _run(["apt-get", *options, "update"], scratch)
        package = await _kernel_package(options)
    if package is None:
        raise FetchError(f"apt knows none of {', '.join(META_PACKAGES)}")
    await _run(["apt-get", *options, "-o", "APT::Sandbox::User=root", "download", package], scratch)
    [archive] = await in_thread(_matching, scratch, "*.deb")
    await _run(["dpkg-deb", "-x", str(archive), str(scratch / "unpacked")], scratch)
    kernels = await in_thread(_matching, scratch, "unpacked/boot/vmlinuz-*")
    if not kernels:
        raise FetchError(f"there is no kernel in the package {package}")
    return kernels[0]


async def _kernel_package(options: Sequence[str]) -> str | None:
    for meta in META_PACKAGES:
        said = await anyio.run_process(["apt-cache", *options, "depends", meta], check=False, stderr=subprocess.DEVNULL)
        if package := parse_kernel_package(said.stdout.decode(errors="replace")):
            return package
    return None


def _own_state(scratch: Path) -> tuple[str, ...]:
    lists, cache = scratch / "lists", scratch / "cache"
    (lists / "partial").mkdir(parents=True)
    (cache / "archives/partial").mkdir(parents=True)
    return "-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}", "-o", "APT::Sandbox::User=root"


def _matching(directory: Path, pattern: str) -> list[Path]:
    return list(directory.glob(pattern))


async def _run(command: Sequence[str], directory: Path) -> None:
    try:
        await anyio.run_process(command, cwd=directory)
    except subprocess.CalledProcessError as error:
        said: list[str] = (error.stderr or b"").decode(errors="replace").split("\n")
        words = next((line for line in said if line.startswith("E:")), f"ended with {error.returncode}")
        raise FetchError(f"{command[0]}: {words.removeprefix('E:').strip()}") from error
