"""From words to a class of error, the first step of finding out what bound: an engine's words, or an instance's last.

One table serves both. A new wording is a new line in it; lines that name what ran out go before those that only name
the kernel's error, for the first that fits decides. What an instance printed is a candidate and no more: every row of
the catalogue that can cause the kind is held against what was read of it (`density.ceilings.verdict`).
"""

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass

_CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # What a network, a pool or a table has run out of.
    ("exchange_full", (
        r"exchange full", r"xfull\b",
    )),
    ("no_pool", (
        r"predefined address pools have been fully subnetted", r"non-overlapping IPv[46] address pool",
        r"could not find an available predefined network", r"could not find free subnet",
    )),
    ("no_address", (
        r"no available (IP|IPv4|IPv6) ?addresses", r"could not find an available.*address", r"no free addresses",
        r"no more (free )?(IP )?addresses", r"DHCP.*(exhaust|full|no address available)",
        r"failed to allocate.*\bip address", r"requested IP address.*(exhaust|not available)",
        r"all IP addresses .*allocated", r"no IP addresses available",
    )),
    ("table_full", (
        r"neighbou?r(ing)?( table)? overflow", r"no buffer space available", r"ENOBUFS\b",
    )),
    ("port_taken", (
        r"port is already allocated", r"address already in use", r"all ports are allocated", r"EADDRINUSE",
        r"address in use", r"only one usage of each socket address", r"port \d+ is (already )?in use",
        r"address is already in use",
    )),
    ("no_port", (
        r"cannot assign requested address", r"can't assign requested address", r"EADDRNOTAVAIL",
        r"address not available", r"no ephemeral ports?",
    )),
    # What an engine cannot do in time, or for so many: nothing of the host has run out.
    ("overloaded", (
        r"too many active clients", r"context deadline exceeded", r"read timed out",
        r"\.sock\b.*temporarily unavailable", r"xtables lock", r"state change lock",
        r"maximum number of (active connections|pending replies)", r"DBus\.Error\.(LimitsExceeded|NoReply|TimedOut)",
        r"StartTransientUnit.*timed? ?out", r"timed out.*StartTransientUnit", r"timeout waiting for systemd",
        r"(failed to activate|activating) service .*timed out", r"connection timed out.*(dbus|systemd|bus)",
        r"timed out during operation", r"no answer within", r"deadline exceeded", r"start timed out",
        r"too many requests",
        r"too many outstanding (requests|operations)", r"max_clients", r"did not receive a reply",
        r"(rtnl|netlink).*(timed out|timeout)",
    )),
    # Words that name what ran out.
    ("bpf_jit", (
        r"seccomp.*errno 524", r"errno 524", r"seccomp.*ENOTSUPP", r"bpf.*jit.*(limit|alloc)",
    )),
    ("thin_pool", (
        r"thin ?pool.*(free (data|metadata) blocks|full|out of (data|metadata) space|no space)", r"dm-thin.*space",
    )),
    ("no_hugepages", (
        r"insufficient free host memory pages", r"unable to map backing store for guest RAM",
        r"hugepages?.*(not enough|insufficient|unavailable)", r"not enough (free )?huge ?pages",
        r"mmap.*MAP_HUGETLB.*failed",
    )),
    ("no_lock", (
        r"exceeded num_locks", r"allocation failed.*num_locks", r"all (\d+ )?locks have been (allocated|exhausted)",
    )),
    ("quota", (
        r"session keyring", r"keyring.*quota", r"session key\b.*quota",
        r"(keyctl|add_key|request_key|KEYCTL_\w+).*(quota|EDQUOT)",
        r"key(ring)? quota exceeded",
    )),
    ("disk_quota", (
        r"disk quota exceeded", r"quota exceeded", r"EDQUOT", r"over quota",
    )),
    ("aio", (
        r"linux[- ]?aio", r"io_setup", r"io_queue_init", r"aio-max-nr", r"InnoDB.*\baio\b", r"libaio",
    )),
    ("pty", (
        r"/dev/ptmx", r"\bptys?\b", r"openpty", r"forkpty", r"pseudo-?terminal", r"allocate tty", r"posix_openpt",
    )),
    ("inotify_watches", (
        r"inotify_add_watch", r"inotify watch", r"number of (file|inotify) watch", r"max_user_watches",
        r"system limit for number of file watchers", r"watch(es)? limit (was )?reached", r"Failed to add (a )?watch",
        r"add watch.*no space left", r"fsnotify.*no space left",
    )),
    ("inotify", (
        r"inotify_init", r"inotify instance", r"max_user_instances", r"create inotify",
        r"inotify\b.*(fail|error|cannot|unable|too many|limit|EMFILE)", r"(fail|error|cannot|unable)\w*\b.*\binotify",
        r"fsnotify.*too many open files", r"failed to create (a )?(fs)?watcher", r"allocate (directory|file) watch",
    )),
    ("no_namespace", (
        r"(unshare|clone|nsexec|setns|new (network )?namespace|network namespace|netns)\b.*no space left on device",
        r"max_(user|net|mnt|pid|ipc|uts|cgroup)_namespaces",
    )),
    ("no_cgroup", (
        r"(mkdir|create)\W.*(/sys/fs/cgroup|cgroup).*(no space left on device|cannot allocate memory|out of memory)",
        r"cgroup (directory|path).*no space left on device", r"cgroup.*(ENOSPC|ENOMEM)",
    )),
    ("semaphores", (
        r"semget", r"could not create semaphores", r"sem(aphore)?s?\b.*no space left on device", r"SEMMN[IS]",
        r"no space left on device.*semaphore",
    )),
    ("shared_memory", (
        r"/dev/shm\b",  # noqa: S108 — words that programs print
        r"shm_open", r"shmget",
        r"shared memory (segment|region|object).*(no space|cannot allocate|too (large|big)|denied)",
        r"could not (resize|create) shared memory", r"SHMMNI", r"SHMALL", r"bus error.*shared",
    )),
    ("file_locks", (
        r"no locks available", r"ENOLCK",
    )),
    ("message_queues", (
        r"mq_open", r"mq_overview", r"msgget", r"POSIX message queue",
    )),
    ("locked_memory", (
        r"mlock", r"MEMLOCK", r"locked memory", r"memory lock",
    )),
    ("maps", (
        r"max_map_count", r"vm\.max_map_areas", r"too many (memory )?mappings", r"map count",
    )),
    # Words that name the kernel's error alone.
    ("files_in_system", (
        r"too many open files in system", r"file table overflow", r"ENFILE", r"VFS: file-max limit",
    )),
    ("too_many_files", (
        r"too many open files", r"EMFILE", r"no file descriptors available", r"too many files open", r"\(24: ",
        r"errno[ :=]+24\b", r"worker_connections are not enough", r"out of file descriptors",
        r"unable to set the max number of files open", r"exceeded.*(nofile|open files? limit)",
        r"accept failed.*\b24\b", r"os error 24\b",
    )),
    ("oom_killed", (
        r"\boom[-_ ]?kill", r"killed process \d+", r"out of memory: kill", r"invoked oom-killer",
        r"memory cgroup out of memory", r"OOMKilled",
    )),
    ("try_again", (
        r"resource temporarily unavailable", r"failed to create new OS thread", r"can't get final child's PID",
        r"error during container init: read init-p: connection reset by peer",
        r"(cannot|can't|could not|unable to|failed to) (v?fork|clone|spawn|create)\b.*(temporarily unavailable|limit)",
        r"fork/exec .* EAGAIN", r"\bEAGAIN\b", r"unable to create (a )?(new )?(native )?thread",
        r"can't start new thread", r"pthread_create( \w+)* (failed|error)",
        r"(v?fork|clone3?)(\(\))? ?(failed|error)", r"\bcannot fork", r"can't fork", r"could not fork",
        r"fork: retry", r"pids? limit", r"\(11: ", r"os error 11\b", r"errno[ :=]+11\b", r"thread creation failed",
        r"failed to (spawn|start) thread", r"getting the final child's pid", r"reading pid of process",
        r"runtime/cgo: pthread_create", r"Failed to fork", r"unable to fork", r"uv_thread_create", r"newosproc",
        r"could not create (the )?(thread|child process)", r"RLIMIT_NPROC", r"TasksMax", r"pids\.max",
    )),
    ("no_space", (
        r"no space left on device", r"ENOSPC", r"disk (is )?full", r"not enough (disk )?space(?!.*errno=12)", r"\(28: ",
        r"os error 28\b", r"errno[ :=]+28\b", r"no space left on (disk|drive)", r"insufficient (disk )?space",
        r"out of inodes", r"\bdevice (is )?full\b(?![ -]\w)",
    )),
    ("no_memory", (
        r"cannot allocate memory", r"can't allocate memory", r"cannot set up guest memory", r"not enough memory",
        r"out of memory", r"ENOMEM", r"OutOfMemoryError", r"MemoryError", r"std::bad_alloc", r"bad_alloc",
        r"memory exhausted", r"heap out of memory", r"unable to allocate",
        r"failed to (map|reserve|commit|allocate) .*memory", r"memory allocation of \d+ bytes failed",
        r"cannot allocate \d+ bytes",
        r"malloc.*fail", r"cannot reserve", r"insufficient memory", r"virtual memory exhausted", r"\(12: ",
        r"os error 12\b", r"errno[ :=]+12\b", r"fatal error: runtime: (cannot allocate|out of memory)",
        r"\bno memory( (is )?(left|available))?$", r"\bno memory (is )?(left|available)\b",
        r"\bno memory (for|to)\b", r"(memory|page) allocation failure",
    )),
    # What says nothing of the host.
    ("exited", (
        r"cannot start a stopped process",
    )),
    ("no_image", (
        r"no such image", r"pull access denied", r"manifest unknown", r"no such file or directory.*(image|disk)",
        r"image not known", r"(image|layer|disk)\b.*(not found|does not exist)",
        r"cannot access (storage file|backing file)", r"could not open '.*(img|qcow2|raw)'",
        r"no such container image", r"failed to resolve reference",
    )),
    ("refused", (
        r"connection refused", r"is the docker daemon running", r"cannot connect to the docker daemon",
        r"failed to connect socket", r"end of file while reading data", r"client socket is closed",
        r"transport is closing", r"connection error: desc", r"broken pipe.*(daemon|containerd|libvirt)",
        r"error reading from server: EOF", r"cannot recv data",
    )),
)  # fmt: skip
"""Kind -> patterns, any of which names it; case does not matter."""
_COMPILED = tuple((kind, re.compile("|".join(patterns), re.IGNORECASE)) for kind, patterns in _CLASSES)
_FAILS = re.compile(
    r"\bfail|\berror|\w(Error|Exception)\b|\b(fatal|panic|abort|crit|alert|emerg)|"
    r"\b(cannot|can't|couldn't|could not|unable|refus|reject)|unavailable|temporarily|\btoo (many|low|big)|"
    r"\bnot (enough|available|allowed|accept|creat|allocat|open|start)|"
    r"\bno (space|locks?|buffer|more|free|memory|available|file descriptors|ephemeral)\b|"
    r"exhaust|insufficient|exceed|overflow|\bout of (memory|space|file|inodes|data|metadata)|"
    r"\b(is|are|table|pool|disk|device|exchange) full\b|limit (was |is )?(reached|hit)|limit .*reached|"
    r"\b(is|address|already) in use\b|already (allocated|taken|used)|"
    r"killed|invoked oom|bad_alloc|denied|over quota|giving up|\(\d{1,3}: |\berrno\b",
    re.IGNORECASE,
)
"""What a line has that says that something went wrong, beside the name of what it is of."""
_FAILS_BY_NAME = re.compile(rf"\b({'|'.join(errno.errorcode.values())}|ENOTSUPP)\b")
"""The kernel's names of errors: `EMFILE`."""
_WENT_WELL = re.compile(
    r"\b(no|0|zero|without( any)?) (\w+ )?(errors?|failures?|failed|killed|denied|exceeded|exhausted)\b|"
    r"\b\w*(errors?|failures?|failed|killed|denied|exceeded|overflow|exhausted|out of memory)\w*( events?)?\"?[ :=]+"
    r"(0|none|false|null|ok)\b|"
    r"\b(on|if|when|in case of|unless|upon|after|from) (an? |any |the )?"
    r"(errors?|failures?|failed|panic|out of memory|address in use|(?-i:E[A-Z]{3,}))\b|"
    r"-XX:\S+|[-_/.](error|failed|failure)s?\b|\b(error|failure|failed)s?[-_/.](log|handler|page|count|rate|budget)\w*",
    re.IGNORECASE,
)
"""Where the same words say that nothing did, or what is to be done if something does."""

