"""Limits that the kernel sets for the whole host, for what other sensors count."""

from pathlib import Path

from density.host.census import KINDS
from density.host.reading import FileSensor, number_parser


def limits_sensor(root: Path) -> FileSensor:
    """The sensor of the limits; what this kernel has no limit of is left out.

    `mounts.limit` is that of a mount namespace, `maps.limit` that of a process; `namespaces.KIND.limit` and
    `inotify.{instances,watches}_limit` are those of a user.
    """
    sys = root / "proc/sys"
    files = {
        sys / "fs/mount-max": "mounts.limit",
        sys / "vm/max_map_count": "maps.limit",
        sys / "fs/inotify/max_user_instances": "inotify.instances_limit",
        sys / "fs/inotify/max_user_watches": "inotify.watches_limit",
        **{sys / "user" / f"max_{kind}_namespaces": f"namespaces.{kind}.limit" for kind in KINDS},
    }
    return FileSensor({}, {file: number_parser(name) for file, name in files.items()})
