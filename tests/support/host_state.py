"""What of this host is everybody's, so that a whole run of the tests must leave it as it was."""

import http.client
import json
import os
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

State = Mapping[str, frozenset[str]]
"""Kind of thing -> what there is of it."""

SETTLE_SECONDS = 15.0
"""Daemons remove cgroups, mounts and links a moment after what they were for."""
DOCKER_SOCKET = "/var/run/docker.sock"
_DAEMONS = ("dockerd", "containerd", "containerd-shim", "libvirtd", "virtlogd", "qemu-system", "conmon", "density")
_PARENTS = frozenset(
    {"docker", "machine", "machine.partition", "system.slice", "user.slice", "libvirt", "lxc", "buildkit"}
)
"""Cgroups that a daemon makes once, for all that it will ever run."""
_ENGINES = ("density", "docker", "machine", "libvirt", "lxc")
"""How the cgroups begin in which engines have theirs."""
_MOVING = ("kernel/ns_last_pid", "kernel/random/", "fs/file-max", "vm/drop_caches", "vm/stat_refresh")
"""Parameters that the kernel changes by itself, or that only take."""


def observe() -> State:
    """The host now; of what cannot be read here, nothing."""
    return {kind: frozenset(read()) for kind, read in _KINDS.items()}


def differences(before: State, after: State) -> list[str]:
    """What there is more, and what there is no more; one line each."""
    found = []
    for kind, things in before.items():
        found += [f"{kind}: {thing} is gone" for thing in sorted(things - after[kind])]
        found += [f"{kind}: {thing} is left" for thing in sorted(after[kind] - things)]
    return found


def settled_differences(before: State, *, seconds: float = SETTLE_SECONDS) -> list[str]:
    """The differences that stay."""
    deadline = time.monotonic() + seconds
    while (found := differences(before, observe())) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def _links() -> Iterator[str]:
    yield from (path.name for path in Path("/sys/class/net").iterdir())


def _cgroups() -> Iterator[str]:
    """At the top, and below the engines' own; what other managers make below theirs is not the tests'."""
    base = Path("/sys/fs/cgroup")
    tops = [base] if (base / "cgroup.controllers").exists() else [path for path in base.iterdir() if path.is_dir()]
    for top in tops:
        for directory, children, _ in os.walk(top):
            parts = Path(directory).relative_to(top).parts
            if not parts:
                continue
            if not parts[0].startswith(_ENGINES):
                children.clear()
            if parts[-1] not in _PARENTS:
                yield directory


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield line.split()[4]


def _sysctls() -> Iterator[str]:
    """Those that can be written; those of a link come and go with it."""
    base = Path("/proc/sys")
    for directory, _, files in os.walk(base):
        for name in files:
            path = Path(directory) / name
            short = str(path.relative_to(base))
            if short.startswith(_MOVING) or "/conf/" in short or "/neigh/" in short:
                continue
            try:
                if path.stat().st_mode & stat.S_IWUSR:
                    yield f"{short} = {path.read_text().strip()}"
            except OSError:
                continue


def _processes() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = path.read_text().strip()
        except OSError:
            continue
        if name.startswith(_DAEMONS):
            yield f"{name} {path.parent.name}"


def _docker(path: str, name: Callable[[Mapping[str, object]], str]) -> Iterator[str]:
    """What the host's daemon lists; nothing where there is none."""
    connection = http.client.HTTPConnection("docker", timeout=30)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        try:
            connection.sock.connect(DOCKER_SOCKET)
            connection.request("GET", path)
            found = json.loads(connection.getresponse().read())
        except OSError:
            return
    yield from (name(each) for each in found)


def _images() -> Iterator[str]:
    return _docker("/images/json", lambda image: f"{image['RepoTags'] or image['Id']}")


def _containers() -> Iterator[str]:
    return _docker("/containers/json?all=1", lambda container: f"{container['Names']}")


def _networks() -> Iterator[str]:
    return _docker("/networks", lambda network: f"{network['Name']}")


def _domains() -> Iterator[str]:
    for what in (["list", "--all", "--name"], ["net-list", "--all", "--name"]):
        try:
            done = subprocess.run(["virsh", "-c", "qemu:///system", *what], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return
        yield from done.stdout.split()


def _runtime() -> Iterator[str]:
    """Directories of runs that are over."""
    for base in ("/run/density", "/run/netns"):
        if Path(base).is_dir():
            yield from (str(path) for path in Path(base).iterdir() if path.name != ".alive")


_KINDS: Mapping[str, Callable[[], Iterator[str]]] = {
    "link": _links,
    "cgroup": _cgroups,
    "mount": _mounts,
    "sysctl": _sysctls,
    "process": _processes,
    "image": _images,
    "container": _containers,
    "network": _networks,
    "domain": _domains,
    "runtime file": _runtime,
}
