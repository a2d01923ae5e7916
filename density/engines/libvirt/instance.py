"""What the engine remembers of one instance while it lives, and why one ended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from density.ceilings.errors import classify
from density.engines.libvirt.news import How
from density.engines.tried import Tried
from density.model import LEASE, Failure, OwnLimit, Phase, Workload
from density.units import format_bytes, format_seconds

LEASE_RAN_OUT = ": the lease ran out"
"""How the last words of a payload end whose lease ran out, in `payload.c`."""
_WORDS: dict[How, str] = {
    "shut down": "the guest shut its machine down",
    "destroyed": "the domain was destroyed by someone else",
    "crashed": "the guest crashed",
    "failed": "QEMU ended without a word",
    "unknown": "the domain is gone",
    "paused": "the domain was paused by someone else",
    "no disk": "QEMU paused it, as there is no space left for what it writes to its disk",
}
_STANDING: dict[How, str] = {"paused": "paused", "no disk": "no_space"}
"""Kinds of failure of what has not ended and does not go on."""
_WORDS_OF_CONTAINERS: dict[How, str] = _WORDS | {
    "shut down": "the payload ended without a word",
    "failed": "libvirt's own process of the container ended without a word",
}
_GUEST_OUT_OF_MEMORY = re.compile(
    r"out of memory: kill|kernel panic - not syncing: (out of memory|system is deadlocked on memory)"
    r"|initramfs unpacking failed: write error",
    re.IGNORECASE,
)
"""A guest's kernel that kills, that has nothing left to kill, or whose memory does not hold its own initramfs."""


@dataclass(slots=True, eq=False)
class Instance:
    """One domain of this run.

    Attributes:
        changed_at: when it came to this phase, seconds of `anyio.current_time()`.
        asked: set once libvirt has answered to its creation.
        launching: cancelled when there is no more point in waiting for it to become ready.
        ended: set once libvirt says that it ended.
        how: it ended.
        agent: set once its guest agent has connected.
        created_seconds: how long libvirt took to make it.
        tried: how it was asked whether it is ready.
    """

    instance_id: str
    name: str
    workload: Workload
    phase: Phase = Phase.REQUESTED
    changed_at: float = 0.0
    asked: anyio.Event = field(default_factory=anyio.Event)
    launching: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)
    how: How = "unknown"
    agent: anyio.Event = field(default_factory=anyio.Event)
    created_seconds: float = 0.0
    tried: Tried = field(default_factory=Tried)

    @property
    def is_container(self) -> bool:
        """Whether it is no VM."""
        return self.workload.guest == "none"

    @property
    def is_alive(self) -> bool:
        """Whether there is, or is about to be, a domain that stopping would concern."""
        return self.phase in {Phase.REQUESTED, Phase.CREATED, Phase.STARTED, Phase.READY}


def not_ready(instance: Instance, said: tuple[str, ...], own: tuple[OwnLimit, ...] = ()) -> Failure:
    """The failure of one that is not ready within its time, with what was tried.

    Args:
        said: its last lines.
        own: limits of its own that it has met.
    """
    patience = instance.workload.ready_timeout_seconds
    message = f"not ready ({instance.workload.ready.by}) within {format_seconds(patience)}"
    slow = f"libvirt took {format_seconds(instance.created_seconds)} to start it"
    reasons = [slow] if instance.created_seconds > patience / 2 else []
    if instance.tried.what and instance.created_seconds < patience:
        reasons.append(instance.tried.words)
    if reasons:
        message += f": {'; '.join(reasons)}"
    return Failure("timeout", message, said, own_limits=own)


def may_be_oom(how: How, said: tuple[str, ...], *, container: bool) -> bool:
    """Whether it ended as one that the kernel killed: QEMU goes without a word, and a container as if by itself."""
    return how == "failed" or (container and how == "shut down" and not said)


def creation_failure(message: str, said: tuple[str, ...], *, container: bool) -> Failure:
    """The failure of one that libvirt did not start, in its words.

    A container's first process may have run and ended before libvirt has looked; then what it said is the reason.
    """
    kind = classify(message)
    if container and said and kind == "engine":
        return ending_failure("failed", said, oom_killed=False, container=True)
    return Failure(kind, message, said)


def ending_failure(
    how: How, said: tuple[str, ...], *, oom_killed: bool, container: bool, memory_bytes: int = 0
) -> Failure:
    """The failure of an instance that ended by itself.

    What a guest says of its own memory is about its own memory; its other last words are evidence and decide nothing. A
    container's payload speaks of the host's.

    Args:
        how: it ended.
        said: the last lines of its console.
        oom_killed: the kernel of the host killed it.
        container: it is no VM.
        memory_bytes: what the guest was given.
    """
    if oom_killed:
        message = f"the kernel killed {'it' if container else 'QEMU'} for want of memory"
        return Failure("oom_killed", message, said, signal="SIGKILL")
    if container and said:
        kind = classify(said[-1])
        return Failure("exited" if kind == "engine" else kind, said[-1], said)
    if not container and any(line.endswith(LEASE_RAN_OUT) for line in said):
        return Failure(LEASE, "its lease ran out: density did not renew it in time", said)
    words = (_WORDS_OF_CONTAINERS if container else _WORDS)[how]
    if how in _STANDING:
        return Failure(_STANDING[how], words, said)
    if own := () if container else guest_limits(said, memory_bytes):
        message = f"{words}, out of memory: the guest's own {format_bytes(memory_bytes)}"
        return Failure("own_limit", message, said, own_limits=own)
    return Failure("exited", words, said)


def guest_limits(said: Sequence[str], memory_bytes: int) -> tuple[OwnLimit, ...]:
    """The guest's own memory, where its kernel says on the console that this ran out."""
    times = sum(bool(_GUEST_OUT_OF_MEMORY.search(line)) for line in said)
    own = OwnLimit("memory.instance", float(memory_bytes), float(memory_bytes), times)
    return (own,) if times and memory_bytes else ()
