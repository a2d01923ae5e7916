"""Compiles the payload, once, into the cache."""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from density.errors import EngineUnavailable
from density.places import own_directory
from density.threads import in_thread

SOURCES = tuple(Path(__file__).with_name(name) for name in ("payload.c", "bench.c", "spawn.c"))
HEADERS = (Path(__file__).with_name("payload.h"),)
FLAGS = ("-std=gnu11", "-static", "-s", "-Os", "-Wall", "-Wextra", "-Werror")
COMPILERS = ("cc", "gcc", "clang", "musl-gcc")
REMEDY = "apt-get install gcc libc6-dev, or pip install 'density[compiler]'"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A command that compiles C, and the first line that it says of its version."""

    command: tuple[str, ...]
    version: str


async def payload_binary(cache_dir: Path) -> Path:
    """The payload as a static executable in `cache_dir`, compiled there if it is not yet.

    The first compiler that can link statically is taken. Safe to call from several processes at once.

    Raises:
        EngineUnavailable: there is no compiler, or none of them can make it.
    """
    source = await in_thread(_source)
    complaints = []
    for command in compilers():
        try:
            compiler = Compiler(command, await _version(command))
            return await _compiled(cache_dir, compiler, source)
        except (OSError, subprocess.CalledProcessError) as error:
            complaints.append(f"{' '.join(command)}: {_words(error)}")
    reason = "; ".join(complaints) or "there is no C compiler"
    raise EngineUnavailable("payload", reason, remedy=REMEDY)


def _source() -> bytes:
    return b"\0".join(path.read_bytes() for path in (*SOURCES, *HEADERS))


def _publish(made: Path, binary: Path) -> None:
    made.chmod(0o755)
    made.replace(binary)


def cache_key(source: bytes, compiler: Compiler, flags: Sequence[str]) -> str:
    """What must be equal for a compiled payload to be used again; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in (source, "\0".join(compiler.command).encode(), compiler.version.encode(), "\0".join(flags).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def compilers() -> Iterator[tuple[str, ...]]:
    """The compilers of this machine, as commands, the first choice first."""
    for name in COMPILERS:
        if path := shutil.which(name):
            yield (path,)
    if importlib.util.find_spec("ziglang"):
        # Its own libc for Linux is the one that links statically without anything installed.
        yield (sys.executable, "-m", "ziglang", "cc", "-target", f"{platform.machine()}-linux-musl")


async def _version(command: tuple[str, ...]) -> str:
    said = await anyio.run_process([*command, "--version"], stderr=subprocess.DEVNULL)
    return said.stdout.decode(errors="replace").partition("\n")[0]


async def _compiled(cache_dir: Path, compiler: Compiler, source: bytes) -> Path:
    binary = cache_dir / f"payload-{cache_key(source, compiler, FLAGS)}"
    # QEMU's user reads guests in there; what is executed from there is ours.
    await in_thread(own_directory, cache_dir, 0o755)
    if await in_thread(binary.exists):
        return binary
    # zig keeps a cache of its own, by default in a home directory that there may not be.
    environment = {"ZIG_GLOBAL_CACHE_DIR": f"{cache_dir}/zig", "ZIG_LOCAL_CACHE_DIR": f"{cache_dir}/zig"}
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="payload.") as scratch:
        made = Path(scratch, "payload")
        command = [*compiler.command, *FLAGS, "-o", str(made), *map(str, SOURCES)]
        await anyio.run_process(command, env={**os.environ, **environment})
        await in_thread(_publish, made, binary)
    return binary


def _words(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, OSError):
        return str(error)
    said: bytes = error.stderr or b""
    lines = [line for line in said.decode(errors="replace").splitlines() if "error" in line or "cannot" in line]
    return lines[0].strip() if lines else f"ended with {error.returncode}"
