"""A comparison: every metric of each group against the baseline's, with false alarms kept rare over all of them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from density.capacity.compare.batches import Statistic, at_quantile, centre, equal_counts, rate
from density.capacity.compare.difference import ALPHA, Difference, Measured, difference, holm, of_counts
from density.report.compare.conditions import Condition, conditions, doubts
from density.report.compare.found import capacity, footprints, is_cost
from density.report.compare.groups import CREATED, RATE, READY, Group

CAPACITIES = ("hard", "slo", "recommended")
QUANTILES = {"p95": 0.95, "p99": 0.99}
"""Of the time to ready; what is typical is told by its centre. Fewer metrics leave fewer differences to chance."""
Finding = Literal["different", "perhaps", "none", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric of one group, against the baseline.

    Attributes:
        key: the metric's name, as gates have it.
        unit: of its values, see `density.units.format_value`.
        good: which way is better.
        difference: None where one of the groups does not have the metric.
        delta: Cliff's delta; launches alone have one.
        p: how often chance alone would make a difference as large anywhere in the comparison (Holm).
        note: what else there is to know.
    """

    key: str
    unit: str
    good: Literal["more", "less"]
    difference: Difference | None
    delta: float | None = None
    p: float = 1.0
    note: str = ""

    @property
    def finding(self) -> Finding:
        """`perhaps`: past its own interval, but among so many comparisons chance alone does that."""
        if self.difference is None or not math.isfinite(self.difference.high):
            return "unknown"
        if self.p < ALPHA:
            return "different"
        return "perhaps" if self.difference.p < ALPHA else "none"

    @property
    def better(self) -> bool | None:
        """Whether the difference is for the better; None where none is seen."""
        if self.difference is None or self.finding != "different":
            return None
        return (self.difference.change > 0) == (self.good == "more")


@dataclass(frozen=True, slots=True)
class Against:
    """One group against the baseline."""

    group: Group
    rows: tuple[Row, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it.

    Attributes:
        doubts: what makes single runs' figures invalid, in sentences.
        tested: how many differences chance had an opportunity to make.
    """

    baseline: Group
    others: tuple[Against, ...]
    doubts: tuple[str, ...]
    tested: int


def compare(baseline: Group, others: Sequence[Group]) -> Comparison:
    """Hold each of the others against the baseline."""
    found = [list(_rows(baseline, other)) for other in others]
    tested = [row for rows in found for row in rows if row.finding != "unknown"]
    corrected = iter(holm([row.difference.p for row in tested if row.difference is not None]))
    judged = [
        tuple(row if row.finding == "unknown" else replace(row, p=next(corrected)) for row in rows) for rows in found
    ]
    against = [
        Against(other, rows, tuple(conditions(baseline, other))) for other, rows in zip(others, judged, strict=True)
    ]
    doubted = tuple(sentence for group in (baseline, *others) for sentence in doubts(group))
    return Comparison(baseline, tuple(against), doubted, len(tested))


def _rows(baseline: Group, other: Group) -> Iterator[Row]:
    yield from (_capacity(kind, baseline, other) for kind in CAPACITIES)
    yield _launches(RATE, RATE, rate(), baseline, other)
    for workload in _names(run.recorded.result["workloads"] for run in (*baseline, *other)):
        created, ready = f"{workload}.{CREATED}", f"{workload}.{READY}"
        yield _launches(created, created, centre(), baseline, other)
        yield _launches(ready, ready, centre(), baseline, other)
        for name, q in QUANTILES.items():
            yield _launches(f"{ready}.{name}", ready, at_quantile(q), baseline, other)
    yield from _footprints(baseline, other)


def _names(several: Iterable[Iterable[str]]) -> list[str]:
    """Each once, in the order in which they come."""
    return list(dict.fromkeys(name for names in several for name in names))


def _capacity(kind: str, baseline: Group, other: Group) -> Row:
    several = len(baseline) + len(other) > 2
    found = [[capacity(run, kind, several=several) for run in group] for group in (baseline, other)]
    before, after = ([measured for measured, _ in group] for group in found)
    notes: dict[str, list[str]] = {}
    for run, (_, note) in zip((*baseline, *other), (*found[0], *found[1]), strict=True):
        notes.setdefault(note, []).append(run.run_id)
    notes.pop("", None)
    row = Row(key=f"capacity.{kind}", unit="instances", good="more", difference=of_counts(before, after))
    return replace(row, note="; ".join(f"{', '.join(runs)}: {note}" for note, runs in notes.items()))


def _launches(key: str, series: str, statistic: Statistic, baseline: Group, other: Group) -> Row:
    row = Row(key=key, unit="seconds", good="less", difference=None)
    if series == RATE:
        row = replace(row, unit="per second", good="more")
    groups = [[run.launches[series] for run in group if series in run.launches] for group in (baseline, other)]
    if [len(group) for group in groups] != [len(baseline), len(other)]:
        return replace(row, note="not every run has launches of it that became ready")
    cut = equal_counts(*groups, batch=statistic.batch)
    if cut is None:
        return replace(row, note="the runs have no counts in common")
    found = cut.difference(statistic)
    note = "" if math.isfinite(found.high) else "too few launches at equal counts to know the noise"
    delta = cut.delta() if key == series != RATE else None
    return replace(row, difference=found, delta=delta, note=note)


def _footprints(baseline: Group, other: Group) -> Iterator[Row]:
    units: dict[str, str] = {}
    measured: list[list[dict[str, Measured]]] = [[], []]
    for index, group in enumerate((baseline, other)):
        for run in group:
            found = list(footprints(run.recorded))
            units |= {key: unit for key, unit, _ in found}
            measured[index].append({key: value for key, _, value in found})
    for key, unit in units.items():
        values = [[run[key] for run in group if key in run] for group in measured]
        whole = [len(group) for group in values] == [len(baseline), len(other)]
        if whole and not any(is_cost(value) for group in values for value in group):
            continue  # nothing takes any of it
        note = "" if whole else "not every run has a reading of it"
        known = difference(*values) if whole else None
        yield Row(key=key, unit=unit, good="less", difference=known, note=note)
