"""A prepared workload: everything that its domains have in common."""

from dataclasses import dataclass
from pathlib import Path

from density.engines.base import EngineContext
from density.engines.libvirt.containers import program
from density.engines.libvirt.domain import Domain, Hypervisor, Mark
from density.model import Readiness, Workload, object_name
from density.payload.guests import Guest, command_line


@dataclass(frozen=True, slots=True)
class Accelerator:
    """How a machine's CPU is made: `cpu` as in `Domain`."""

    hypervisor: Hypervisor
    cpu: str = ""

    @property
    def name(self) -> str:
        """As in `density.model.Prepared`."""
        return {"kvm": "kvm", "qemu": "tcg", "lxc": "lxc", "test": ""}[self.hypervisor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the domains of one workload are made from.

    Attributes:
        guest: its files can be read by QEMU's user.
        ready: how they are known to be ready, as this hypervisor and guest can tell it.
        owner: user and group of QEMU; None where they are not known.
        root: what its containers see as `/`; None: it boots its guest.
    """

    workload: Workload
    guest: Guest
    accelerator: Accelerator
    ready: Readiness
    owner: tuple[int, int] | None = None
    root: Path | None = None

    @property
    def vcpus(self) -> int:
        """Virtual CPUs of each."""
        return max(1, round(self.workload.cpus))

    @property
    def has_serial(self) -> bool:
        """Whether there is a serial port: a container has none, and libvirt's own test hypervisor no devices at all."""
        return self.accelerator.hypervisor in {"kvm", "qemu"}


def domain_of(machine: Machine, instance_id: str, context: EngineContext, *, serial: Path | None) -> Domain:
    """One instance's domain."""
    workload, guest = machine.workload, machine.guest
    lease_seconds = context.channel.lease_seconds
    words = command_line(workload, instance_id, context.run_id, lease_seconds=lease_seconds) if guest.kernel else ""
    return Domain(
        name=object_name(context.run_id, instance_id),
        mark=Mark(context.run_id, instance_id),
        hypervisor=machine.accelerator.hypervisor,
        guest=guest,
        vcpus=machine.vcpus,
        cpu=machine.accelerator.cpu,
        disk=overlay_path(context.data_dir, instance_id) if guest.overlay else None,
        disk_io=workload.disk_io,
        command_line=words,
        serial=serial,
        agent=machine.ready.by == "guest-agent",
        network=workload.network,
        partition=context.placement.libvirt_partition if context.placement else "",
        dac=machine.owner is not None,
        program=program(machine.root, workload, instance_id, context) if machine.root else None,
    )


def overlay_path(data_dir: Path, instance_id: str) -> Path:
    """Where an instance's overlay is."""
    return data_dir / "disks" / f"{instance_id}.qcow2"
