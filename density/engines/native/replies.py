"""What the fork server says, a line each; pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spawned:
    """An instance's process exists and runs the payload."""

    instance_id: str
    pid: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The kernel did not fork or start it; `message` is its own words."""

    instance_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Exited:
    """A process ended, with an exit code or by a signal (the other one is 0)."""

    pid: int
    code: int
    signal: int


@dataclass(frozen=True, slots=True)
class Said:
    """An instance's words on its stderr."""

    instance_id: str
    text: str


Reply = Spawned | Refused | Exited | Said


def parse_reply(line: str) -> Reply:
    """A line of the fork server, as `payload.c` documents them at `serve_spawns`."""
    match line.split("\t"):
        case ["spawned", instance_id, pid] if pid.isdecimal():
            return Spawned(instance_id, int(pid))
        case ["failed", instance_id, _, text]:
            return Refused(instance_id, text)
        case ["exited", *numbers] if len(numbers) == 3 and all(map(str.isdecimal, numbers)):
            return Exited(*map(int, numbers))
    instance_id, _, text = line.partition(": ")
    return Said(instance_id, text)
