"""Footprint: the marginal cost of one more instance of each workload, from settled points, with its uncertainty."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HUBER = 1.345
"""Tuning constant that keeps 95 % efficiency under normal errors (Huber, Robust Statistics, 1981)."""
ROBUST_POINTS = 8
"""With fewer points nobody can say which of them is the wild one."""
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
"""Student's t at 97.5 % for 1 to 18 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Line:
    """`use = base + slopes · counts`, fitted.

    Attributes:
        workloads: the order of `slopes`.
        base: use without any instance.
        slopes: cost of one instance of each workload.
        covariance: of (base, *slopes), shape (1 + w, 1 + w).
        t: Student's t that makes a 95 % interval.
    """

    workloads: tuple[str, ...]
    base: float
    slopes: Array
    covariance: Array
    t: float

    def at(self, counts: Array) -> float:
        """Use at these counts."""
        return float(self.base + self.slopes @ counts)

    def margin(self, counts: Array) -> float:
        """Half the 95 % interval of the fitted use at these counts."""
        x = np.concatenate(([1.0], counts))
        return self.t * math.sqrt(max(0.0, float(x @ self.covariance @ x)))

    def footprint(self) -> dict[str, tuple[float, float, float]]:
        """Workload -> (value, low, high): the cost of one instance with its 95 % interval."""
        margins = self.t * np.sqrt(np.maximum(0.0, np.diag(self.covariance)[1:]))
        return {
            name: (float(slope), float(slope - margin), float(slope + margin))
            for name, slope, margin in zip(self.workloads, self.slopes, margins, strict=True)
        }


def fit(counts: Sequence[Mapping[str, int]], use: Sequence[float], workloads: tuple[str, ...]) -> Line | None:
    """A robust line through the points (iteratively reweighted least squares with Huber's weights).

    Args:
        counts: alive instances by workload, one mapping a point.
        use: the resource's use at each point.
        workloads: whose slopes are wanted.

    Returns:
        The line, or None while the points cannot tell the slopes apart.
    """
    x = np.array([[1.0, *(point.get(name, 0) for name in workloads)] for point in counts])
    y = np.asarray(use, dtype=np.float64)
    if len(y) < x.shape[1] or np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    solution: Array = np.linalg.lstsq(x, y, rcond=None)[0]
    scale = 0.0
    if len(y) >= ROBUST_POINTS:
        solution, scale = _reweighted(x, y, solution)
    covariance, t = _uncertainty(x, y - x @ solution, scale)
    return Line(workloads, float(solution[0]), solution[1:], covariance, t)


def _reweighted(x: Array, y: Array, solution: Array) -> tuple[Array, float]:
    """Huber's estimate from a first one, and the scale of the residuals (0: they are rounding errors)."""
    scale = 0.0
    for _ in range(30):
        residuals: Array = np.abs(y - x @ solution)
        scale = 1.4826 * float(np.median(residuals))
        if scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
            return solution, 0.0
        root = np.sqrt(np.minimum(1.0, HUBER * scale / np.maximum(residuals, 1e-300)))
        updated = np.asarray(np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0], dtype=np.float64)
        if np.allclose(x @ updated, x @ solution, rtol=0, atol=1e-4 * scale):
            break
        solution = updated
    return solution, scale


def _uncertainty(x: Array, residuals: Array, scale: float) -> tuple[Array, float]:
    """Covariance of the solution (Huber 1981, 6.7), ordinary least squares' where `scale` is 0; and Student's t."""
    points, parameters = x.shape
    freedom = max(1, points - parameters)
    if scale:
        clipped = np.clip(residuals / scale, -HUBER, HUBER)
        inside = float(np.mean(np.abs(clipped) < HUBER))
        correction = 1 + parameters / points * (1 - inside) / inside
        variance = (correction * scale / inside) ** 2 * float(clipped @ clipped) / freedom
    else:
        variance = float(residuals @ residuals) / freedom
    covariance = variance * np.linalg.pinv(x.T @ x)
    return covariance, _T95[freedom - 1] if freedom <= len(_T95) else 1.96 + 2.5 / freedom
