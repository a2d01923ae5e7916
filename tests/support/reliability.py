"""Whether odds are what they claim to be: of what was said with 90 %, nine in ten must be right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
Pair = tuple[float, bool]
"""What was claimed, 0 to 1, and whether it was right."""
Claim = tuple[float | None, bool]
"""The same of a verdict that may have no odds: an objective that was measured as missed, an error."""
CALIBRATED = 0.03
"""The largest expected calibration error."""
ENOUGH = 1000
"""Claims; with fewer, chance alone moves the error by about as much."""
SURE = 0.9
"""Of what is said with these odds or more, so many must be right."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Claims between two odds.

    Attributes:
        low, high: the odds; the lower end belongs to it, the upper one to the next, and 1 to the last.
        count: how many claims; claimed: their mean odds; right: the share that was right.
    """

    low: float
    high: float
    count: int
    claimed: float
    right: float

    @property
    def gap(self) -> float:
        """How far the claim is from the truth."""
        return abs(self.claimed - self.right)


def reliability(pairs: Sequence[Pair], edges: Sequence[float] = EDGES) -> list[Bin]:
    """The table; without the bins in which nothing was claimed."""
    return list(_bins(pairs, edges))


def _bins(pairs: Sequence[Pair], edges: Sequence[float]) -> Iterator[Bin]:
    for low, high in pairwise(edges):
        found = [pair for pair in pairs if low <= pair[0] < high or (pair[0] == high == edges[-1])]
        if found:
            claimed = sum(odds for odds, _ in found) / len(found)
            yield Bin(low, high, len(found), claimed, sum(right for _, right in found) / len(found))


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """The mean gap of the bins, each by the number of its claims."""
    total = sum(each.count for each in bins)
    return sum(each.gap * each.count for each in bins) / total if total else 0.0


def with_odds(claims: Sequence[Claim]) -> list[Pair]:
    """Those that claim odds."""
    return [(odds, right) for odds, right in claims if odds is not None]


def miscalibrations(pairs: Sequence[Pair]) -> Iterator[str]:
    """What is wrong about these odds, a sentence each."""
    error = expected_calibration_error(reliability(pairs))
    if len(pairs) >= ENOUGH and error > CALIBRATED:
        yield f"the expected calibration error is {error:.3f}; allowed is {CALIBRATED}"
    sure = [right for odds, right in pairs if odds >= SURE]
    if sum(sure) < SURE * len(sure):
        yield f"of {len(sure)} said with {SURE:.0%} or more, {sum(sure)} are right; allowed is {SURE:.0%} or more"


def written_claims(claims: Sequence[Claim]) -> Iterator[str]:
    """The table of those that claim odds, how many do not, and what is wrong, as lines of text."""
    pairs = with_odds(claims)
    yield from written(reliability(pairs))
    judged = f"at most {CALIBRATED}" if len(pairs) >= ENOUGH else f"not judged below {ENOUGH:,} verdicts"
    yield f"allowed: {judged}; of what is said with {SURE:.0%} or more, {SURE:.0%} right"
    yield f"without odds, not in the table: {len(claims) - len(pairs)} (measured as missed, an error, or no verdict)"
    for problem in miscalibrations(pairs):
        yield f"WRONG: {problem}"


def written(bins: Sequence[Bin]) -> Iterator[str]:
    """The table as lines of text."""
    yield f"{'said with':<14} {'verdicts':>8} {'mean odds':>10} {'right':>8}"
    for each in bins:
        yield f"{each.low:>5.0%} to {each.high:<5.0%} {each.count:>8} {each.claimed:>10.1%} {each.right:>8.1%}"
    yield f"expected calibration error {expected_calibration_error(bins):.3f}"
