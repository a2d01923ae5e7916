"""Making sure that a workload can run here: its guest, its network, its accelerator."""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import disk_usage
from textwrap import shorten

import anyio

from density.engines.base import EngineContext
from density.engines.libvirt.canary import LXC, Canary, Found, candidates, nobody
from density.engines.libvirt.connections import Connections
from density.engines.libvirt.containers import host_memory, make_root
from density.engines.libvirt.hypervisor import Driver, driver_of, qemu_owner
from density.engines.libvirt.lifecycle import Lifecycle
from density.engines.libvirt.machine import Accelerator, Machine
from density.engines.libvirt.networks import check_bridge, find_network
from density.engines.libvirt.readiness import Waiter
from density.engines.libvirt.staging import check_entrance, check_readable, staged
from density.errors import UsageError
from density.host.disk import kept_in_memory
from density.model import GuestName, Prepared, Readiness, Workload
from density.payload.guests import Guest, disk_guest, make_guest, memory_bytes
from density.payload.guests.bootsector import SAYS
from density.payload.guests.kernel import VARIABLE
from density.threads import in_thread
from density.units import format_bytes

READY_WAYS: dict[GuestName, frozenset[str]] = {
    "payload": frozenset({"payload", "console", "running"}),
    "null": frozenset({"payload", "console", "running"}),
    "disk": frozenset({"console", "guest-agent", "tcp", "running"}),
}
REASON_LENGTH = 90
"""QEMU's last words run over several lines; the first say enough."""
_ELSEWHERE = "the key data of [engines] names another directory"
_RUNTIME_DIR = "run density as root, or set XDG_RUNTIME_DIR to a directory that others may enter"
_NO_GUEST = frozenset({"payload", "running"})


class Preparer:
    """Prepares workloads, one at a time; what it found out of a guest it does not find out again."""

    def __init__(
        self,
        connections: Connections,
        context: EngineContext,
        lifecycle: Lifecycle,
        waiter: Waiter,
        *,
        killer: Callable[[], str] = nobody,
    ) -> None:
        self._connections = connections
        self._context = context
        self._canary = Canary(lifecycle, waiter, context.run_id, itertools.count(1).__next__, killer=killer)
        self._lock = anyio.Lock()

    async def check(self, workload: Workload) -> None:
        """Find out why a workload cannot run here without booting, copying or making anything.

        Raises:
            UsageError: it cannot.
            EngineUnavailable: the daemon is gone.
            libvirt.libvirtError: libvirt said no to a question.
        """
        driver = await self._connections.call(driver_of)
        check(workload, driver)
        await self._networks(workload, driver)
        if driver == "qemu":
            owner = await self._connections.call(qemu_owner)
            await in_thread(check_entrance, self._context.runtime_dir, owner, _RUNTIME_DIR)
            if workload.guest == "disk":
                await in_thread(_check_disk, workload, self._context.data_dir, owner)

    async def prepare(self, workload: Workload) -> tuple[Machine, Prepared]:
        """Everything that the workload's domains have in common, and what a person should know of it.

        Raises:
            UsageError: it cannot run here.
            EngineUnavailable: the daemon is gone.
            libvirt.libvirtError: libvirt said no to a question.
        """
        async with self._lock:
            driver = await self._connections.call(driver_of)
            check(workload, driver)
            networks = await self._networks(workload, driver)
            if driver == "test":
                return _bare(workload), Prepared(networks=networks)
            if driver == "lxc":
                return await self._container(workload), Prepared(accelerator=LXC.name, networks=networks)
            owner = await self._connections.call(qemu_owner)
            machine = await self._machine(workload, owner)
            found = await self._canary.find(machine, candidates(workload.accelerator))
            narrow = await in_thread(_narrow, machine.guest, self._context.data_dir)
        return replace(machine, accelerator=found.accelerator), Prepared(
            accelerator=found.accelerator.name,
            warnings=tuple(f"{workload.name}: {words}" for words in (*warnings(workload, found), *narrow)),
            networks=networks,
        )

    async def _machine(self, workload: Workload, owner: tuple[int, int] | None) -> Machine:
        explicit = os.environ.get(VARIABLE)
        guest = await make_guest(workload, self._context.cache_dir, kernel=Path(explicit) if explicit else None)
        await in_thread(check_entrance, self._context.runtime_dir, owner, _RUNTIME_DIR)
        guest = await in_thread(staged, guest, self._context.data_dir, owner)
        return Machine(
            workload=workload, guest=guest, accelerator=Accelerator("qemu"), ready=ready_of(workload), owner=owner
        )

    async def _container(self, workload: Workload) -> Machine:
        all_there_is = await self._connections.call(host_memory)
        machine = Machine(
            workload=workload,
            guest=Guest(name="none", memory_bytes=workload.memory_bytes or all_there_is),
            accelerator=LXC,
            ready=workload.ready,
            root=await make_root(self._context),
        )
        await self._canary.find(machine, (LXC,))
        return machine

    async def _networks(self, workload: Workload, driver: Driver) -> dict[str, int]:
        name = workload.network
        if name in {"none", "user"}:
            return {}
        try:
            network = await self._connections.call(lambda connection: find_network(connection, name))
            if driver != "test":  # whose networks are no more real than its machines
                check_bridge(network, name)
        except UsageError as error:
            raise UsageError(f"{workload.name}: {error}") from None
        return {network.bridge: network.addresses} if network.bridge else {}


