"""The last launches, and what they come to."""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from density.statistics import quantile

ENOUGH_LAUNCHES = 20
"""Below this many, one slow or failed launch would be more than 5 % of them, and no share or percentile means much."""
MOST_LAUNCHES = 100


@dataclass(slots=True)
class RecentLaunches:
    """The last launches; its length is how many they are.

    Attributes:
        seconds: times to ready of those that became it; failed: of each, whether it did not.
    """

    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_LAUNCHES))
    failed: deque[bool] = field(default_factory=lambda: deque(maxlen=MOST_LAUNCHES))

    def __len__(self) -> int:
        return len(self.failed)

    def add(self, seconds: float | None) -> None:
        """One that took so long to become ready; None: it failed."""
        self.failed.append(seconds is None)
        if seconds is not None:
            self.seconds.append(seconds)

    def clear(self) -> None:
        """Forget them."""
        self.seconds.clear()
        self.failed.clear()

    def copy(self) -> "RecentLaunches":
        """The same launches, which later ones are not added to."""
        return RecentLaunches(self.seconds.copy(), self.failed.copy())

    def measures(self, objectives: Mapping[str, float], *, searching: bool) -> dict[str, float]:
        """What they come to: of enough of them, or of fewer that already decide what is asked of them.

        Args:
            objectives: by the names of `density.profile.spec.Objectives`.
            searching: a search takes no more launches where the objective is past keeping; a ramp does, since the
                first ones may be slow.
        """
        found: tuple[tuple[str, str, Collection[float], Callable[[Collection[float]], float]], ...] = (
            ("slo.ready_p95_seconds", "ready_p95_seconds", self.seconds, _p95),
            ("slo.failures_ratio", "failures_share", self.failed, fmean),
        )
        return {
            name: come_to(launches)
            for name, objective, launches, come_to in found
            if _decides(launches, objectives.get(objective), come_to, searching=searching)
        }


def _p95(seconds: Collection[float]) -> float:
    return quantile(seconds, 0.95)


def _decides(
    launches: Collection[float], limit: float | None, come_to: Callable[[Collection[float]], float], *, searching: bool
) -> bool:
    """Whether they say if the objective is kept: all of them keep it, or not even perfect ones after them would."""
    missing = ENOUGH_LAUNCHES - len(launches)
    if missing <= 0:
        return True
    if not launches or limit is None:
        return False
    return max(launches) <= limit or (searching and come_to([*launches, *[0.0] * missing]) > limit)
