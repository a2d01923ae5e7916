"""A slice as a unit of systemd, where systemd owns the cgroups."""

import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import anyio

from density.host.slice_limits import Limits, SliceUnavailable

Runner = Callable[[Sequence[str]], Awaitable[None]]
"""Runs a command to its end; raises `SliceUnavailable` with its words if it fails."""


def manages(root: Path) -> bool:
    """Whether systemd is process 1 of this host."""
    return (root / "run/systemd/system").is_dir()


def has_machined(root: Path) -> bool:
    """Whether libvirt will ask systemd for a scope inside the slice; without machined it makes directories itself."""
    return (root / "usr/share/dbus-1/system-services/org.freedesktop.machine1.service").exists()


async def run_command(command: Sequence[str]) -> None:
    """Run a command.

    Raises:
        SliceUnavailable: it failed or does not exist.
    """
    try:
        done = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise SliceUnavailable(f"{command[0]}: {error.strerror}") from error
    except RuntimeError as error:  # before Python 3.12 a thread waits for it, and the host may have none to give
        raise SliceUnavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise SliceUnavailable(f"{' '.join(command[:3])}: {words or f'exit {done.returncode}'}")


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


async def stop_unit(unit: str, run: Runner) -> None:
    """Stop the unit and forget its properties. Stopping ends everything in it, so ask only for an empty one."""
    for verb in ("stop", "revert"):
        with suppress(SliceUnavailable):
            await run(["systemctl", "--no-ask-password", verb, unit])