ENGINE_KINDS = frozenset({"refused", "engine", "no_image", "overloaded"})
"""Kinds that say of the engine that it cannot launch, and nothing of what the host has."""
OTHER_KINDS = ENGINE_KINDS | {"own_limit", "timeout", "unhealthy", "paused", "exited", "cancelled"}
"""Kinds that name nothing of the host that ran out. An engine gives those that it knows of beyond the words:
`own_limit` (the kernel refused or killed at a limit of the instance itself), `timeout` (never ready in time),
`unhealthy` (its health check fails after it was ready), `paused` (by somebody else than density), `exited` (ended
before it was ready), `refused` (no connection), `cancelled` (the run was ended first), `engine` (anything else).
"""
EXHAUSTION = frozenset(kind for kind, _ in _CLASSES) - OTHER_KINDS
"""Kinds that mean a resource ran out, so that launching more is pointless."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a line of an instance's output names: the kind of error, and the line."""

    kind: str
    line: str


def classify(message: str) -> str:
    """The kind of a failure from the engine's own words; `engine` where nothing is recognised."""
    return next((kind for kind, pattern in _COMPILED if pattern.search(message)), "engine")


def heard(lines: Sequence[str]) -> Heard | None:
    """The last line of an instance that names something that ran out; None where none does.

    Only what ran out is looked for: that a program could not reach another one, or find a file, is its own affair.
    Other than an engine's message, a line need not be about a failure: `using inotify` is not.
    """
    for line in reversed(lines):
        kind = classify(line)
        if kind in EXHAUSTION and _is_of_a_failure(line):
            return Heard(kind, line.strip())
    return None


def _is_of_a_failure(line: str) -> bool:
    rest = _WENT_WELL.sub("", line)
    return bool(_FAILS_BY_NAME.search(rest) or _FAILS.search(rest))
