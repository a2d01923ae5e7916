"""Ceilings of open files, of what is watched, and of the disks."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import each, each_free, each_shared, either, plain

FILES = (
    Ceiling(
        id="files.file_max",
        resource="open files of the host",
        unit="files",
        read=plain("files.open", "files.max", reserve="files"),
        lethal=True,
        errors=errors("files_in_system"),
        fix=Fix("sysctl -w fs.file-max=9223372036854775807", sysctls=("fs.file-max",)),
    ),
    Ceiling(
        id="files.process",
        resource="open files of one process: a daemon of an engine, or the tester",
        unit="files",
        read=either(
            each("daemon", "fds", "fds_limit", reserve=64),
            plain("tester.fds", "tester.fds_limit", reserve=64, subject="tester"),
        ),
        # GLib ends a program that cannot make the pipe of a new thread's main loop, which libvirt has one of a machine.
        lethal_for=frozenset({"tester", "libvirtd", "virtqemud"}),
        errors=errors("too_many_files"),
        fix=Fix(
            "raise LimitNOFILE of the daemon's unit, or `ulimit -n` in the shell that starts it",
            directive="LimitNOFILE",
        ),
    ),
    Ceiling(
        id="inotify.instances",
        resource="inotify instances of one user",
        unit="instances",
        read=each_shared("inotify", "instances_count", "inotify.instances_limit", reserve=8),
        errors=errors("inotify", "too_many_files"),
        fix=Fix(
            "sysctl -w fs.inotify.max_user_instances=65536",
            sysctls=("fs.inotify.max_user_instances",),
        ),
    ),
    Ceiling(
        id="inotify.watches",
        resource="inotify watches of one user",
        unit="watches",
        read=each_shared("inotify", "watches_count", "inotify.watches_limit", reserve=64),
        errors=errors("inotify_watches", "no_space"),
        fix=Fix(
            "sysctl -w fs.inotify.max_user_watches=1048576",
            sysctls=("fs.inotify.max_user_watches",),
        ),
    ),
    Ceiling(
        id="disk.space",
        resource="disk space",
        unit="bytes",
        read=each_free("disk", "available_bytes", "total_bytes", reserve="disk_bytes"),
        lethal=True,
        errors=errors("no_space", "disk_quota"),
        fix=Fix("free or add disk space, or share backing files between instances"),
    ),
    Ceiling(
        id="disk.inodes",
        resource="inodes of a file system",
        unit="inodes",
        read=each_free("disk", "inodes_free", "inodes", reserve="inodes"),
        lethal=True,
        errors=errors("no_space", "disk_quota"),
        fix=Fix("use a file system with more inodes (mkfs.ext4 -N), or XFS"),
    ),
    Ceiling(
        # Only an error reports it: `docker info` has the blocks, which no sensor asks for at every sample.
        id="disk.thin_pool",
        resource="blocks of the thin pool that an engine keeps containers in",
        unit="blocks",
        read=plain("disk.thin_pool.used_count", "disk.thin_pool.limit"),
        errors=errors("thin_pool"),
        fix=Fix("extend the pool (lvextend), or lower dm.min_free_space in daemon.json"),
    ),
)
