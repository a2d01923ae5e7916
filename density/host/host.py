"""What a host is: the fingerprint that makes two runs comparable or not."""

import os
import re
from contextlib import suppress
from pathlib import Path

from density.host.cpu import read_times
from density.host.hierarchies import cgroup_version, find_hierarchies
from density.host.memory import total_bytes
from density.host.reading import Unavailable

_MODEL = re.compile(r"^(?:model name|Model|cpu model|Processor)\s*:\s*(.+)$", re.MULTILINE)
_FLAGS = re.compile(r"^flags\s*:.*\bhypervisor\b", re.MULTILINE)
_PRETTY_NAME = re.compile(r'^PRETTY_NAME="?([^"\n]*)"?$', re.MULTILINE)


def facts(root: Path) -> dict[str, str | float]:
    """The fingerprint; what cannot be read is left out.

    `cpus`, `cpu_model`, `memory_bytes`, `kernel`, `distribution`, `cgroup_version` (0: no cgroups), `systemd` (`yes`,
    `no`), `virtualised` (`yes`, with the maker's name where it tells, or `no`), `steal_ratio` (of all CPU time since
    boot) and `kvm` (`usable`, or why not; that it opens does not prove that a guest runs).
    """
    cpuinfo = _text(root / "proc/cpuinfo")
    found: dict[str, str | float] = {
        "cpu_model": _first(_MODEL, cpuinfo),
        "kernel": _text(root / "proc/sys/kernel/osrelease").strip(),
        "distribution": _first(_PRETTY_NAME, _text(root / "etc/os-release")),
        "cgroup_version": float(cgroup_version(find_hierarchies(root))),
        "systemd": "yes" if (root / "run/systemd/system").is_dir() else "no",
        "virtualised": _virtualised(root, cpuinfo),
        "kvm": _kvm(root / "dev/kvm"),
    }
    with suppress(Unavailable):
        found["memory_bytes"] = total_bytes(root)
    with suppress(Unavailable):
        times = read_times(root)
        found |= {"cpus": float(times.count), "steal_ratio": times.steal / max(1.0, times.total)}
    return {name: value for name, value in sorted(found.items()) if value != ""}


def _virtualised(root: Path, cpuinfo: str) -> str:
    if not _FLAGS.search(cpuinfo):
        return "no"
    maker = _text(root / "sys/class/dmi/id/sys_vendor").strip()
    return f"yes, {maker}" if maker else "yes"


def _kvm(device: Path) -> str:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "no /dev/kvm"
    except OSError as error:
        return f"does not open: {error.strerror}"
    return "usable"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1].strip() if match else ""
