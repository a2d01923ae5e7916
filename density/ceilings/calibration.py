"""From shares of weights to odds that are what they claim to be: a monotone mapping of the largest of them.

The knots are what was right among simulated hosts whose truth is known (`tests/support/ambiguous.py`, seeds 0 to 699),
made monotone; `make attribution` measures on other seeds how far off they are. Weights claim too little where several
ceilings are possible, and too much where one has nearly all.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import TypeVar

Key = TypeVar("Key")

KNOTS = (
    (0.0, 0.0),
    (0.4, 0.45),
    (0.6, 0.69),
    (0.76, 0.8),
    (0.86, 0.88),
    (0.93, 0.93),
    (0.96, 0.935),
    (0.99, 0.965),
    (1.0, 0.985),
)
"""Share of the weights -> how often it was right."""
CERTAIN = KNOTS[-1][1]
"""The highest odds that are claimed of anything: as often as those were right that had all the weight."""


def mapped(share: float) -> float:
    """The odds that a share of this size, the largest of all, is right."""
    for (low, least), (high, most) in pairwise(KNOTS):
        if share <= high:
            return least + (most - least) * max(0.0, share - low) / (high - low)
    return CERTAIN


def calibrated(shares: Mapping[Key, float]) -> dict[Key, float]:
    """The same with the largest mapped, and the others holding what that leaves, in the same proportions."""
    first = max(shares, key=lambda key: shares[key])
    odds, left = mapped(shares[first]), 1 - shares[first]
    rest = {key: share / left * (1 - odds) if left > 0 else 0.0 for key, share in shares.items()}
    return rest | {first: odds}