def check(workload: Workload, driver: Driver) -> None:
    """What can be said without asking anyone.

    Raises:
        UsageError: the workload cannot run here.
    """
    if driver == "lxc":
        _check_container(workload)
    else:
        memory_bytes(workload)
    ready = workload.ready
    allowed = READY_WAYS[workload.guest] if driver == "qemu" else _NO_GUEST
    noun = "a container of libvirt's" if driver == "lxc" else f"a VM with the guest {workload.guest}"
    if ready.by not in allowed:
        raise UsageError(f"{workload.name}: {noun} is ready by {' or '.join(sorted(allowed))}, not by {ready.by}")
    if ready.by == "tcp" and workload.network != "user":
        raise UsageError(
            f"{workload.name}: ready by tcp needs network = user, the only one that is reached from 127.0.0.1"
        )
    if workload.cpus % 1:
        raise UsageError(f"{workload.name}: a VM has whole CPUs, not {workload.cpus:g}")


def _check_container(workload: Workload) -> None:
    where = f"{workload.name}: a container of libvirt's"
    if workload.guest != "none":
        raise UsageError(f"{where} has the guest none, not {workload.guest}")
    if workload.accelerator != "auto":
        raise UsageError(f"{where} has no accelerator, such as {workload.accelerator}")
    if workload.network == "user":
        raise UsageError(f"{where} has the network none or one of libvirt's, not user")


def ready_of(workload: Workload) -> Readiness:
    """How the guest can tell that it is ready.

    The null guest's one line is the payload's word for ready too, and is heard as that.
    """
    ready = workload.ready
    if workload.guest == "null" and ready.by == "console" and re.search(ready.argument, SAYS):
        return Readiness("payload")
    return ready


def warnings(workload: Workload, found: Found) -> tuple[str, ...]:
    """What a person should know of how the guest came up."""
    if workload.accelerator != "auto" or found.accelerator.name == "kvm":
        return ()
    tried = "; ".join(shorten(reason, REASON_LENGTH, placeholder=" ...") for reason in found.tried)
    slow = "emulated (TCG), many times slower than KVM, under which the guest did not come up"
    return (f"{slow}: {tried}",)


def _check_disk(workload: Workload, data_dir: Path, owner: tuple[int, int] | None) -> None:
    try:
        check_readable(disk_guest(workload), owner)
        check_entrance(data_dir, owner, _ELSEWHERE)
        _check_kept_on_disk(data_dir)
    except UsageError as error:
        raise type(error)(f"{workload.name}: {error}") from None


def _check_kept_on_disk(data_dir: Path) -> None:
    if kind := kept_in_memory(data_dir.resolve()):
        raise UsageError(f"VM disks would be in {data_dir}, a {kind} that is kept in memory; {_ELSEWHERE}")


def _narrow(guest: Guest, data_dir: Path) -> Iterator[str]:
    """What a person should know where one VM alone can fill the disk that takes what it writes. Blocks."""
    free = disk_usage(data_dir).free
    if guest.overlay and free < guest.disk_bytes:
        yield (
            f"a VM may write {format_bytes(guest.disk_bytes)} to its disk, and {format_bytes(free)} are free"
            f" in {data_dir}; {_ELSEWHERE}"
        )


def _bare(workload: Workload) -> Machine:
    """A machine of libvirt's test hypervisor: it boots nothing, so it is ready as soon as it runs."""
    guest = Guest(name=workload.guest, memory_bytes=memory_bytes(workload))
    return Machine(workload=workload, guest=guest, accelerator=Accelerator("test"), ready=Readiness("running"))
