"""Footprint: the marginal cost of one more instance of each workload, from points at rest, with its uncertainty."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HUBER = 1.345
"""Tuning constant that keeps 95 % efficiency under normal errors (Huber, Robust Statistics, 1981)."""
ROBUST_POINTS = 15
"""With fewer points nobody can say which of them is the wild one."""
ROUNDING = 1e-9
"""What differs by less than this share of the readings, or of a count that comes of them, rounding made of the fit."""
NOTHING = 5e-12
"""A slope that adds less than this share of the readings is a rounding error, and another one on another CPU."""
UNSEEN = 0.002
"""A use that comes late, or vanishes by itself, may differ by this share of what instances take before it is seen."""
GUARD = 4.5
"""A reserve is kept off by so many times that share: an interval may miss the truth now and then, a reserve may not."""
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
"""Student's t at 97.5 % for 1 to 18 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Line:
    """`use = base + slopes · counts`, fitted.

    Attributes:
        workloads: the order of `slopes`.
        base: use without any instance, at the time of the last point.
        slopes: cost of one instance of each workload.
        covariance: of (base, *slopes), shape (1 + w, 1 + w).
        sigma: standard deviation of one reading around the line.
        t: Student's t that makes a 95 % interval.
    """

    workloads: tuple[str, ...]
    base: float
    slopes: Array
    covariance: Array
    sigma: float
    t: float

    def at(self, counts: Array) -> float:
        """Use at these counts."""
        return float(self.base + self.slopes @ counts)

    def margin(self, counts: Array) -> float:
        """Half the 95 % interval of the line at these counts."""
        return math.hypot(self.t * math.sqrt(self._variance(counts)), self._unseen(counts))

    def reading_margin(self, counts: Array) -> float:
        """How far above the line a reading must be feared at these counts."""
        return math.hypot(self.t * math.sqrt(self._variance(counts) + self.sigma**2), GUARD * self._unseen(counts))

    def _unseen(self, counts: Array) -> float:
        """What may have moved too slowly to be seen, where the use is no exact count."""
        return UNSEEN * abs(float(self.slopes @ counts)) if self.sigma > ROUNDING * abs(self.base) else 0.0

    def footprint(self) -> dict[str, tuple[float, float, float]]:
        """Workload -> (value, low, high): the cost of one instance with its 95 % interval."""
        margins = self.t * np.sqrt(np.maximum(0.0, np.diag(self.covariance)[1:]))
        return {
            name: (float(slope), float(slope - margin), float(slope + margin))
            for name, slope, margin in zip(self.workloads, self.slopes, margins, strict=True)
        }

    def _variance(self, counts: Array) -> float:
        x = np.concatenate(([1.0], counts))
        return max(0.0, float(x @ self.covariance @ x))


@dataclass(frozen=True, slots=True)
class Solution:
    """A robust linear fit: coefficients, their covariance, and how far readings scatter."""

    coefficients: Array
    covariance: Array
    sigma: float
    freedom: int
    squares: float


def line(
    counts: Array, use: Array, workloads: tuple[str, ...], *, errors: Array | None = None, noise: float = 0.0
) -> Line | None:
    """A robust line through points of unequal worth.

    Each point counts by its own error and by what scatters the points beyond their errors.

    Args:
        counts: alive instances, shape (points, workloads).
        use: the resource's use at each point.
        workloads: the order of the columns.
        errors: standard error of each use, from which comes the interval of a line through as many points as it has
            coefficients; None: all alike.
        noise: standard deviation of one reading.

    Returns:
        The line, or None while the points cannot tell the slopes apart.
    """
    x = np.column_stack((np.ones(len(use)), counts))
    found = solve(x, use)
    if found is None:
        return None
    scatter = 0.0
    if errors is not None and found.freedom == 0:
        # No residual is left: all that is known of the uncertainty is that of the points themselves.
        inverse = np.linalg.inv(x)
        found = replace(found, covariance=inverse @ np.diag(errors**2) @ inverse.T)
    elif errors is not None and found.sigma > ROUNDING * float(np.abs(use).max()):
        residuals = use - x @ found.coefficients
        scatter = max(0.0, float(residuals @ residuals) / found.freedom - float(np.median(errors**2))) ** 0.5
        weights = 1 / np.sqrt(errors**2 + max(scatter, noise / 2, 1e-3 * found.sigma) ** 2)
        found = solve(x * weights[:, None], use * weights) or found
    return Line(
        workloads,
        float(found.coefficients[0]),
        found.coefficients[1:],
        found.covariance,
        math.hypot(noise, scatter),
        student(found.freedom),
    )


def solve(x: Array, y: Array) -> Solution | None:
    """Huber's M-estimate by iteratively reweighted least squares; None where `x` has not full rank.

    What a column adds to the readings is 0 where it is no more than a rounding error. The covariance is Huber's own
    (1981, 6.7); with few points, ordinary least squares and its covariance.
    """
    norms = np.linalg.norm(x, axis=0)
    if not norms.all():
        return None
    scaled = _solve(x / norms, y)
    if scaled is None:
        return None
    told = np.abs(scaled.coefficients) > NOTHING * np.linalg.norm(y)
    return replace(
        scaled,
        coefficients=np.where(told, scaled.coefficients / norms, 0.0),
        covariance=scaled.covariance / np.outer(norms, norms),
    )


def _solve(x: Array, y: Array) -> Solution | None:
    points, parameters = x.shape
    if points < parameters or np.linalg.matrix_rank(x) < parameters:
        return None
    if points == parameters:
        return Solution(_least_squares(x, y), np.zeros((points, points)), 0.0, 0, 0.0)
    coefficients = _least_squares(x, y)
    scale = 0.0
    if points >= ROBUST_POINTS:
        coefficients, scale = _reweighted(x, y, coefficients)
    residuals = y - x @ coefficients
    freedom = points - parameters
    if scale:
        clipped = np.clip(residuals / scale, -HUBER, HUBER)
        inside = float(np.mean(np.abs(clipped) < HUBER))
        correction = 1 + parameters / points * (1 - inside) / inside
        squares = float(clipped @ clipped) * scale**2
        variance = (correction / inside) ** 2 * squares / freedom
    else:
        squares = float(residuals @ residuals)
        variance = squares / freedom
    return Solution(coefficients, variance * np.linalg.pinv(x.T @ x), math.sqrt(variance), freedom, squares)


def _reweighted(x: Array, y: Array, coefficients: Array) -> tuple[Array, float]:
    """Huber's estimate from a first one, and the scale of the residuals (0: they are rounding errors)."""
    scale = 0.0
    for _ in range(30):
        residuals = np.abs(y - x @ coefficients)
        scale = 1.4826 * float(np.median(residuals))
        if scale <= ROUNDING * max(1.0, float(np.abs(y).max())):
            return coefficients, 0.0
        root = np.sqrt(HUBER * scale / np.maximum(residuals, HUBER * scale))
        updated = _least_squares(x * root[:, None], y * root)
        if np.allclose(x @ updated, x @ coefficients, rtol=0, atol=1e-4 * scale):
            break
        coefficients = updated
    return coefficients, scale


def _least_squares(x: Array, y: Array) -> Array:
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=np.float64)


def student(freedom: int) -> float:
    """Student's t at 97.5 %."""
    return _T95[max(1, freedom) - 1] if freedom <= len(_T95) else 1.96 + 2.5 / freedom
