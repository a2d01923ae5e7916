"""A slice as a unit of systemd, where systemd owns the cgroups."""

import os
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio

from density.host.removing import remove_all
from density.host.slice_limits import Limits, SliceUnavailable
from density.log import logger

log = logger(__name__)

ANSWER_SECONDS = 10.0
"""For a call; a D-Bus or a systemd that hangs gives none, and whoever makes a slice or removes it waits for it."""
_SUFFIXES = ("", ".d")
_KEPT_IN = ("run/systemd/system.control", "run/systemd/transient")
"""Where systemd keeps units and properties that were made at run time."""


class NoAnswer(SliceUnavailable):
    """It is not known what systemd did: it did not answer in time, or could not be asked."""


Runner = Callable[[Sequence[str]], Awaitable[None]]
"""Runs a command to its end; raises `SliceUnavailable` with its words if it fails."""


def manages(root: Path) -> bool:
    """Whether systemd is process 1 of this host."""
    return (root / "run/systemd/system").is_dir()


def has_machined(root: Path) -> bool:
    """Whether libvirt will ask systemd for a scope inside the slice; without machined it makes directories itself."""
    return (root / "usr/share/dbus-1/system-services/org.freedesktop.machine1.service").exists()


async def run_command(command: Sequence[str]) -> None:
    """Run a command, for so long at most as an answer may take.

    Raises:
        NoAnswer: it did not end in time, or could not be started.
        SliceUnavailable: it failed.
    """
    words = " ".join(word for word in command if not word.startswith("-"))
    try:
        with anyio.fail_after(ANSWER_SECONDS):
            done = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL)
    except TimeoutError as error:
        raise NoAnswer(f"{words}: no answer within {ANSWER_SECONDS:g} s") from error
    except OSError as error:
        raise NoAnswer(f"{command[0]}: {error.strerror}") from error
    except RuntimeError as error:  # before Python 3.12 a thread waits for it, and the host may have none to give
        raise NoAnswer(f"{command[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise SliceUnavailable(f"{' '.join(command[:3])}: {said or f'exit {done.returncode}'}")


def properties(limits: Limits) -> list[str]:
    """The unit's properties; accounting is asked for even without limits, for the sensors."""
    found = ["MemoryAccounting=yes", "TasksAccounting=yes", "CPUAccounting=yes"]
    if limits.memory_bytes:
        found += [f"MemoryMax={limits.memory_bytes}", "MemorySwapMax=0"]
    if limits.tasks:
        found.append(f"TasksMax={limits.tasks}")
    if limits.cpus:
        found.append(f"CPUQuota={limits.cpus * 100:.10g}%")
    return found


async def start_unit(unit: str, limits: Limits, run: Runner) -> None:
    """Start the slice unit with these limits; it is gone with the next boot at the latest.

    Raises:
        SliceUnavailable: systemd refuses.
    """
    await run(["systemctl", "--no-ask-password", "start", unit])
    await run(["systemctl", "--no-ask-password", "set-property", "--runtime", unit, *properties(limits)])


async def stop_unit(unit: str, run: Runner) -> str:
    """Stop the unit and forget its properties. Stopping ends everything in it, so ask only for an empty one.

    Returns:
        Why it may still be there; empty where systemd answered, though with a refusal: it may not know the unit.
    """
    for verb in ("stop", "revert"):
        try:
            await run(["systemctl", "--no-ask-password", verb, unit])
        except NoAnswer as error:
            log.warning("unit not removed", unit=unit, error=str(error))
            return str(error)
        except SliceUnavailable as error:
            log.info("unit not changed", unit=unit, error=str(error))
    return ""


def kept(root: Path) -> set[str]:
    """The units of which systemd keeps something that was made at run time, by their names. Blocks."""
    names = (path.name for directory in _KEPT_IN for path in (root / directory).glob("density*.slice*"))
    return {name.removesuffix(".d") for name in names}


def forget(root: Path, unit: str) -> list[Path]:
    """Remove what systemd keeps of a unit that is stopped; what is left. Blocks."""
    paths = (root / directory / f"{unit}{suffix}" for directory in _KEPT_IN for suffix in _SUFFIXES)
    return remove_all(path for path in paths if os.path.lexists(path))
