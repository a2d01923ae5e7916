"""Saving a VM's state: its memory and devices to a file, and the same VM again from that file."""

import xml.etree.ElementTree as ET
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import libvirt

from density.engines.base import EngineContext
from density.engines.libvirt.connections import REFUSALS, Connections, words
from density.engines.libvirt.instance import Instance
from density.engines.libvirt.lifecycle import Lifecycle
from density.engines.libvirt.machine import Machine
from density.engines.libvirt.preparing import Preparer
from density.engines.libvirt.readiness import Waiter
from density.errors import DensityError, EngineUnavailable
from density.model import Workload, object_name
from density.payload.background import background
from density.payload.channel import ChannelClosed
from density.threads import in_thread

_BLOCK_BYTES = 512
_ASK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Saved:
    """One VM saved and restored.

    Attributes:
        seconds: until it was in the file; the VM stands still meanwhile.
        saved_bytes: of the file on the disk, in whole blocks.
        restore_seconds: from the request until its payload answered again; of a guest without one, until it ran.
    """

    seconds: float
    saved_bytes: int
    restore_seconds: float


class Saver:
    """Saves VMs of one libvirt; whatever it makes, it removes."""

    def __init__(self, context: EngineContext, *, uri: str) -> None:
        self._context = context
        self._connections = Connections(uri)
        self._lifecycle = Lifecycle(self._connections, context)
        self._waiter = Waiter(self._connections, context.channel)
        self._preparer = Preparer(self._connections, context, self._lifecycle, self._waiter)

    async def save(self, workload: Workload, instance_id: str, path: Path) -> Saved:
        """Boot one, save it to `path`, restore it from there.

        Raises:
            UsageError: the workload cannot run here.
            DensityError: it did not come up, or not again.
            EngineUnavailable: libvirt is gone, or does not do it.
        """
        await self._connections.open()
        try:
            machine, _ = await self._preparer.prepare(workload)
            instance = Instance(instance_id, object_name(self._context.run_id, instance_id), workload)
            async with self._running(instance, machine):
                return await self._saved(instance, machine, path)
        except REFUSALS as error:
            raise EngineUnavailable("libvirt", words(error)) from error
        finally:
            await self._connections.close()

    @asynccontextmanager
    async def _running(self, instance: Instance, machine: Machine) -> AsyncGenerator[None]:
        try:
            await self._lifecycle.create(instance, machine)
            with anyio.fail_after(instance.workload.ready_timeout_seconds):
                await self._waiter.wait(instance, machine.ready)
            yield
        except (TimeoutError, ChannelClosed, OSError) as error:
            raise DensityError(f"libvirt: {instance.instance_id} did not become ready") from error
        finally:
            with anyio.CancelScope(shield=True):
                await self._lifecycle.remove(instance)

    async def _saved(self, instance: Instance, machine: Machine, path: Path) -> Saved:
        answers = self._context.channel.pingable(instance.instance_id)
        old = await self._serial(instance)
        began = anyio.current_time()
        try:
            await self._connections.call(lambda connection: connection.lookupByName(instance.name).save(str(path)))
            seconds = anyio.current_time() - began
            size = (await in_thread(path.stat)).st_blocks * _BLOCK_BYTES
            self._context.channel.forget(instance.instance_id)
            new = await self._context.channel.listen_serial(instance.instance_id, owner=machine.owner)
            began = anyio.current_time()
            await self._connections.call(lambda connection: _restore(connection, path, old, str(new)))
            if answers:
                await self._answer(instance)
            return Saved(seconds, size, anyio.current_time() - began)
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(lambda: path.unlink(missing_ok=True))

    async def _answer(self, instance: Instance) -> None:
        """Wait until the payload goes on; asked again and again, as a word can be lost while its machine wakes up."""
        channel = self._context.channel

        async def ask() -> None:
            while True:
                with suppress(ChannelClosed):  # not connected yet; or for good, which `hello` says
                    channel.recall(instance.instance_id)
                await anyio.sleep(_ASK_SECONDS)

        try:
            with anyio.fail_after(instance.workload.ready_timeout_seconds):
                async with background(ask):
                    await channel.hello(instance.instance_id)
        except (TimeoutError, ChannelClosed, OSError) as error:
            raise DensityError(f"libvirt: {instance.instance_id} did not answer after it was restored") from error

    async def _serial(self, instance: Instance) -> str:
        """The socket that its serial port is connected to."""
        xml = await self._connections.call(lambda connection: connection.lookupByName(instance.name).XMLDesc())
        return serial_path(xml)


def serial_path(xml: str) -> str:
    """The path of a domain's serial socket; empty where it has none."""
    source = ET.fromstring(xml).find("devices/serial/source")  # noqa: S314 — libvirt's own words, from root's socket
    return source.get("path", "") if source is not None else ""


def _restore(connection: libvirt.virConnect, path: Path, old: str, new: str) -> None:
    xml = with_serial(connection.saveImageGetXMLDesc(str(path)), old, new)
    connection.restoreFlags(str(path), xml, libvirt.VIR_DOMAIN_SAVE_RUNNING)


def with_serial(xml: str, old: str, new: str) -> str:
    """A domain with its serial port, and the console that stands for it, at another socket."""
    root = ET.fromstring(xml)  # noqa: S314 — libvirt's own words, from root's socket
    for source in root.iterfind("devices/*/source"):
        if source.get("path") == old:
            source.set("path", new)
    return ET.tostring(root, encoding="unicode")
