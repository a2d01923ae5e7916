"""A hinge against a straight line: whether a series bends upwards, and where.

The line is `y = a + b n + c m + e n m` with the count `n` and a nuisance `m`; the hinge adds `d max(0, n - k)` with
the bend `k` unknown. As `k` is sought, the F of hinge against line is the largest of many and follows no F distribution
(Davies, Biometrika 74, 1987). Andrews (Econometrica 61, 1993) tabulates the limit of that largest F, but for breaks in
long series whose errors are all alike; here points are few, a kink is no break, only upward bends count, latencies
scatter more the longer they are, and they wander with the host's other work. So the distribution is simulated, as
Hansen does for this very hinge (Regression kink with an unknown threshold, J. Bus. Econ. Stat. 35, 2017): by a wild
bootstrap, which gives each residual a random sign and so leaves unequal scatter where it is. Residuals are the hinge's,
enlarged by their leverage (HC3 of MacKinnon and White, J. Econometrics 29, 1985), and it is their innovations that get
signs, put together again by their first-order autocorrelation (Gonçalves and Kilian, J. Econometrics 123, 2004). The
bend's interval holds every bend that the same bootstrap cannot tell from the best (as Hansen's does).

The random signs have a fixed seed, so that the same series gives the same answer.
"""

from dataclasses import dataclass

import numpy as np

from density.capacity.footprint import Array

DRAWS = 999
GRID = 60
"""Bends that are tried, evenly over the counts."""
EDGE = 3
"""Different counts that must lie on either side of a bend, its own among them."""
MOST_CORRELATED = 0.9
MOST_LEVERAGE = 0.95
CONFIDENCE = 0.95
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True)
class Hinge:
    """The hinge that fits best, and the straight line.

    Attributes:
        p: the share of straight lines with the same scatter that look as bent as this; 1 where nothing bends upwards.
        bend: the count where the slope changes; low, high: its 95 % interval.
        before, after: slopes per count there, with the nuisance at its mean.
        level: the hinge's value at the bend.
        slope: the line's; slope_low, slope_high: its 95 % interval.
        squares, smooth_squares: residual sums of squares of the hinge, and of a parabola in its place.
    """

    p: float
    bend: float
    low: float
    high: float
    before: float
    after: float
    level: float
    slope: float
    slope_low: float
    slope_high: float
    squares: float
    smooth_squares: float


@dataclass(frozen=True, slots=True)
class _Fits:
    """Series (rows) fitted by the line and by every hinge (columns); `f` is 0 where no upward bend leads to a rise."""

    line: Array
    change: Array
    squares: Array
    f: Array


class _Bends:
    """All that depends on counts and nuisance alone, worked out once for the bootstrap's many series."""

    def __init__(self, counts: Array, nuisance: Array, weights: Array) -> None:
        self.line = _design(counts, nuisance) * weights[:, None]
        self.solve = np.asarray(np.linalg.pinv(self.line), dtype=np.float64)
        different = np.unique(counts)
        self.at = np.linspace(different[EDGE - 1], different[-EDGE], GRID)
        ramps = np.maximum(0.0, counts[:, None] - self.at) * weights[:, None]
        along = self.solve @ ramps
        self.own = ramps - self.line @ along
        self.norm = (self.own**2).sum(axis=0)
        self.turn = 1 - along[1]

    def fit(self, series: Array) -> _Fits:
        """Least squares of each row."""
        line = series @ self.solve.T
        straight = ((series - line @ self.line.T) ** 2).sum(axis=1)
        change = series @ self.own / self.norm
        gained = change**2 * self.norm
        squares = np.maximum(straight[:, None] - gained, _TINY)
        rises = (change > 0) & (line[:, 1:2] + change * self.turn > 0)
        freedom = len(self.line) - self.line.shape[1] - 2
        return _Fits(line, change, squares, np.where(rises, gained / squares * freedom, 0.0))


