"""What the engine remembers of one instance while it lives."""

import math
from dataclasses import dataclass, field

import anyio

from density.engines.tried import Tried
from density.model import Phase, Workload

PAUSED = "paused, by somebody else than density"


@dataclass(slots=True)
class Instance:
    """One container of this run.

    Attributes:
        changed_at: when it came to this phase, seconds of `anyio.current_time()`.
        may_exist: the daemon was asked to create it and did not say no.
        container_id: empty until it is created.
        launching: while something waits for it to become ready.
        ended: set once the daemon says that it ended.
        exit_code: of a container that ended; None while it runs.
        out_of_memory: the daemon said that its memory ran out.
        healthy: set while its health check passes.
        unhealthy: the daemon's last word on its health is that it has none.
        health_at: when that word was, in nanoseconds by the daemon's clock.
        paused: somebody paused it.
        went_with_daemon: it ended while the daemon did, and another one was started.
        forced_at: when it is removed by force, once it was told to go.
        tried: how it was asked whether it is ready.
        secret: what the channel knows its payload by.
    """

    instance_id: str
    workload: Workload
    phase: Phase = Phase.REQUESTED
    changed_at: float = 0.0
    may_exist: bool = True
    container_id: str = ""
    launching: anyio.CancelScope | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)
    exit_code: int | None = None
    out_of_memory: bool = False
    healthy: anyio.Event = field(default_factory=anyio.Event)
    unhealthy: bool = False
    health_at: int = 0
    paused: bool = False
    went_with_daemon: bool = False
    forced_at: float = math.inf
    tried: Tried = field(default_factory=Tried)
    secret: str = field(default="", repr=False)

    def interrupt(self) -> None:
        """Wait no more for it to become ready."""
        if self.launching is not None:
            self.launching.cancel()

    @property
    def is_alive(self) -> bool:
        """Whether there is, or is about to be, a container that stopping would concern."""
        return self.phase in {Phase.REQUESTED, Phase.CREATED, Phase.STARTED, Phase.READY}
