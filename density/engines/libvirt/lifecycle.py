"""Making one domain, and taking it away: what launches and canaries have in common."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import libvirt

from density.engines.base import EngineContext
from density.engines.libvirt.connections import GRACE_SECONDS, Connections, NoAnswer
from density.engines.libvirt.containers import forget_words, keep_secret, last_words
from density.engines.libvirt.domain import Domain, domain_xml
from density.engines.libvirt.hypervisor import all_directories
from density.engines.libvirt.instance import Instance
from density.engines.libvirt.machine import Machine, domain_of, overlay_path
from density.errors import EngineUnavailable
from density.host.placing import place, refuse_surplus
from density.host.protection import expose
from density.host.traces import remove_of
from density.model import Placement
from density.payload.guests.disk import make_overlay
from density.threads import in_thread

ATTEMPTS = 3
_PAUSE_SECONDS = 0.5


class Lifecycle:
    """Creates and removes domains; knows every instance by its domain's name."""

    def __init__(self, connections: Connections, context: EngineContext) -> None:
        self._connections = connections
        self._context = context
        self.by_name: dict[str, Instance] = {}

    async def create(self, instance: Instance, machine: Machine) -> None:
        """Make the domain, running, in the slice; what it needs is there before, and news of it are heard from now on.

        Raises:
            libvirt.libvirtError: libvirt said no.
            OSError: no socket or overlay could be made, or QEMU's connection to the socket not be accepted.
            EngineUnavailable: the daemon is gone, or hangs.
            SliceFull: with it the slice has more tasks than it may.
        """
        self.by_name[instance.name] = instance
        began = anyio.current_time()
        try:
            serial = None
            if machine.has_serial:
                serial = await self._context.channel.listen_serial(instance.instance_id, owner=machine.owner)
            else:
                secret = self._context.channel.expect(instance.instance_id)
                if machine.root:
                    await in_thread(keep_secret, self._context.data_dir, instance.instance_id, secret)
            domain = domain_of(machine, instance.instance_id, self._context, serial=serial)
            if domain.disk and domain.guest.disk:
                await in_thread(_overlay, domain, machine)
            await self._connections.call(_Creation(domain, self._context.placement), grace_seconds=GRACE_SECONDS)
            if serial:
                self._context.channel.joined(instance.instance_id)
        finally:
            instance.created_seconds = anyio.current_time() - began
            instance.asked.set()

    def console(self, instance: Instance) -> tuple[str, ...]:
        """The last lines on its serial port, oldest first; of a container, its payload's last words."""
        said = self._context.channel.console(instance.instance_id)
        return said or last_words(self._context.data_dir, instance.instance_id)

    async def remove(self, instance: Instance) -> bool:
        """Destroy the domain and everything of it; whether it is gone, at once or after a moment."""
        for attempt in range(ATTEMPTS):
            try:
                await self._connections.call(lambda connection: destroy(connection, instance.name))
            except libvirt.libvirtError:  # such as a process that the kernel does not let go yet
                await anyio.sleep(_PAUSE_SECONDS * attempt)
            except (EngineUnavailable, NoAnswer):
                return False
            else:
                await self.forget(instance)
                return True
        return False

    async def forget(self, instance: Instance) -> None:
        """Remove everything of a domain that is gone."""
        self.by_name.pop(instance.name, None)
        self._context.channel.forget(instance.instance_id)
        # A large overlay takes its file system seconds.
        await in_thread(remove_files, self._context.data_dir, instance.name, instance.instance_id)


def destroy(connection: libvirt.virConnect, name: str) -> None:
    """End a domain; one that is gone already is fine, and one that someone has defined is not defined any more. Blocks.

    Raises:
        libvirt.libvirtError: it does not go.
    """
    with _gone_is_fine():
        connection.lookupByName(name).destroy()
    with _gone_is_fine():
        domain = connection.lookupByName(name)
        if not domain.isPersistent():
            return
        if connection.getType() == "QEMU":
            with_all = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            domain.undefineFlags(with_all)
        else:
            domain.undefine()


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """It may go between two calls: then there is no such domain, or none that runs."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}:
            raise


def remove_files(data_dir: Path, name: str, instance_id: str) -> None:
    """Remove what a domain leaves: libvirt's log, an overlay or last words, an empty directory. Blocks."""
    with suppress(OSError):
        forget_words(data_dir, instance_id)
    remove_of(name)
    path = overlay_path(data_dir, instance_id)
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


class _Creation:
    """Starts a domain and puts its processes into the slice; run a second time, it takes what the first one made."""

    def __init__(self, domain: Domain, placement: Placement | None) -> None:
        self._domain = domain
        self._placement = placement
        self._asked = False

    def __call__(self, connection: libvirt.virConnect) -> None:
        if not (self._asked and _exists(connection, self._domain.name)):
            self._asked = True
            connection.createXML(domain_xml(self._domain), 0)
        for pid in _processes(self._domain.name):
            with _excused():
                expose(pid)
                if self._placement:
                    place(pid, self._placement.procs_files)
        if self._placement:
            refuse_surplus(self._placement.procs_files)


@contextmanager
def _excused() -> Iterator[None]:
    """A process that ended meanwhile needs no place, and libvirt's own part of the placement holds in any case.

    But an instance that is not in the slice for want of descriptors would not be seen there, nor be held by it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise


def _processes(name: str) -> Iterator[int]:
    """The process that libvirt started for a domain, and its children: a container's own first process is one."""
    for directories in all_directories():
        with _excused(), suppress(ValueError):
            pid = int((directories.pids / f"{name}.pid").read_text())
            yield pid
            yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _exists(connection: libvirt.virConnect, name: str) -> bool:
    try:
        connection.lookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise
    return True


def _overlay(domain: Domain, machine: Machine) -> None:
    assert domain.disk
    assert domain.guest.disk
    make_overlay(domain.disk, domain.guest.disk, base_format=domain.guest.disk_format, owner=machine.owner)
