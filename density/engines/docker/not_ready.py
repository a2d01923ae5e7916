"""Why an instance did not become ready in time, or is healthy no more: what was tried, and what came back."""

from contextlib import suppress
from dataclasses import dataclass

from density.engines.docker.answers import Container
from density.engines.docker.client import CLIENT_ERRORS
from density.engines.docker.health import Health, health_of
from density.engines.docker.instance import PAUSED, Instance
from density.engines.docker.log import EVIDENCE_LINES, TAIL_LINES, evidence, is_in, read_tail
from density.engines.docker.session import LeanClient
from density.model import Failure
from density.text import line_pattern
from density.units import format_counted, format_seconds


@dataclass(frozen=True, slots=True)
class Found:
    """A container that runs and is not as it should be.

    Attributes:
        lines: the last of its log, more than are shown.
        health: what came of its health checks.
        container: as the daemon describes it; None where it does not.
    """

    lines: tuple[str, ...]
    health: Health
    container: Container | None

    @property
    def shown(self) -> tuple[str, ...]:
        """The lines that are evidence."""
        return evidence(self.lines)

    @property
    def pid(self) -> int:
        """Of its first process; 0 where it does not run."""
        return self.container.state.pid if self.container else 0

    def has_line(self, pattern: str) -> bool:
        """Whether a line matches: a log may have outrun its follower."""
        wanted = line_pattern(pattern)
        return any(is_in(wanted, line) for line in self.lines)


def look(client: LeanClient, container_id: str) -> Found:
    """Look at a container; what the daemon cannot say stays empty. Blocks."""
    lines: tuple[str, ...] = ()
    container: Container | None = None
    with suppress(*CLIENT_ERRORS):
        lines = read_tail(client, container_id, lines=TAIL_LINES)
    with suppress(*CLIENT_ERRORS):
        container = Container.of(client.inspect_container(container_id))
    return Found(lines, health_of(container) if container else Health(), container)


def not_ready(instance: Instance, found: Found) -> Failure:
    """The failure of an instance that is not ready within its time."""
    workload = instance.workload
    message = f"not ready ({workload.ready.by}) within {format_seconds(workload.ready_timeout_seconds)}"
    if instance.paused:
        return Failure("paused", f"{message}: {PAUSED}", found.shown)
    if instance.unhealthy or workload.ready.by == "healthy":
        return Failure("timeout", f"{message}: {_health_words(found.health)}", _evidence(found))
    if instance.tried.what:
        message = f"{message}: {instance.tried.words}"
    return Failure("timeout", message, found.shown)


def unhealthy(found: Found) -> Failure:
    """The failure of an instance whose health check fails after it was ready."""
    return Failure("unhealthy", _health_words(found.health), _evidence(found))


def _health_words(health: Health) -> str:
    if not health.failed:
        return f"its health check: {health.words}"
    times = format_counted(health.failed, "time", "times")
    return f"its health check failed {times} in a row, the last with {health.words}"


def _evidence(found: Found) -> tuple[str, ...]:
    """What the health check printed, then what the instance did."""
    return (*found.health.lines, *found.shown)[:EVIDENCE_LINES]
