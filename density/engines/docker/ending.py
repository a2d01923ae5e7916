"""How a container ended, as a failure that a person can act on."""

import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from docker import APIClient

from density.ceilings.errors import classify
from density.engines.docker.client import CLIENT_ERRORS
from density.engines.docker.instance import Instance
from density.engines.docker.log import read_tail
from density.engines.docker.spec import is_payload
from density.model import Failure

LOG_LINES = 20
_KILLED = 128 + signal.SIGKILL
_UNREACHABLE = 69
"""The payload's exit code where nobody answers on its channel."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of a container that is over.

    Attributes:
        exit_code: None where nobody knows.
        out_of_memory: the kernel killed it for want of memory.
        error: the daemon's own words, empty where it has none.
        lines: the last of its log.
    """

    exit_code: int | None = None
    out_of_memory: bool = False
    error: str = ""
    lines: tuple[str, ...] = ()


def parse_ending(container: Mapping[str, Any], lines: tuple[str, ...]) -> Ending:
    """An `Ending` from the daemon's description of a container and the last lines of its log."""
    state = container["State"]
    return Ending(
        exit_code=None if state.get("Running") else state.get("ExitCode"),
        out_of_memory=bool(state.get("OOMKilled")),
        error=" ".join(str(state.get("Error", "")).split()),
        lines=lines,
    )


def read_ending(client: APIClient, container_id: str) -> Ending:
    """Ask the daemon how a container ended; what it cannot say stays empty. Blocks."""
    lines: tuple[str, ...] = ()
    with suppress(*CLIENT_ERRORS):
        lines = read_tail(client, container_id, lines=LOG_LINES)
    with suppress(*CLIENT_ERRORS):
        return parse_ending(client.inspect_container(container_id), lines)
    return Ending(lines=lines)


def ending_failure(ending: Ending, instance: Instance) -> Failure:
    """The failure of an instance that ended by itself.

    The payload's last line is trusted to say why; other programs' logs are evidence only.
    """
    code = instance.exit_code if instance.exit_code is not None else ending.exit_code
    message = f"ended with {_exit_words(code)}"
    # On cgroup v1 every container below the group that ran out hears of it: it concerns one that was killed.
    if (ending.out_of_memory or instance.out_of_memory) and code == _KILLED:
        return Failure("oom_killed", f"{message}, out of memory", ending.lines)
    reason = ending.error or (ending.lines[-1] if ending.lines and is_payload(instance.workload) else "")
    if not reason:
        return Failure("exited", message, ending.lines)
    kind = classify(reason)
    if kind == "engine":
        kind = "refused" if code == _UNREACHABLE else "exited"
    return Failure(kind, f"{message}: {reason}", ending.lines)


def _exit_words(code: int | None) -> str:
    if code is None:
        return "an unknown exit code"
    try:
        return f"exit code {code} ({signal.Signals(code - 128).name})"
    except ValueError:
        return f"exit code {code}"
