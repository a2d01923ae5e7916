"""What the engine remembers of one instance while it lives, and why one ended."""

from dataclasses import dataclass, field

import anyio

from density.engines.libvirt.news import How
from density.model import Failure, Phase, Workload

_WORDS: dict[How, str] = {
    "shut down": "the guest shut its machine down",
    "destroyed": "the domain was destroyed by someone else",
    "crashed": "the guest crashed",
    "failed": "QEMU ended without a word",
    "unknown": "the domain is gone",
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
    def is_alive(self) -> bool:
        """Whether there is, or is about to be, a domain that stopping would concern."""
        return self.phase in {Phase.REQUESTED, Phase.CREATED, Phase.STARTED, Phase.READY}


def ending_failure(how: How, console: tuple[str, ...], *, oom_killed: bool) -> Failure:
    """The failure of an instance that ended by itself.

    What a guest says of its own memory is about its own memory, so its last words are evidence and decide nothing.
    """
    if oom_killed:
        return Failure("oom_killed", "the kernel killed QEMU for want of memory", console)
    return Failure("exited", _WORDS[how], console)
