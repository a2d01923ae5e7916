"""Everything density raises on purpose.

DensityError                 exit 1
├── UsageError               exit 2   a command line that asks for the impossible
│   └── ProfileError         exit 2   a profile with problems, all of them at once
├── EngineUnavailable        exit 5   an engine that cannot be used, with how to get it
└── HostUnreadable           exit 5   the host's sensors do not answer, so that nothing may be launched on it

Failures of single instances are not here: they are data (`density.model.Failure`).
"""

from collections.abc import Sequence


class DensityError(Exception):
    """Base of all errors with a message meant for the person at the terminal: one clear sentence."""

    exit_code = 1


class UsageError(DensityError):
    """Asked for something that cannot be; nothing was started."""

    exit_code = 2


class ProfileError(UsageError):
    """A profile with problems; `problems` has one sentence each: where, what was found, what is allowed."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


class EngineUnavailable(DensityError):
    """An engine cannot be used; `remedy` says how to get it."""

    exit_code = 5

    def __init__(self, engine: str, reason: str, *, remedy: str = "") -> None:
        self.engine = engine
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{engine}: {reason}" + (f" ({remedy})" if remedy else ""))


class HostUnreadable(DensityError):
    """The host, or those of its sensors that nothing may be launched without, have not answered for too long."""

    exit_code = 5

    def __init__(self, seconds: float, sensors: Sequence[str] = ()) -> None:
        self.seconds = seconds
        self.sensors = tuple(sensors)
        which = f" ({', '.join(sensors)})" if sensors else ""
        super().__init__(f"the host could not be read for {seconds:.0f} s{which}: launching stopped")
