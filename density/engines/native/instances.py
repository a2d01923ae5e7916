"""The instances of a native engine, from launch to stop, and why one of them ended."""

import signal
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import anyio

from density.ceilings.errors import classify
from density.engines.native.replies import Exited
from density.model import Failure, Workload

_LINES_KEPT = 20
_UNREACHABLE = 69
_SIGKILL = 9


@dataclass(slots=True, eq=False)
class Instance:
    """A process that was asked for.

    Attributes:
        state: `launching`, then `ready` or `over` (failed, lost), and `stopping` from whichever.
        answered: set once the fork server said what became of the request.
        refused: the kernel's words where there is no process.
        gone: set once the process has ended.
        changed_at: the time of its last change, seconds of `anyio.current_time()`.
    """

    instance_id: str
    workload: Workload
    state: Literal["launching", "ready", "over", "stopping"] = "launching"
    pid: int | None = None
    refused: str = ""
    answered: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    changed_at: float = 0.0

    async def ended(self) -> None:
        """Wait until it has no process any more."""
        await self.answered.wait()
        if self.pid is not None:
            await self.gone.wait()


def failure_of(exited: Exited, said: tuple[str, ...], *, oom_killed: bool) -> Failure:
    """Why a process ended unasked, from how it ended and its last words."""
    code, name = (None, signal_name(exited.signal)) if exited.signal else (exited.code, "")
    fail = partial(Failure, evidence=said, exit_code=code, signal=name)
    if oom_killed:
        return fail("oom_killed", "killed by the kernel: out of memory")
    how = f"ended by signal {exited.signal}" if exited.signal else f"ended with exit code {exited.code}"
    if not said:
        return fail("exited", how)
    kind = classify(said[-1])
    if kind == "engine":
        kind = "refused" if exited.code == _UNREACHABLE else "exited"
    return fail(kind, f"{how}: {said[-1]}")


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; a number that has no name stays one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def may_be_oom(exited: Exited) -> bool:
    """Whether it ended as the kernel ends a process for want of memory."""
    return exited.signal == _SIGKILL
