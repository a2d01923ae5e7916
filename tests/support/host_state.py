"""What of this host is everybody's, so that tests must leave it as it was; and what of it belongs to one run."""

import http.client
import json
import os
import re
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from density.host.slice import slice_name

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
_MADE_ONCE = frozenset({"/run/docker/netns/default"})
"""Mounts that a daemon makes with its first container, for all that it will ever run."""
_KEPT = "density-payload:"
"""How the image begins that density keeps for its next run, as docs/safety.md says."""
_ENGINES = ("density", "docker", "machine", "libvirt", "lxc")
"""How the cgroups begin in which engines have theirs."""
_PLACES = (
    "run/density/*",
    "run/user/*/density/*",
    "run/netns/*",
    "run/libvirt/*/*density-*",
    "run/libvirt/qemu/*/*density-*",
    "var/lib/density/*/*",
    "var/lib/libvirt/qemu/*density-*",
    "var/lib/libvirt/qemu/*/*density-*",
    "var/log/libvirt/*/*density-*",
    "tmp/density-*",
    "tmp/density-*/*",
    "var/tmp/density-*",
    "dev/shm/*density*",
)
"""Patterns of what may be left in the file system; a hidden file among them is nothing of a run's."""
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


def leftovers(run_id: str, *, daemon: str = DOCKER_SOCKET) -> list[str]:
    """Whatever on this host carries a run's id, one line each: also processes, by all that the kernel says of them.

    Args:
        daemon: the socket of the Docker daemon that the run used.
    """
    kinds = dict(_KINDS)
    kinds.update({kind: partial(read, daemon) for kind, read in _OF_DOCKER.items()})
    ids = (run_id, slice_name(run_id))

    def of_the_run(text: str) -> bool:
        return any(each in text for each in ids)

    found = [
        f"{kind}: {thing}"
        for kind, read in kinds.items()
        if kind not in {"sysctl", "process"}  # parameters have no run's name; of processes, all is read
        for thing in read()
        if of_the_run(thing)
    ]
    found += [f"process: {pid} {words}" for pid, words, rest in _every_process() if of_the_run(words + rest)]
    return sorted(found)


def settled_leftovers(run_id: str, *, daemon: str = DOCKER_SOCKET, seconds: float = SETTLE_SECONDS) -> list[str]:
    """The leftovers of a run that stay; comes back as soon as there are none."""
    deadline = time.monotonic() + seconds
    while (found := leftovers(run_id, daemon=daemon)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def instances_on_the_host(run_id: str) -> set[str]:
    """Ids of the run's containers, domains and native processes that the host has now, whatever their state.

    A canary is none of a run's instances: what it was for is over before the first of them is launched.
    """
    named = rf"\bdensity-{re.escape(run_id)}-(?![\w.]+-canary)([\w.-]+)"
    found = {name for thing in (*_containers(), *_domains()) for name in re.findall(named, thing.split(" ")[0])}
    for _, words, _ in _every_process():
        if f"--run {run_id}" in words and (native := re.search(r" --id (\S+)", words)):
            found.add(native[1])
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
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    yield from (point for point in points if point not in _MADE_ONCE)


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


def _every_process() -> Iterator[tuple[str, str, str]]:
    """Pid, command line, and environment with cgroups, of every process but this one and those that it came from."""
    ours = {os.getpid(), *_ancestors(os.getpid())}
    for path in Path("/proc").glob("[0-9]*"):
        if int(path.name) in ours:
            continue
        said = []
        for name in ("cmdline", "environ", "cgroup"):
            try:
                said.append((path / name).read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
            except OSError:
                said.append("")
        yield path.name, said[0], f"{said[1]} {said[2]}"


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid


def _docker(daemon: str, path: str, name: Callable[[Mapping[str, Any]], str], key: str = "") -> Iterator[str]:
    """What a daemon lists; nothing where there is none."""
    connection = http.client.HTTPConnection("docker")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(30)
        try:
            connection.sock.connect(daemon)
            connection.request("GET", path)
            found = json.loads(connection.getresponse().read())
        except OSError:
            return
    yield from (name(each) for each in (found[key] or () if key else found))


def _images(daemon: str = DOCKER_SOCKET) -> Iterator[str]:
    def name(image: Mapping[str, Any]) -> str:
        tags = [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]
        return " ".join(tags) or image["Id"]

    return (each for each in _docker(daemon, "/images/json", name) if not each.startswith(_KEPT))


def _containers(daemon: str = DOCKER_SOCKET) -> Iterator[str]:
    def name(container: Mapping[str, Any]) -> str:
        return f"{container['Names'][0]} {container['Labels']}"

    return _docker(daemon, "/containers/json?all=1", name)


def _networks(daemon: str = DOCKER_SOCKET) -> Iterator[str]:
    return _docker(daemon, "/networks", lambda network: f"{network['Name']} {network['Labels']}")


def _volumes(daemon: str = DOCKER_SOCKET) -> Iterator[str]:
    return _docker(daemon, "/volumes", lambda volume: f"{volume['Name']} {volume['Labels']}", key="Volumes")


def _domains() -> Iterator[str]:
    for uri in ("qemu:///system", "lxc:///system"):
        for what in (["list", "--all", "--name"], ["net-list", "--all", "--name"]):
            with suppress(OSError, subprocess.SubprocessError):
                command = ["virsh", "-c", uri, *what]
                yield from subprocess.run(
                    command, capture_output=True, text=True, check=True, timeout=30
                ).stdout.split()


def _files() -> Iterator[str]:
    """What density and its engines keep of runs that are over: directories, sockets, overlays, logs, states."""
    for pattern in _PLACES:
        yield from (str(path) for path in Path("/").glob(pattern) if path.is_dir() or not path.name.startswith("."))


def _sockets() -> Iterator[str]:
    """Paths of unix sockets that are still open somewhere, also where their files are gone."""
    for line in Path("/proc/net/unix").read_text().splitlines():
        path = line.split(maxsplit=7)[7:]
        if path and "density" in path[0]:
            yield path[0]


_OF_DOCKER: Mapping[str, Callable[[str], Iterator[str]]] = {
    "image": _images,
    "container": _containers,
    "network": _networks,
    "volume": _volumes,
}
_KINDS: Mapping[str, Callable[[], Iterator[str]]] = {
    "link": _links,
    "cgroup": _cgroups,
    "mount": _mounts,
    "sysctl": _sysctls,
    "process": _processes,
    **{kind: partial(read, DOCKER_SOCKET) for kind, read in _OF_DOCKER.items()},
    "domain": _domains,
    "file": _files,
    "socket": _sockets,
}
