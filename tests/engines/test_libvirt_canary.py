"""The canary: how long a guest is waited for that may not come up here. In virtual time, without libvirt."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import anyio
import pytest
import trio
from trio.testing import MockClock

from density.engines.libvirt.canary import KVM, SILENT_SECONDS, TCG, Canary, Found
from density.engines.libvirt.instance import Instance
from density.engines.libvirt.machine import Accelerator, Machine
from density.errors import CannotRun, NoRoom, UsageError
from density.model import Readiness, Workload
from density.payload.guests import Guest

if TYPE_CHECKING:
    from density.engines.libvirt.lifecycle import Lifecycle
    from density.engines.libvirt.readiness import Waiter

READY = Readiness("console", "login:")
DEBIAN = Machine(
    workload=Workload(name="debian", engine="libvirt", guest="disk", ready_timeout_seconds=600),
    guest=Guest(name="disk", memory_bytes=2**29),
    accelerator=TCG,
    ready=READY,
)


class Booting:
    """Lifecycle and waiter in one: says `lines` at once, and is ready after so many seconds, under TCG alone."""

    def __init__(self, lines: Sequence[str], ready_after: float) -> None:
        self._lines = tuple(lines)
        self._ready_after = ready_after
        self._machine = DEBIAN

        self.booted = 0

    async def create(self, _: Instance, machine: Machine) -> None:
        self.booted += 1
        self._machine = machine

    async def remove(self, _: Instance) -> bool:
        return True

    def console(self, _: Instance) -> Sequence[str]:
        return self._lines

    async def wait(self, _: Instance, ready: Readiness) -> None:
        if ready.by == "running":
            return
        assert ready == READY
        await anyio.sleep(self._ready_after if self._machine.accelerator is TCG else 1e9)

    def sum_up(self, _: Instance, ready: Readiness) -> None:
        """What was tried is told of real guests."""


def find(booting: Booting, candidates: Sequence[Accelerator]) -> tuple[Found, float]:
    """What the canary finds, and the seconds that it took."""

    async def run() -> tuple[Found, float]:
        canary = Canary(cast("Lifecycle", booting), cast("Waiter", booting), "r", lambda: 1)
        return await canary.find(DEBIAN, candidates), anyio.current_time()

    clock = MockClock(autojump_threshold=0)
    began = clock.current_time()
    found, ended = trio.run(run, clock=clock)
    return found, ended - began


def test_a_guest_that_hangs_silent_under_kvm_is_given_up_early() -> None:
    """Not after the ten minutes that a slow boot may take; under TCG it is waited for as long as the workload says."""
    found, seconds = find(Booting([], ready_after=300), (*KVM, TCG))
    assert found.accelerator is TCG
    assert found.tried == ("KVM with the CPU host-passthrough: not ready after 60 s; it said nothing",)
    assert seconds == pytest.approx(SILENT_SECONDS + 300)


def test_one_that_has_spoken_is_waited_for() -> None:
    """A boot loader was there: it may only be slow."""
    found, seconds = find(Booting(["GRUB loading."], ready_after=10), (*KVM, TCG))
    assert found.tried == (
        "KVM with the CPU host-passthrough: not ready after 10 min 0 s; its last words: GRUB loading.",
    )
    assert seconds == pytest.approx(600 + 10)


def test_what_proves_nothing_vouches_for_no_other_workload() -> None:
    """That QEMU runs tells nothing of a guest that has to be waited for; one that is alike is not booted again."""
    booting = Booting([], ready_after=30)

    async def run() -> list[Accelerator]:
        canary = Canary(cast("Lifecycle", booting), cast("Waiter", booting), "r", lambda: 1)
        machines = (replace(DEBIAN, ready=Readiness("running")), DEBIAN, DEBIAN)
        return [(await canary.find(machine, (*KVM, TCG))).accelerator for machine in machines]

    assert trio.run(run, clock=MockClock(autojump_threshold=0)) == [KVM[0], TCG, TCG]
    assert booting.booted == 3


def test_what_one_workload_waits_for_says_nothing_of_another() -> None:
    """Two workloads of one image that are ready by other words are booted both: one of them may never say its own."""

    class Deaf(Booting):
        async def wait(self, _: Instance, ready: Readiness) -> None:
            await anyio.sleep(1 if ready == READY else 1e9)

    booting = Deaf([], ready_after=1)
    mute = replace(DEBIAN, ready=Readiness("console", "never"))

    async def run() -> None:
        canary = Canary(cast("Lifecycle", booting), cast("Waiter", booting), "r", lambda: 1)
        await canary.find(DEBIAN, (TCG,))
        with pytest.raises(CannotRun):
            await canary.find(mute, (TCG,))

    trio.run(run, clock=MockClock(autojump_threshold=0))


def test_one_that_never_comes_up_is_told() -> None:
    """With what was tried."""
    with pytest.raises(UsageError, match=r"^debian: no VM comes up here \(TCG: not ready after 10 min"):
        find(Booting([], ready_after=1e9), (TCG,))


@pytest.mark.parametrize(("killer", "error"), [("memory.cgroup", NoRoom), ("", CannotRun)])
def test_one_that_the_kernel_kills_names_the_ceiling(killer: str, error: type[UsageError]) -> None:
    """QEMU that ends without a word was killed for want of memory where the kernel counts a kill, and only there."""

    class Killed(Booting):
        async def wait(self, instance: Instance, ready: Readiness) -> None:  # noqa: ARG002 — the waiter's signature
            instance.how = "failed"
            instance.ended.set()
            instance.launching.cancel()
            await anyio.sleep_forever()

    async def run() -> None:
        killed = Killed([], ready_after=0)
        canary = Canary(cast("Lifecycle", killed), cast("Waiter", killed), "r", lambda: 1, killer=lambda: killer)
        with pytest.raises(UsageError) as caught:
            await canary.find(DEBIAN, (TCG,))
        assert type(caught.value) is error
        assert getattr(caught.value, "ceiling", "") == killer

    trio.run(run, clock=MockClock(autojump_threshold=0))
