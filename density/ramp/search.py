"""Between a count that kept every objective and one that did not: the exact one, by bisection."""

from collections.abc import Mapping
from dataclasses import dataclass

from density.capacity.capacities import CLOSE
from density.evidence import ENOUGH, SOME

FRESH = ENOUGH
"""Launches before a count is judged."""
FRESH_OF_EACH = SOME
"""Of them, launches of each workload."""
MOST_FRESH = 5 * FRESH
"""Launches of all workloads together that are enough, however few there are of one."""


@dataclass(frozen=True, slots=True)
class Try:
    """One step of the search: go back to `back` instances, then launch up to `target`."""

    back: int
    target: int


@dataclass(frozen=True, slots=True)
class Bisection:
    """What is known.

    Attributes:
        kept: so many instances kept every objective; missed: so many did not.
        guess: a count between them to try first; 0: none.
    """

    kept: int
    missed: int
    guess: int = 0

    def next(self) -> Try | None:
        """The next count to try; None when the two are close enough."""
        if self.missed - self.kept <= max(1, int(CLOSE * self.kept)):
            return None
        target = self.guess if self.kept < self.guess < self.missed else (self.kept + self.missed) // 2
        return Try(max(0, min(self.kept, target - FRESH)), target)

    def after(self, target: int, *, kept: bool) -> "Bisection":
        """With what trying `target` showed."""
        return Bisection(target, self.missed) if kept else Bisection(self.kept, target)


def are_enough(launched: Mapping[str, int]) -> bool:
    """Whether a count can be judged by so many launches of each workload; a small count may have none of some."""
    total = sum(launched.values())
    return total >= MOST_FRESH or (total >= FRESH and min(filter(None, launched.values())) >= FRESH_OF_EACH)
