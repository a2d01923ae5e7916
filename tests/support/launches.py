"""How many launches it takes to see that more of them fail than may."""

from density.binomial import chance
from density.evidence import SPENT


def needed(share: float, allowed: float) -> int:
    """Launches with which one look at this confidence sees a true share in four of five runs."""
    total = 1
    while True:
        fewest = next(bad for bad in range(1, total + 2) if chance(bad, total, allowed) <= SPENT)
        if chance(fewest, total, share) >= 0.8:
            return total
        total += 1
