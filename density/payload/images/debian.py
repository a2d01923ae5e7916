"""A whole Debian for VMs: systemd, a kernel, packages of one's choice; it says on its serial port when all is up."""

import hashlib
import shlex
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anyio.to_thread import run_sync

from density.payload.images.bootstrap import Packages, bootstrap, command
from density.payload.images.disk import FEATURES, GRUB_COMMANDS, ROOT_DEVICE, SIZE_BYTES, make_disk
from density.payload.images.services import CONTAINERS, Service, services_in
from density.payload.images.tools import FOR_DISKS, check_tools, publish, scratch_beside

SYSTEM = ("linux-image-cloud-amd64", "systemd-sysv", "udev", "kmod", "iproute2")
"""What makes a bootable system of Debian's smallest base, beside the packages that are asked for."""
SAYS = "density: ready"
"""The line on the serial port."""

EARLY = {
    # An initramfs for the devices that density's VMs have: a quarter of the default's size, and so of its boot.
    "etc/initramfs-tools/conf.d/density": "MODULES=list\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
}
"""Files that have to be there before the kernel is installed."""

_UNIT = """\
[Unit]
Description=Say on the serial port when all is up and answers

[Service]
ExecStart=/usr/lib/density/ready
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
"""
_WAITING = r"""#!/bin/bash
# answers PORT QUESTION ANSWER: whether what listens there answers so
answers() {
	(
		exec 3<>"/dev/tcp/127.0.0.1/$1" && printf '%b' "$2" >&3 && IFS= read -r -t 5 said <&3 && [[ $said == "$3"* ]]
	) 2>/dev/null
}
systemctl is-system-running --wait
"""
_NESTED = r"""# A container of an empty image, which sees the guest's own programs.
# Docker's default, to confine it by AppArmor, needs a package that docker.io only recommends.
until tar --create --files-from=/dev/null | docker import - density-empty; do sleep 1; done
until docker run --rm --network=none --security-opt=apparmor=unconfined \
	--volume=/usr:/usr:ro --volume=/usr/lib:/lib:ro --volume=/usr/lib64:/lib64:ro \
	density-empty /usr/bin/uname -sr; do sleep 1; done
"""
_NETWORK = "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n"
_WANTS = "etc/systemd/system/multi-user.target.wants"
_LINKS = {
    f"{_WANTS}/density-ready.service": "../density-ready.service",
    f"{_WANTS}/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
}


@dataclass(frozen=True, slots=True)
class DebianDisk:
    """What a Debian guest is made of; the same gives the same file of the cache."""

    packages: Packages = field(default_factory=Packages)

    @property
    def everything(self) -> Packages:
        """With what makes it a system."""
        names = (*SYSTEM, *(name for name in self.packages.names if name not in SYSTEM))
        return Packages(names=names, suite=self.packages.suite, mirror=self.packages.mirror)

    @property
    def key(self) -> str:
        """What must be equal for an image to be used again; 16 hexadecimal digits."""
        parts = (
            *command(self.everything, Path("tree"), variant="minbase"),
            *(text for item in (*EARLY.items(), *files(self.packages.names).items(), *_LINKS.items()) for text in item),
            *(GRUB_COMMANDS, FEATURES, str(SIZE_BYTES)),
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def path(self, cache_dir: Path) -> Path:
        """Where it is in the cache."""
        return cache_dir / f"debian-{self.packages.suite}-{self.key}.qcow2"


def files(packages: tuple[str, ...]) -> Mapping[str, str]:
    """The files that are put into the installed tree: path -> content."""
    return {
        "etc/fstab": f"{ROOT_DEVICE} / ext4 rw 0 0\n",
        "etc/hostname": "debian\n",
        "etc/hosts": "127.0.0.1 localhost debian\n::1 localhost\n",
        "etc/resolv.conf": "",
        "etc/machine-id": "",  # each guest makes its own
        "etc/systemd/network/density.network": _NETWORK,
        "etc/systemd/system/density-ready.service": _UNIT,
        "usr/lib/density/ready": ready_script(services_in(packages), nested=CONTAINERS in packages),
    }


def ready_script(services: tuple[Service, ...], *, nested: bool = False) -> str:
    """The guest's program that waits until systemd is done and every service answers, and then says so.

    Args:
        services: what is asked.
        nested: wait until a container has run in the guest, too.
    """
    waits = (
        f"until answers {service.port} {shlex.quote(service.asks)} {shlex.quote(service.answers)}; do sleep 0.2; done\n"
        for service in services
    )
    return f"{_WAITING}{''.join(waits)}{_NESTED if nested else ''}echo {shlex.quote(SAYS)} >/dev/ttyS0\n"


async def debian_disk(wanted: DebianDisk, cache_dir: Path, *, say: Callable[[str], None], fresh: bool = False) -> Path:
    """The image in the cache, made there if it is not yet; a bootable qcow2, which nobody shall write to.

    Args:
        say: takes a line for the person at each stage.
        fresh: make it again, with what the packages are by now.

    Raises:
        UsageError: this is not root, the cache cannot be written, or there is no such suite, package or mirror.
        EngineUnavailable: the programs for it are not here.
        DensityError: no way to the archive, or a tool failed.
    """
    path = wanted.path(cache_dir)
    if not fresh and await run_sync(path.exists):
        say(f"made earlier; --fresh makes it again: {path.name}")
        return path
    await run_sync(check_tools, FOR_DISKS)
    async with scratch_beside(path) as scratch:
        say(f"installing Debian {wanted.packages.suite} with {len(wanted.everything.names)} packages and their own")
        await run_sync(_write, scratch / "early", EARLY, {})
        hook = f'cp -r {shlex.quote(str(scratch / "early"))}/. "$1"'
        tree = await bootstrap(wanted.everything, scratch, variant="minbase", hooks=(hook,))
        await run_sync(_write, tree, files(wanted.packages.names), _LINKS)
        say("making the disk")
        identity = uuid.uuid5(uuid.NAMESPACE_OID, wanted.key)
        disk = await make_disk(tree, scratch, label="debian", identity=identity)
        await run_sync(publish, disk, path)
    return path


def _write(tree: Path, contents: Mapping[str, str], links: Mapping[str, str]) -> None:
    for name, content in contents.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a link of the system's own, such as resolv.conf, may lead out of the tree
        path.write_text(content)
        path.chmod(0o755 if content.startswith("#!") else 0o644)
    for name, target in links.items():
        path = tree / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)