def hinge(counts: Array, nuisance: Array, values: Array, *, errors: Array) -> Hinge:
    """Fit line and hinge by weighted least squares.

    Args:
        counts: in rising order, at least 10 of them and 2 * EDGE different ones.
        nuisance: what also moves the values, such as launches in flight; left out where it is constant.
        values: one a count.
        errors: how far each value may be off, in any unit, above 0.
    """
    weights = 1 / errors
    values = values * weights
    bends = _Bends(counts, nuisance, weights)
    found = bends.fit(values[None, :])
    best = int(np.argmax(found.f[0]))
    bend = float(bends.at[best])
    straight = bends.line @ found.line[0]
    ramp = np.maximum(0.0, counts - bend) * weights
    bent, (base, before, *_, change), squares = _fit(bends.line, ramp, values)
    scatter = _scatter(values - bent, np.column_stack((bends.line, ramp)))
    drawn = bends.fit(straight + scatter)
    chance = (1 + int((drawn.f.max(axis=1) >= found.f[0, best]).sum())) / (1 + DRAWS)
    slope_low, slope_high = np.quantile(drawn.line[:, 1], ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    inside = _interval(bends, found.squares[0], best, bends.fit(bent + scatter).squares)
    return Hinge(
        p=chance if found.f[0, best] > 0 else 1.0,
        bend=bend,
        # Where between two points it bends, no fit can tell.
        low=float(counts[counts <= inside[0]].max()),
        high=float(counts[counts >= inside[1]].min()),
        before=before,
        after=before + change,
        level=base + before * bend,
        slope=float(found.line[0, 1]),
        slope_low=float(slope_low),
        slope_high=float(slope_high),
        squares=squares,
        smooth_squares=_fit(bends.line, (counts - counts.mean()) ** 2 * weights, values)[2],
    )


def _design(counts: Array, nuisance: Array) -> Array:
    """Columns 1, n, and those of the nuisance that say anything new, about their means so that they move no level."""
    columns = [np.ones(len(counts)), counts]
    about = nuisance - nuisance.mean()
    for column in (about, about * (counts - counts.mean())):
        wider = np.column_stack((*columns, column))
        norms = np.linalg.norm(wider, axis=0)
        if norms.all() and np.linalg.matrix_rank(wider / norms) > len(columns):
            columns.append(column)
    return np.column_stack(columns)


def _fit(line: Array, column: Array, values: Array) -> tuple[Array, list[float], float]:
    """The line with one more column: fitted values, coefficients, residual sum of squares."""
    design = np.column_stack((line, column))
    coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
    fitted = np.asarray(design @ coefficients, dtype=np.float64)
    return fitted, [float(each) for each in coefficients], float(((values - fitted) ** 2).sum())


def _scatter(residuals: Array, design: Array) -> Array:
    """DRAWS series of errors such as those that left these residuals."""
    points, parameters = len(residuals), design.shape[1] + 1
    lag = float(residuals[1:] @ residuals[:-1]) / max(float(residuals @ residuals), _TINY)
    # A fit leaves residuals of white noise that seem to alternate: their correlation is low by about this much.
    correlation = min(max(0.0, (points * lag + parameters) / (points - parameters)), MOST_CORRELATED)
    leverage = np.einsum("ij,ji->i", design, np.linalg.pinv(design))
    innovations = residuals / (1 - np.clip(leverage, 0.0, MOST_LEVERAGE))
    innovations[1:] -= correlation * innovations[:-1].copy()
    behind = np.subtract.outer(np.arange(points), np.arange(points))
    memory = np.where(behind >= 0, correlation ** np.maximum(0, behind), 0.0)
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (DRAWS, points))
    return np.asarray((signs * innovations) @ memory.T, dtype=np.float64)


def _interval(bends: _Bends, squares: Array, best: int, drawn: Array) -> tuple[float, float]:
    """The bends whose fit is not worse than a true bend's is by chance, of the `drawn` series."""
    least = drawn.min(axis=1)
    allowed = float(np.quantile((drawn[:, best] - least) / least, CONFIDENCE))
    inside = bends.at[(squares - squares.min()) / squares.min() <= allowed]
    return float(min(inside[0], bends.at[best])), float(max(inside[-1], bends.at[best]))
