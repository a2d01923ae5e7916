"""What libvirt and QEMU say of themselves."""

import os
import re
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import libvirt

from density.engines.listener import listener
from density.model import EngineInfo

_RUN = Path("/run")
_DAEMONS = ("libvirtd", "virtqemud", "virtlxcd", "virtlogd")
_LOG_SOCKET = "/run/libvirt/virtlogd-sock"
_QEMU_CONF = Path("/etc/libvirt/qemu.conf")
_LIBVIRTD_CONF = Path("/etc/libvirt/libvirtd.conf")

Driver = Literal["qemu", "lxc", "test"]
"""What an endpoint of libvirt makes: VMs, containers, or libvirt's own in-process test hypervisor's nothing."""


@dataclass(frozen=True, slots=True)
class Directories:
    """Where a daemon keeps the files of what runs.

    Attributes:
        state: of the daemon itself.
        pids: `NAME.pid` of each domain.
        logs: `NAME.log` of each domain.
    """

    state: Path
    pids: Path
    logs: Path


def is_session(uri: str) -> bool:
    """Whether a URI leads to the daemon of one user, whose VMs run as that user."""
    return urlsplit(uri).path == "/session"


def directories_of(uri: str, driver: Driver) -> Directories:
    """Those of the daemon of the system, or of this user's own: libvirt makes no others."""
    if not is_session(uri):
        state = _RUN / "libvirt"
        return Directories(state, state / driver, Path("/var/log/libvirt", driver))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 — never raises
    state = Path(os.environ.get("XDG_RUNTIME_DIR") or cache) / "libvirt"
    return Directories(state, state / driver / "run", cache / "libvirt" / driver / "log")


def driver_of(connection: libvirt.virConnect) -> Driver:
    """Which driver is behind a connection. Blocks."""
    name = str(connection.getType()).lower()
    return "lxc" if name == "lxc" else "test" if name == "test" else "qemu"


def engine_info(connection: libvirt.virConnect, uri: str) -> EngineInfo:
    """Versions, limits, daemons. Blocks.

    Raises:
        libvirt.libvirtError: it does not say.
    """
    version = f"libvirt {format_version(connection.getLibVersion())}"
    driver = driver_of(connection)
    limits = {} if driver == "test" or is_session(uri) else _limits()
    if driver == "qemu":
        version += f", QEMU {format_version(connection.getVersion())}"
    else:
        limits.pop("processes", None)  # of QEMU's user
    return EngineInfo(
        name="libvirt",
        version=version,
        endpoint=uri,
        limits=limits,
        daemons={} if driver == "test" else find_daemons(uri),
        facts={} if driver == "test" else _places(directories_of(uri, driver)),
    )


def all_directories() -> tuple[Directories, ...]:
    """Every place that files of a domain may be at; its name tells them from those of others."""
    ways: tuple[tuple[str, Driver], ...] = (
        ("qemu:///system", "qemu"),
        ("lxc:///system", "lxc"),
        ("qemu:///session", "qemu"),
    )
    return tuple(directories_of(uri, driver) for uri, driver in ways)


def _places(directories: Directories) -> dict[str, str]:
    """Where the daemon writes for each domain, as far as that is there."""
    places = {"state_dir": directories.state, "log_dir": directories.logs}
    return {name: str(path) for name, path in places.items() if path.is_dir()}


def qemu_owner(connection: libvirt.virConnect) -> tuple[int, int] | None:
    """User and group that QEMU runs as; None where libvirt does not say. Blocks."""
    return parse_owner(connection.getCapabilities())


def parse_owner(capabilities: str) -> tuple[int, int] | None:
    """User and group of QEMU in libvirt's capabilities: `+64055:+108` of the security model `dac`."""
    root = ET.fromstring(capabilities)  # noqa: S314 — libvirt's own words, from a socket that only root serves
    for model in root.iterfind("host/secmodel"):
        if model.findtext("model") == "dac" and (label := model.findtext("baselabel")):
            found = re.fullmatch(r"\+(\d+):\+(\d+)", label)
            return (int(found[1]), int(found[2])) if found else None
    return None


def format_version(number: int) -> str:
    """`9.0.0` from libvirt's 9000000."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def parse_setting(text: str, name: str) -> int | None:
    """A number in one of libvirt's configuration files; None where it is not set."""
    found = re.search(rf"^\s*{name}\s*=\s*(\d+)\s*(?:#.*)?$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _limits() -> dict[str, float]:
    wanted = {
        "processes": (_QEMU_CONF, "max_processes"),
        "requests_per_client": (_LIBVIRTD_CONF, "max_client_requests"),
        "workers": (_LIBVIRTD_CONF, "max_workers"),
    }
    limits: dict[str, float] = {}
    for name, (file, setting) in wanted.items():
        # For root alone on most hosts; then nobody can say.
        with suppress(OSError):
            value = parse_setting(file.read_text(), setting)
            if value:
                limits[name] = value
    return limits


def find_daemons(uri: str, *, run: Path = _RUN, proc: Path = Path("/proc")) -> dict[str, int]:
    """Pids of the daemon behind this endpoint and of the one that keeps its logs: name -> pid; only those found.

    A URI that names a socket means the daemon that listens on it, which need not be the host's own and may live in a
    mount namespace of its own: its log daemon is the one that it finds there.
    """
    for path in parse_qs(urlsplit(uri).query).get("socket", ()):
        pid = listener(path)
        with suppress(OSError):
            name = (proc / str(pid) / "comm").read_text().strip()
            if name in _DAEMONS:  # and not systemd, which listens for one
                logs = listener(f"{proc}/{pid}/root{_LOG_SOCKET}")
                return {name: pid} | ({"virtlogd": logs} if logs else {})
    found = {}
    directory = directories_of(uri, "qemu").state if is_session(uri) else run
    for name in _DAEMONS:
        with suppress(OSError, ValueError):
            pid = int((directory / f"{name}.pid").read_text())
            os.kill(pid, 0)
            found[name] = pid
    return found
