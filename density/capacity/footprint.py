"""Footprint: the marginal cost of one more instance of each workload, from settled points, with its uncertainty."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_HUBER = 1.345
"""Tuning constant that keeps 95 % efficiency under normal errors (Huber, Robust Statistics, 1981)."""
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
    weights: Array = np.ones(len(y))
    for _ in range(20):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
        residuals: Array = y - x @ solution
        spread = 1.4826 * float(np.median(np.abs(residuals)))
        if spread <= 1e-12 * max(1.0, float(np.abs(y).max())):
            break
        updated = np.minimum(1.0, _HUBER * spread / np.maximum(np.abs(residuals), 1e-300))
        if np.allclose(updated, weights, atol=1e-4):
            break
        weights = updated
    return Line(workloads, float(solution[0]), solution[1:], *_uncertainty(x, residuals, weights))


def _uncertainty(x: Array, residuals: Array, weights: Array) -> tuple[Array, float]:
    freedom = max(1, len(residuals) - x.shape[1])
    variance = float(weights @ residuals**2) / freedom
    covariance = variance * np.linalg.pinv(x.T @ (x * weights[:, None]))
    return covariance, _T95[freedom - 1] if freedom <= len(_T95) else 1.96 + 2.5 / freedom
