"""What a Docker daemon says of itself, and which processes it is."""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from density.engines.docker.answers import Info, Version
from density.engines.docker.client import Endpoint
from density.engines.docker.owners import read_listeners, sockets_of
from density.engines.docker.state_dirs import state_dirs
from density.engines.listener import listener
from density.model import EngineInfo


def engine_info(info: Info, version: Version, endpoint: Endpoint) -> EngineInfo:
    """An `EngineInfo` from the daemon's answers and from the process list of its host."""
    daemons = find_daemons(endpoint)
    facts = {
        "api_version": version.api_version,
        "cgroup_driver": info.cgroup_driver,
        "cgroup_version": info.cgroup_version,
        "storage_driver": info.driver,
        "root_dir": info.docker_root_dir,
        "kernel": info.kernel_version,
        "runtime": info.default_runtime,
        **state_dirs(daemons),
    }
    return EngineInfo(
        name="docker",
        version=version.version,
        endpoint=endpoint.url,
        limits={"cpus": float(info.cpus), "memory_bytes": float(info.memory)},
        daemons=daemons,
        facts={name: value for name, value in facts.items() if value},
    )


def clock_of(info: Info) -> int:
    """The daemon's own time in whole UNIX seconds, rounded down; 0 where it does not say."""
    try:
        # Nanoseconds are more than `fromisoformat` takes, and a whole second is enough.
        return int(datetime.fromisoformat(f"{info.system_time[:19]}+00:00").timestamp())
    except ValueError:
        return 0


def maps_users(info: Info) -> bool:
    """Whether root in a container is another user outside of it."""
    options = {part for option in info.security_options for part in option.split(",")}
    return not options.isdisjoint({"name=userns", "name=rootless"})


def find_daemons(endpoint: Endpoint, proc: Path = Path("/proc")) -> dict[str, int]:
    """Pids of the daemon behind this endpoint and of its containerd: name -> pid; only those found."""
    names = _names(proc)
    candidates = sorted(pid for pid, name in names.items() if name == "dockerd")
    dockerd = listener(endpoint.socket_path) if endpoint.is_local else _listens(endpoint, candidates, proc)
    if dockerd not in candidates:
        # systemd listens on the socket for it; with several daemons the oldest is the system's own.
        dockerd = min(candidates, default=0)
    containerds = sorted(pid for pid, name in names.items() if name == "containerd")
    containerd = next((pid for pid in containerds if _parent(proc, pid) == dockerd), None)
    found = {"dockerd": dockerd, "containerd": containerd or next(iter(containerds), 0)}
    return {name: pid for name, pid in found.items() if pid}


def _listens(endpoint: Endpoint, candidates: Iterable[int], proc: Path) -> int:
    """Which of these processes listens on the port of an endpoint by TCP; 0 where none does, or nobody may look."""
    port = urlsplit(endpoint.url).port
    # The daemon may be in another network and have been handed a socket of this one.
    inodes = {each.inode for each in read_listeners(os.getpid(), proc) if each.port == port}
    for pid in candidates:
        with suppress(OSError):
            if inodes & sockets_of([pid], proc):
                return pid
    return 0


def _names(proc: Path) -> dict[int, str]:
    found = {}
    for entry in os.listdir(proc):  # noqa: PTH208 — 30,000 Path objects would be made for nothing
        if entry.isdigit():
            try:
                found[int(entry)] = (proc / entry / "comm").read_text().strip()
            except OSError:
                continue
    return found


def _parent(proc: Path, pid: int) -> int:
    try:
        return int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
