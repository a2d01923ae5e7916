"""Ceilings of what the kernel counts for each container or VM: keys, mounts, namespaces, cgroups, aio, terminals."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import each, each_shared, fixed, plain

MEMCG_MAX = 65535
"""MEM_CGROUP_ID_MAX in the kernel's mm/memcontrol.c: ids have 16 bits, and 0 is none."""
NAMESPACES = ("net", "mnt", "pid", "ipc", "uts", "cgroup", "user")

KERNEL = (
    Ceiling(
        id="keys.user",
        resource="kernel keys of one user",
        unit="keys",
        read=each("keys", "count", "limit", reserve=16),
        errors=errors("quota", "disk_quota"),
        fix=Fix(
            "sysctl -w kernel.keys.root_maxkeys=1000000 (of other users than root: kernel.keys.maxkeys)",
            sysctls=("kernel.keys.root_maxkeys",),
        ),
    ),
    Ceiling(
        id="keys.bytes",
        resource="size of the kernel keys of one user",
        unit="bytes",
        read=each("keys", "used_bytes", "limit_bytes", reserve=1024),
        errors=errors("quota", "disk_quota"),
        fix=Fix(
            "sysctl -w kernel.keys.root_maxbytes=100000000 (of other users than root: kernel.keys.maxbytes)",
            sysctls=("kernel.keys.root_maxbytes",),
        ),
    ),
    Ceiling(
        # A container begins with a copy of the host's mounts and adds some of its own before it leaves the others, so
        # it meets the limit some 20 mounts before the host does.
        id="mounts.namespace",
        resource="mounts of one mount namespace: the host's, or a daemon's own",
        unit="mounts",
        read=each_shared("mounts", "count", "mounts.limit", reserve=64),
        errors=errors("no_space"),
        to_start=20,
        fix=Fix("sysctl -w fs.mount-max=1000000", sysctls=("fs.mount-max",)),
    ),
    Ceiling(
        # runc only says that its child is gone ("can't get final child's PID"), as it does where a fork failed.
        id="namespaces.user",
        resource="namespaces of one kind that one user may make",
        unit="namespaces",
        read=each("namespaces", "count", "limit", reserve=16),
        errors=errors("no_namespace", "no_space", "try_again"),
        fix=Fix(
            "sysctl -w " + " ".join(f"user.max_{kind}_namespaces=1000000" for kind in NAMESPACES),
            sysctls=tuple(f"user.max_{kind}_namespaces" for kind in NAMESPACES),
        ),
    ),
    Ceiling(
        id="cgroups.memcg",
        resource="ids of memory cgroups",
        unit="cgroups",
        read=fixed("cgroups.memory_count", MEMCG_MAX, reserve=64),
        errors=errors("no_cgroup", "no_space"),
        fix=Fix("fewer instances; removed cgroups that swapped pages keep alive go with: swapoff -a && swapon -a"),
    ),
    Ceiling(
        id="aio.requests",
        resource="requests of Linux aio contexts (QEMU asks for 1,024 a disk with io=native)",
        unit="requests",
        read=plain("aio.requests_count", "aio.requests_limit"),
        errors=errors("aio", "try_again"),
        fix=Fix(
            'sysctl -w fs.aio-max-nr=1048576, or disk_io = "threads" or "io_uring" for the VMs',
            sysctls=("fs.aio-max-nr",),
        ),
    ),
    Ceiling(
        id="ptys",
        resource="pseudo-terminals",
        unit="terminals",
        read=plain("ptys.count", "ptys.limit", reserve=8),
        errors=errors("pty", "no_space"),
        fix=Fix("sysctl -w kernel.pty.max=65536, or run instances without a terminal", sysctls=("kernel.pty.max",)),
    ),
    Ceiling(
        # A seccomp filter is compiled; errno 524 is what the kernel gives where its memory for that is used up.
        id="bpf.jit",
        resource="memory of the kernel for compiled filters, such as seccomp's",
        unit="bytes",
        read=plain("bpf.jit_bytes", "bpf.jit_limit_bytes"),
        errors=errors("bpf_jit"),
        fix=Fix("sysctl -w net.core.bpf_jit_limit=1073741824", sysctls=("net.core.bpf_jit_limit",)),
    ),
    Ceiling(
        id="ipc.semaphores",
        resource="sets of System V semaphores of one IPC namespace",
        unit="sets",
        read=plain("ipc.semaphores_count", "ipc.semaphores_limit"),
        errors=errors("semaphores"),
        fix=Fix('sysctl -w kernel.sem="32000 1024000000 500 32000"', sysctls=("kernel.sem",)),
    ),
    Ceiling(
        id="ipc.shared_memory",
        resource="shared memory of one IPC namespace: /dev/shm, and System V segments",
        unit="bytes",
        read=plain("ipc.shared_memory_bytes", "ipc.shared_memory_limit_bytes"),
        errors=errors("shared_memory"),
        fix=Fix(
            'give instances a larger /dev/shm (Docker: "default-shm-size" in daemon.json); of System V segments: '
            "sysctl -w kernel.shmall=18446744073692774399 kernel.shmmni=32768",
            sysctls=("kernel.shmall", "kernel.shmmni"),
        ),
    ),
)
