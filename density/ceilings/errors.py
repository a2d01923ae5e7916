"""From an engine's words to a class of error: the first step of finding out what bound."""

import re

_CLASSES: tuple[tuple[str, str], ...] = (
    ("exchange_full", r"exchange full"),
    ("no_address", r"no available IP(v4|v6)? addresses|could not find an available.*address|DHCP.*(exhaust|full)"),
    ("quota", r"disk quota exceeded|session keyring"),
    ("port_taken", r"port is already allocated|address already in use|all ports are allocated"),
    # Words that name what ran out go before those that only name the kernel's error.
    ("aio", r"linux aio context|io_setup"),
    ("pty", r"/dev/ptmx|\bpty\b|pseudo-?terminal"),
    ("inotify", r"inotify"),
    ("no_namespace", r"(unshare|clone|nsexec|new (network )?namespace|network namespace)\b.*no space left on device"),
    ("no_cgroup", r"(mkdir /sys/fs/cgroup|cgroup (directory|path)).*no space left on device"),
    ("table_full", r"neighbou?r table overflow|no buffer space available"),
    ("files_in_system", r"too many open files in system"),
    ("too_many_files", r"too many open files"),
    (
        "overloaded",
        r"too many active clients|context deadline exceeded|read timed out|\.sock\b.*temporarily unavailable",
    ),
    (
        "try_again",
        (
            r"resource temporarily unavailable|failed to create new OS thread|can't get final child's PID"
            r"|error during container init: read init-p: connection reset by peer"
            r"|cannot fork|fork/exec .* EAGAIN|unable to create (new )?thread|pids? limit"
        ),
    ),
    ("no_space", r"no space left on device"),
    ("oom_killed", r"oom[- ]?kill|out of memory"),
    ("no_memory", r"cannot allocate memory|cannot set up guest memory|not enough memory"),
    ("exited", r"cannot start a stopped process"),
    ("no_image", r"no such image|pull access denied|manifest unknown|no such file or directory.*(image|disk)"),
)
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _CLASSES)

EXHAUSTION = frozenset(
    {
        "exchange_full",
        "no_address",
        "quota",
        "port_taken",
        "too_many_files",
        "files_in_system",
        "inotify",
        "try_again",
        "aio",
        "pty",
        "no_namespace",
        "no_cgroup",
        "table_full",
        "no_space",
        "oom_killed",
        "no_memory",
    }
)
"""Kinds that mean a resource ran out, so that launching more is pointless."""

OTHER_KINDS = frozenset({"no_image", "own_limit", "overloaded", "timeout", "exited", "refused", "engine", "cancelled"})
"""Kinds given by an engine that knows more than the words: `own_limit` (the kernel refused or killed at a limit of the
instance itself, so that the host did not run out of anything), `timeout` (never ready in time), `exited` (ended before
it was ready), `refused` (no connection), `cancelled` (the run was ended first), `engine` (anything else it said)."""


def classify(message: str) -> str:
    """The kind of a failure from the engine's own words; `engine` where nothing is recognised."""
    for kind, pattern in _COMPILED:
        if pattern.search(message):
            return kind
    return "engine"
