"""What the engine remembers of one instance while it lives, and why one ended."""

from dataclasses import dataclass, field

import anyio

from density.ceilings.errors import classify
from density.engines.libvirt.news import How
from density.model import Failure, Phase, Workload

_WORDS: dict[How, str] = {
    "shut down": "the guest shut its machine down",
    "destroyed": "the domain was destroyed by someone else",
    "crashed": "the guest crashed",
    "failed": "QEMU ended without a word",
    "unknown": "the domain is gone",
}
_WORDS_OF_CONTAINERS: dict[How, str] = _WORDS | {
    "shut down": "the payload ended without a word",
    "failed": "libvirt's own process of the container ended without a word",
}


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

    @property
    def is_container(self) -> bool:
        """Whether it is no VM."""
        return self.workload.guest == "none"

    @property
    def is_alive(self) -> bool:
        """Whether there is, or is about to be, a domain that stopping would concern."""
        return self.phase in {Phase.REQUESTED, Phase.CREATED, Phase.STARTED, Phase.READY}


def may_be_oom(how: How, said: tuple[str, ...], *, container: bool) -> bool:
    """Whether it ended as one that the kernel killed: QEMU goes without a word, and a container as if by itself."""
    return how == "failed" or (container and how == "shut down" and not said)


def ending_failure(how: How, said: tuple[str, ...], *, oom_killed: bool, container: bool) -> Failure:
    """The failure of an instance that ended by itself.

    What a guest says of its own memory is about its own memory, so its last words are evidence and decide nothing; a
    container's payload speaks of the host's.
    """
    if oom_killed:
        return Failure("oom_killed", f"the kernel killed {'it' if container else 'QEMU'} for want of memory", said)
    if container and said:
        kind = classify(said[-1])
        return Failure("exited" if kind == "engine" else kind, said[-1], said)
    return Failure("exited", (_WORDS_OF_CONTAINERS if container else _WORDS)[how], said)
