"""What libvirt leaves of a domain in the file system: it does not list this, and forgets to remove some of it.

The domain's name begins most of these names, so with a whole run id they are ours. Some directories of a VM are named
after its number and the first 20 characters of its name, which is less than a run id: `domain-7-density-20261130-122`.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from density.host.processes import PROC, command_lines
from density.host.removing import remove_all
from density.model import object_name, run_of

_SHORT_NAME = 20
_NUMBERED = re.compile(r"(?:domain-)?\d+-(.+)")
_SYSTEM: Mapping[str, Sequence[str]] = {
    "var/log/libvirt/qemu": (".log",),
    "var/log/libvirt/lxc": (".log",),
    "run/libvirt/qemu": (".pid", ".xml"),
    "run/libvirt/lxc": (".pid", ".xml", ".sock", ".dev", ".devpts", ".fuse", ".root"),
    "var/lib/libvirt/qemu/save": (".save",),
}
"""Directory of the system's libvirt -> endings of the names in it that begin with a domain's."""
_SYSTEM_NUMBERED = ("var/lib/libvirt/qemu", "var/lib/libvirt/qemu/channel/target", "run/libvirt/qemu/channel")


@dataclass(frozen=True, slots=True)
class Places:
    """Where libvirt keeps what it does not list.

    Attributes:
        named: directory -> endings of the names in it that begin with a domain's.
        numbered: directories with directories of VMs, by number and short name.
        proc: where processes are, to see what is in use.
    """

    named: Mapping[Path, Sequence[str]]
    numbered: Sequence[Path]
    proc: Path = PROC


def places(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> Places:
    """Those of the system's libvirt, and of this user's own (`qemu:///session`)."""
    home = Path(environment.get("HOME") or "/nonexistent")
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / "libvirt/qemu"
    configured = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "libvirt/qemu"
    runtime = Path(environment.get("XDG_RUNTIME_DIR") or home / ".cache") / "libvirt/qemu"
    session = {cache / "log": (".log",), runtime / "run": (".pid", ".xml"), configured / "save": (".save",)}
    return Places(
        named={root / directory: endings for directory, endings in _SYSTEM.items()} | session,
        numbered=(
            *(root / directory for directory in _SYSTEM_NUMBERED),
            *(configured / "lib", configured / "channel/target", runtime / "run/channel"),
        ),
        proc=root / PROC.relative_to("/"),
    )


def remove_of(name: str, where: Places | None = None) -> None:
    """Remove the traces of a domain that is gone, those that its whole name begins; lists no directory. Blocks."""
    where = where or places()
    for directory, endings in where.named.items():
        remove_all(path for ending in endings if os.path.lexists(path := directory / f"{name}{ending}"))


def runs(where: Places) -> set[str]:
    """The runs of which there are traces, by whole run ids. Blocks."""
    return {found for directory in where.named for name in _names(directory) if (found := run_of(name))}


def find(run_id: str, where: Places, *, kept: Collection[str] = (), alive: Collection[str] = ()) -> list[Path]:
    """The traces of a run, sorted. Blocks.

    Args:
        run_id: a whole one, or as a test has it: names have to go on with a dash after it.
        kept: names of domains that are still there.
        alive: ids of the runs that go on; a directory whose short name may be one of theirs is none of this run's.
    """
    begin = object_name(run_id, "")
    found = [
        directory / name
        for directory in where.named
        for name in _names(directory)
        if name.startswith(begin) and not any(name.startswith(f"{each}.") for each in kept)
    ]
    short = begin[:_SHORT_NAME]
    if not kept and short not in {object_name(each, "")[:_SHORT_NAME] for each in alive}:
        found += _numbered(short, where)
    return sorted(found)


def _numbered(short: str, where: Places) -> Iterator[Path]:
    there = [
        directory / name
        for directory in where.numbered
        for name in _names(directory)
        if (found := _NUMBERED.fullmatch(name)) and found[1] == short
    ]
    if there:
        with suppress(OSError):  # then nobody knows what is in use
            used = "\0".join("\0".join(words) for _, words in command_lines(where.proc))
            yield from (path for path in there if f"{path}/" not in used)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 — names alone
    except OSError:
        return []
