"""What a host's values come to over a time: levels as a mean, rates over the whole of it, however it was sampled."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SHORTEST_SECONDS = 0.5
"""Over less than this a rate from counters is chance."""
INSTANT_SECONDS = 1e-6
"""Samples closer together than this are of the same moment."""
_CPU = re.compile(r"cpu\.(busy|iowait|steal)_ratio")
_PRESSURE = re.compile(r"(.*pressure\.\w+)\.some_ratio")
_BUSY = re.compile(r"(daemon\..+)\.busy_cpus")


@dataclass(frozen=True, slots=True)
class Timed:
    """A host's values and when they were read, in seconds."""

    at: float
    values: Mapping[str, float]


def average(samples: Sequence[Timed]) -> dict[str, float]:
    """Every value that all samples have, over the time from the first to the last of them.

    A share or a rate is what its counter gained from the first to the last, divided by the time between. One without a
    counter is the mean of its samples, each weighted by the time since the one before, which is the time that it tells
    of. Every other value is a level: the mean of the samples.
    """
    common = set(samples[0].values).intersection(*(sample.values for sample in samples[1:]))
    return {name: _rate(name, samples) if _is_rate(name) else _level(name, samples) for name in common}


def _is_rate(name: str) -> bool:
    return name.endswith(("_ratio", ".busy_cpus")) and not name.endswith("_avg10_ratio")


def _rate(name: str, samples: Sequence[Timed]) -> float:
    first, last = samples[0], samples[-1]
    for counter, seconds in _counters(name, first, last):
        if counter in first.values and counter in last.values and seconds >= SHORTEST_SECONDS:
            gained = max(0.0, last.values[counter] - first.values[counter])
            share = gained / seconds
            return min(1.0, share) if name.endswith("_ratio") else share
    return _weighted(name, samples)


def _counters(name: str, first: Timed, last: Timed) -> Sequence[tuple[str, float]]:
    """The counter that a rate is the growth of, and the seconds to divide by."""
    if match := _CPU.fullmatch(name):
        total = [sample.values.get("cpu.total_seconds", 0.0) for sample in (first, last)]
        return [(f"cpu.{match[1]}_seconds", total[1] - total[0])]
    if match := _PRESSURE.fullmatch(name):
        return [(f"{match[1]}.some_total_seconds", last.at - first.at)]
    if match := _BUSY.fullmatch(name):
        return [(f"{match[1]}.cpu_seconds", last.at - first.at)]
    return []


def _weighted(name: str, samples: Sequence[Timed]) -> float:
    weights = [later.at - earlier.at for earlier, later in pairwise(samples)]
    whole = sum(weights)
    if whole < INSTANT_SECONDS:
        return _level(name, samples)
    return sum(weight * sample.values[name] for weight, sample in zip(weights, samples[1:], strict=True)) / whole


def _level(name: str, samples: Sequence[Timed]) -> float:
    return sum(sample.values[name] for sample in samples) / len(samples)
