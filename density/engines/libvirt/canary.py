"""Finding out how a guest boots here, by booting it: that there is a /dev/kvm proves nothing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import anyio
import libvirt

from density.engines.libvirt.connections import words
from density.engines.libvirt.instance import Instance, ending_failure, may_be_oom
from density.engines.libvirt.lifecycle import Lifecycle
from density.engines.libvirt.machine import Accelerator, Machine
from density.engines.libvirt.readiness import Waiter
from density.errors import CannotRun, NoRoom
from density.host.placing import SliceFull
from density.model import AcceleratorName, GuestName, Readiness, object_name
from density.units import format_seconds

KVM_SECONDS: dict[GuestName, float] = {"payload": 6.0, "null": 30.0}
"""For one boot under KVM, which takes an ordinary host a second or less; where KVM is itself emulated, the null guest's
BIOS took three, on a busy one ten and more. A payload guest that needs longer than this is better off under TCG."""
TCG_SECONDS = 60.0
SILENT_SECONDS = 60.0
"""Under KVM a guest that is to say something on its console has begun to by then, be it its boot loader."""

REMOVAL_SECONDS = 30.0
_KERNEL_LINE = re.compile(r"\[ *\d+\.\d+\] ")

TCG = Accelerator("qemu")
LXC = Accelerator("lxc")
KVM = (
    Accelerator("kvm", "host-passthrough"),
    # Where the host's CPU cannot be passed on whole (nested, paravirtual), a plain old model may still do.
    Accelerator("kvm", "kvm64"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What came up, and what did not before it: a sentence each."""

    accelerator: Accelerator
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Dead:
    """A canary that did not come up.

    Attributes:
        at_once: libvirt or QEMU refused it.
        killed_by: the ceiling because of which the kernel killed it; else empty.
    """

    reason: str
    at_once: bool
    killed_by: str = ""


def nobody() -> str:
    """Nobody killed it."""
    return ""


class Canary:
    """Boots one instance of a machine, under one accelerator after the other; of machines that are alike, once.

    Args:
        lifecycle: makes and removes it.
        waiter: waits until it is ready.
        run_id: goes into its name.
        new_number: as well.
        killer: the ceiling because of which the kernel killed something since this was last asked; else empty.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        waiter: Waiter,
        run_id: str,
        new_number: Callable[[], int],
        *,
        killer: Callable[[], str] = nobody,
    ) -> None:
        self._killer = killer
        self._lifecycle = lifecycle
        self._waiter = waiter
        self._run_id = run_id
        self._new_number = new_number
        self._found: dict[tuple[object, ...], Found] = {}

    async def find(self, machine: Machine, candidates: Sequence[Accelerator]) -> Found:
        """The first of these accelerators under which the machine comes up.

        Raises:
            NoRoom: the kernel killed the last one of them for want of memory, or the slice has no tasks for it.
            CannotRun: none of those that are wanted.
            EngineUnavailable: the daemon is gone.
        """
        key = (machine.guest, machine.vcpus, machine.workload.network, _proof(machine), tuple(candidates))
        if key not in self._found:
            self._found[key] = await self._find(machine, candidates)
        return self._found[key]

    async def _find(self, machine: Machine, candidates: Sequence[Accelerator]) -> Found:
        tried: list[str] = []
        killed_by = ""
        silent: set[str] = set()
        for accelerator in candidates:
            if accelerator.name in silent:
                continue
            dead = await self._boot(replace(machine, accelerator=accelerator))
            if dead is None:
                return Found(accelerator, tuple(tried))
            tried.append(f"{describe(accelerator)}: {dead.reason}")
            killed_by = dead.killed_by or killed_by
            if not dead.at_once:
                # It ran and stayed silent: another model of CPU will not make it speak.
                silent.add(accelerator.name)
        noun = "container" if machine.root else "VM"
        reason = f"{machine.workload.name}: no {noun} comes up here ({'; '.join(tried)})"
        raise NoRoom(killed_by, reason) if killed_by else CannotRun(reason)

    async def _boot(self, machine: Machine) -> _Dead | None:
        instance_id = f"{machine.workload.name}-canary{self._new_number()}"
        instance = Instance(instance_id, object_name(self._run_id, instance_id), machine.workload)
        try:
            return await self._brought_up(instance, machine)
        except SliceFull as full:
            return _Dead(str(full), at_once=True, killed_by="tasks.cgroup")
        except (libvirt.libvirtError, OSError) as error:
            return _Dead(words(error), at_once=True)
        finally:
            # What does not go in time is for `reap`: whoever interrupts a run does not wait for it here.
            with anyio.move_on_after(REMOVAL_SECONDS, shield=True):
                await self._lifecycle.remove(instance)

    async def _brought_up(self, instance: Instance, machine: Machine) -> _Dead | None:
        await self._lifecycle.create(instance, machine)
        waited = 0.0
        for seconds in _patience(machine):
            with anyio.move_on_after(seconds) as instance.launching:
                if not instance.ended.is_set():
                    await self._waiter.wait(instance, _proof(machine))
                    return None
            waited += seconds
            if instance.ended.is_set() or not self._lifecycle.console(instance):
                break
        console = self._lifecycle.console(instance)
        last = f"; its last words: {last_words(console)}" if console else "; it said nothing"
        if instance.ended.is_set():
            silent_end = may_be_oom(instance.how, tuple(console), container=instance.is_container)
            killed_by = self._killer() if silent_end else ""
            how = ending_failure(instance.how, (), oom_killed=bool(killed_by), container=instance.is_container)
            return _Dead(how.message + last, at_once=False, killed_by=killed_by)
        self._waiter.sum_up(instance, _proof(machine))
        tried = f"; {instance.tried.words}" if instance.tried.words else ""
        return _Dead(f"not ready after {format_seconds(waited)}{last}{tried}", at_once=False)


def candidates(wanted: AcceleratorName) -> Sequence[Accelerator]:
    """What to try, in this order."""
    return {"kvm": KVM, "tcg": (TCG,), "auto": (*KVM, TCG)}[wanted]


def describe(accelerator: Accelerator) -> str:
    """`KVM with the CPU host-passthrough`."""
    return f"KVM with the CPU {accelerator.cpu}" if accelerator.cpu else accelerator.name.upper()


def last_words(console: Sequence[str]) -> str:
    """The last line that is not the kernel's own, such as its farewell; else the last of all."""
    return next((line for line in reversed(console) if not _KERNEL_LINE.match(line)), console[-1])


def _proof(machine: Machine) -> Readiness:
    """Our own guests say that they are up, whatever the workload waits for."""
    return machine.ready if machine.guest.name == "disk" else Readiness("payload")


def _patience(machine: Machine) -> tuple[float, ...]:
    """Seconds to wait for it to be ready; what comes after the first is for a guest that has spoken by then."""
    if machine.guest.name != "disk":
        return (KVM_SECONDS[machine.guest.name] if machine.accelerator.name == "kvm" else TCG_SECONDS,)
    seconds = machine.workload.ready_timeout_seconds
    if machine.accelerator.name == "kvm" and machine.ready.by == "console" and seconds > SILENT_SECONDS:
        return SILENT_SECONDS, seconds - SILENT_SECONDS
    return (seconds,)
