"""Series of latencies whose truth is known: straight or bent, with noise of many kinds."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from density.statistics import LatencySeries

Array = NDArray[np.float64]


def series(counts: Sequence[float] | NDArray[Any], seconds: Array, *, in_flight: Array | None = None) -> LatencySeries:
    """As the state would hold them."""
    held = LatencySeries()
    beside = np.ones(len(counts)) if in_flight is None else in_flight
    for count, flying, each in zip(counts, beside, seconds, strict=True):
        held.add(int(count), int(flying), float(each))
    return held


def wandering(chance: Generator, length: int, memory: float) -> Array:
    """Noise that comes back slowly, as from other work on the host; of standard deviation about 1."""
    steps = chance.normal(size=length) * (1 - memory**2) ** 0.5
    return np.array(list(accumulate(steps, lambda last, step: memory * last + step)))


def crowd(chance: Generator, length: int) -> Array:
    """Launches in flight as the tester changes them: up and down between 1 and 32."""
    found: list[float] = []
    limit, grows = 8.0, True
    while len(found) < length:
        found += [limit] * int(max(24, 2 * limit))
        grows ^= bool(chance.random() < 0.45)
        limit = float(min(32, max(1, round(limit * 1.3 if grows else limit / 1.3))))
    return np.array(found[:length])


def burst(chance: Generator, length: int) -> Array:
    """Now and then everything is slow for a while."""
    factors = np.ones(length)
    for _ in range(chance.poisson(2)):
        start = int(chance.integers(length))
        factors[start : start + int(length * chance.uniform(0.01, 0.08))] *= chance.uniform(2, 4)
    return factors


NOISES: Mapping[str, Callable[[Generator, Array], Array]] = {
    "normal": lambda chance, true: true + 0.1 * chance.normal(size=len(true)),
    "skewed": lambda chance, true: true * chance.lognormal(0, 0.4, len(true)),
    "no variance": lambda chance, true: true + 0.02 * chance.pareto(1.5, len(true)),
    "no mean": lambda chance, true: true + 0.02 * np.abs(chance.standard_cauchy(len(true))),
    "heavy tails": lambda chance, true: true + 0.05 * chance.standard_t(2, len(true)),
    "wider": lambda chance, true: true + np.linspace(0.02, 0.3, len(true)) * chance.normal(size=len(true)),
    "narrower": lambda chance, true: true + np.linspace(0.3, 0.02, len(true)) * chance.normal(size=len(true)),
    "wandering": lambda chance, true: true + 0.1 * wandering(chance, len(true), 0.9),
    "bursts": lambda chance, true: true * burst(chance, len(true)) * chance.lognormal(0, 0.2, len(true)),
    "steps": lambda chance, true: np.round(true + 0.1 * chance.normal(size=len(true)), 1),
}
"""Kind of noise -> what is measured, of what is true."""
