"""Health checks: what an image asks for, and what came of a container's."""

from dataclasses import dataclass

from density.engines.docker.answers import Container, Image

_SECOND = 1_000_000_000
INTERVAL_SECONDS = 30.0
START_INTERVAL_SECONDS = 5.0
RETRIES = 3
"""Docker's own, where an image does not say."""
START_INTERVAL_API = (1, 44)
"""From this version of the API on, checks come more often while a container starts."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What an image's HEALTHCHECK asks for.

    Attributes:
        interval_seconds: between two checks, and from the start to the first.
        start_period_seconds: for so long after the start a failed check does not count.
        start_interval_seconds: between two checks in that time, with a daemon that knows of it.
        retries: so many failed ones in a row make a container unhealthy.
    """

    interval_seconds: float = INTERVAL_SECONDS
    start_period_seconds: float = 0.0
    start_interval_seconds: float = START_INTERVAL_SECONDS
    retries: int = RETRIES

    @property
    def unhealthy_seconds(self) -> float:
        """From the start of a container that never is healthy to its being called unhealthy."""
        return self.start_period_seconds + self.interval_seconds * self.retries

    def first_seconds(self, api_version: str) -> float:
        """From a container's start to its first check."""
        version = tuple(int(part) for part in api_version.split(".") if part.isdecimal())
        if self.start_period_seconds > 0 and version >= START_INTERVAL_API:
            return min(self.interval_seconds, self.start_interval_seconds)
        return self.interval_seconds


def healthcheck_of(image: Image) -> HealthCheck | None:
    """The health check of an image; None where it has none, or `HEALTHCHECK NONE`."""
    found = image.config.healthcheck
    if not found.test or found.test[0] == "NONE":
        return None
    return HealthCheck(
        interval_seconds=found.interval / _SECOND or INTERVAL_SECONDS,
        start_period_seconds=found.start_period / _SECOND,
        start_interval_seconds=found.start_interval / _SECOND or START_INTERVAL_SECONDS,
        retries=found.retries or RETRIES,
    )


@dataclass(frozen=True, slots=True)
class Health:
    """What came of a container's health checks.

    Attributes:
        failed: how many failed in a row, up to now.
        exit_code: of the last one; None where none has ended yet.
        lines: what the last one printed.
    """

    failed: int = 0
    exit_code: int | None = None
    lines: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The last check, in one line."""
        if self.exit_code is None:
            return "no check has ended yet"
        said = f": {self.lines[-1]}" if self.lines else ", without a word"
        return f"exit code {self.exit_code}{said}"


def health_of(container: Container) -> Health:
    """What came of a container's checks."""
    found = container.state.health
    if not found.log:
        return Health(failed=found.failing_streak)
    last = found.log[-1]
    lines = tuple(line.strip() for line in last.output.splitlines() if line.strip())
    return Health(found.failing_streak, last.exit_code, lines)
