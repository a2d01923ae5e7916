"""How a container ended, as a failure that a person can act on."""

import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from density.ceilings.errors import classify, heard
from density.engines.docker.answers import Container, HostSettings
from density.engines.docker.client import CLIENT_ERRORS
from density.engines.docker.instance import Instance
from density.engines.docker.log import EVIDENCE_LINES, evidence, read_tail
from density.engines.docker.owners import is_held_by, may_look
from density.engines.docker.session import LeanClient
from density.engines.docker.spec import is_payload
from density.engines.own_limits import ANY_PORT, Limits, candidates, fixed_port, memory_killed, reached, wanted_port
from density.host.kernel_log import Logged
from density.model import Failure, OwnLimit
from density.units import format_bytes

_SIGNALLED = 128
_KILLED = _SIGNALLED + signal.SIGKILL
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
        limits: what the container may use.
    """

    exit_code: int | None = None
    out_of_memory: bool = False
    error: str = ""
    lines: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an end apart from what the daemon says.

    Attributes:
        readable: the kernel's log can be read, so what is not in it has not happened.
        logged: what it says of this container.
        slice_was_full: the run's slice was at its memory limit at some time; slice_tasks_full: at its limit on tasks.
        files_limit: open files that another of its workload was seen to be allowed; 0: none was seen.
        daemon_files_limit: open files that the daemon itself may have, which is what it hands on by default.
        siblings: ids of the workload's other containers that are there.
    """

    readable: bool = False
    logged: Sequence[Logged] = ()
    slice_was_full: bool = False
    slice_tasks_full: bool = False
    files_limit: float = 0.0
    daemon_files_limit: float = 0.0
    siblings: Sequence[str] = ()


def ending_of(container: Container, lines: tuple[str, ...]) -> Ending:
    """How a container ended, with the last lines of its log."""
    state = container.state
    return Ending(
        exit_code=None if state.running else state.exit_code,
        out_of_memory=state.out_of_memory,
        error=" ".join(state.error.split()),
        lines=lines,
        limits=limits_of(container.settings),
    )


def limits_of(settings: HostSettings) -> Limits:
    """What a container may use."""
    files = [limit.soft for limit in settings.ulimits if limit.name == "nofile"]
    return Limits(
        memory_bytes=float(max(0, settings.memory)),
        tasks=float(max(0, settings.pids_limit)),
        files=float(max(0, files[-1])) if files else 0.0,
    )


def read_ending(client: LeanClient, container_id: str) -> Ending:
    """Ask the daemon how a container ended; what it cannot say stays empty. Blocks."""
    lines: tuple[str, ...] = ()
    with suppress(*CLIENT_ERRORS):
        lines = evidence(read_tail(client, container_id, lines=EVIDENCE_LINES))
    with suppress(*CLIENT_ERRORS):
        return ending_of(Container.of(client.inspect_container(container_id)), lines)
    return Ending(lines=lines)


def ending_failure(ending: Ending, instance: Instance, known: Known | None = None) -> Failure:
    """The failure of an instance that ended by itself.

    The payload's last line is trusted to say why; other programs' logs are evidence only.

    Args:
        ending: how the daemon describes the end.
        instance: what the engine remembers of it.
        known: what else is known: what the kernel logged, and whether the slice was full.
    """
    code = instance.exit_code if instance.exit_code is not None else ending.exit_code
    message = f"ended with {_exit_words(code)}"
    fail = partial(Failure, evidence=ending.lines, exit_code=code, signal=signal_of(code))
    known = known or Known()
    own = _own_limits(ending, instance, known, code)
    if own and own[0].ceiling == "memory.instance":
        limit = format_bytes(own[0].limit)
        return fail("own_limit", f"{message}, out of memory: the instance's own limit of {limit}", own_limits=own)
    if own and own[0].ceiling == "ports.fixed":
        return fail("port_taken", f"{message}: {_port_words(ending, instance)}", own_limits=own)
    # On cgroup v1 every container below the group that ran out hears of it: it concerns one that was killed.
    if (_out_of_memory(ending, instance) or memory_killed(known.logged)) and code == _KILLED:
        return fail("oom_killed", f"{message}, out of memory", own_limits=own)
    reason = ending.error or (ending.lines[-1] if ending.lines and is_payload(instance.workload) else "")
    if not reason:
        return fail("exited", message, own_limits=own)
    kind = classify(reason)
    if kind == "engine":
        kind = "refused" if code == _UNREACHABLE else "exited"
    return fail(kind, f"{message}: {reason}", own_limits=own)


def start_failure(kind: str, message: str, instance: Instance, logged: Sequence[Logged]) -> Failure:
    """The failure of one that the daemon could not start, by what it said and what the kernel logged of it."""
    limits = Limits(memory_bytes=instance.workload.memory_bytes)
    own = reached(limits, logged, mark=instance.container_id, slice_full=False)
    if own and own[0].ceiling == "memory.instance":
        limit = format_bytes(own[0].limit)
        return Failure("own_limit", f"{message}: the instance's own limit of {limit}", own_limits=own)
    return Failure(kind, message)


def _own_limits(ending: Ending, instance: Instance, known: Known, code: int | None) -> tuple[OwnLimit, ...]:
    """The container's own limits that it reached, by the kernel's log where that can be read."""
    limits = ending.limits
    if known.readable:
        own = reached(limits, known.logged, mark=instance.container_id, slice_full=known.slice_tasks_full)
    elif _out_of_memory(ending, instance) and code == _KILLED and limits.memory_bytes and not known.slice_was_full:
        own = (OwnLimit("memory.instance", limits.memory_bytes, limits.memory_bytes, 1),)
    else:
        own = ()
    said = heard(ending.lines)
    if said and said.kind == "port_taken":
        return port_clash(instance, known.siblings, said.line)
    limits = replace(limits, files=known.files_limit or limits.files or known.daemon_files_limit)
    return own or candidates(limits, said.kind if said else "", counted=known.readable)


def port_clash(instance: Instance, siblings: Sequence[str], line: str) -> tuple[OwnLimit, ...]:
    """That the port which an instance wants is one that another instance of its workload has, if it is so. Blocks.

    Args:
        instance: what the engine remembers of it.
        siblings: ids of the workload's other containers that are there.
        line: what the program said, with the port or without.
    """
    port = wanted_port(line, instance.workload.ready)
    if instance.workload.network != "host" or not siblings or port == ANY_PORT:
        return ()
    return (fixed_port(port),) if not may_look() or is_held_by(siblings, port) else ()


def _port_words(ending: Ending, instance: Instance) -> str:
    said = heard(ending.lines)
    port = wanted_port(said.line if said else "", instance.workload.ready)
    which = f"port {port}" if port else "the same port"
    return f"address already in use: every instance of {instance.workload.name} wants {which} of the host"


def _out_of_memory(ending: Ending, instance: Instance) -> bool:
    return ending.out_of_memory or instance.out_of_memory


def signal_of(code: int | None) -> str:
    """The signal in an exit code above 128, as a shell counts them; empty where there is none."""
    with suppress(ValueError):
        return signal.Signals(code - _SIGNALLED).name if code is not None else ""
    return ""


def _exit_words(code: int | None) -> str:
    if code is None:
        return "an unknown exit code"
    name = signal_of(code)
    return f"exit code {code} ({name})" if name else f"exit code {code}"
