"""What `density doctor` found: every ceiling with its cost and count, and what cannot be read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from density.capacity.footprint import Line
from density.capacity.outlook import fit_lines, mix, slope_margin
from density.capacity.typical import Basis, Expected, expected_cost, has_known_memory
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Reading
from density.controller.doctor import Examination
from density.events import CeilingForecast
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.report.ceilings import UNLIMITED
from density.report.doctor_absent import Absent, absent

MARGIN = 0.1
"""Limits are raised to what is used, plus the reserve, plus the instances' cost and this share of it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one more instance of the mix takes, with its interval, and what that rests on."""

    value: float
    low: float
    high: float
    basis: Basis | Literal["measured"]

    @property
    def measured(self) -> bool:
        """Whether the profile's last run measured it."""
        return self.basis == "measured"


@dataclass(frozen=True, slots=True)
class Prospect:
    """A hard ceiling, and how many more instances it leaves room for."""

    reading: Reading
    cost: Cost

    @property
    def forecast(self) -> CeilingForecast:
        """The count of further instances at which the reserve is reached."""
        now = self.reading
        counts = (_fit(now, self.cost.value), _fit(now, self.cost.high), _fit(now, self.cost.low))
        return CeilingForecast(now.ceiling, now.subject, now.used, now.limit, now.reserve, *counts)

    def needed(self, count: int, *, margin: float = MARGIN) -> float:
        """The limit that this many more instances need."""
        return self.reading.used + self.reading.reserve + count * self.cost.value * (1 + margin)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that is shown.

    Attributes:
        title: what is to be launched, in words.
        prospects: hard ceilings, nearest first.
        soft: objectives that can be read without a run.
        absent: ceilings and sensors that say nothing here, and why.
        wanted: the count that was asked about; 0: none was.
    """

    title: str
    profile: Profile
    examination: Examination
    prospects: tuple[Prospect, ...]
    soft: tuple[Reading, ...]
    absent: tuple[Absent, ...]
    wanted: int = 0

    @property
    def measured_by(self) -> str:
        """The run whose costs are used; empty: all are typical."""
        earlier = self.examination.earlier
        return earlier.run_id if earlier and any(prospect.cost.measured for prospect in self.prospects) else ""

    @property
    def too_near(self) -> tuple[Prospect, ...]:
        """The ceilings that are reached before the count that was asked about."""
        return tuple(prospect for prospect in self.prospects if prospect.forecast.count < self.wanted)

    @property
    def in_doubt(self) -> tuple[Prospect, ...]:
        """The ceilings that are reached before that count if an instance takes what it may take, unmeasured."""
        return tuple(
            prospect
            for prospect in self.prospects
            if prospect.cost.basis in {"typical", "at least"}
            and prospect.forecast.low < self.wanted <= prospect.forecast.count
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The workloads whose memory was neither measured nor declared, so that no count of them is known to fit."""
        if any(each.cost.measured for each in self.prospects if each.reading.ceiling == "memory.available"):
            return ()
        return tuple(workload.name for workload in self.profile.workloads if not has_known_memory(workload))

    @property
    def fits(self) -> bool | None:
        """Whether the count that was asked about fits; None where that is not known."""
        if self.too_near:
            return False
        return None if self.unknown or self.in_doubt else True


def diagnose(profile: Profile, examination: Examination, *, title: str, wanted: int = 0) -> Diagnosis:
    """The ceilings of a host for a profile's instances."""
    bounds = bounds_of(profile)
    earlier = examination.earlier
    lines = fit_lines(earlier.state, profile.workloads, bounds) if earlier else {}
    found = list(readings(examination.values, bounds))
    version = float(examination.facts.get("cgroup_version", 2))
    prospects = [
        Prospect(reading, _cost(reading, profile, lines.get(reading.key), version))
        for reading in found
        if not BY_ID[reading.ceiling].soft
    ]
    return Diagnosis(
        title=title,
        profile=profile,
        examination=examination,
        prospects=tuple(sorted(prospects, key=_nearness)),
        soft=tuple(reading for reading in found if BY_ID[reading.ceiling].soft),
        absent=tuple(absent(found, examination.unavailable)),
        wanted=wanted,
    )


def fixes(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Ceiling and fix of everything that more instances run into, nearest first, each once."""
    seen: set[str] = set()
    for prospect in diagnosis.prospects:
        ceiling = prospect.reading.ceiling
        if math.isfinite(prospect.forecast.count) and ceiling not in seen:
            seen.add(ceiling)
            yield ceiling, BY_ID[ceiling].fix.text


def _nearness(prospect: Prospect) -> tuple[float, float, tuple[str, str]]:
    return prospect.forecast.count, -prospect.reading.ratio, prospect.reading.key


def _fit(reading: Reading, cost: float) -> float:
    return max(0.0, reading.room) / cost if cost > 0 and reading.limit < UNLIMITED else math.inf


def _cost(reading: Reading, profile: Profile, line: Line | None, cgroup_version: float) -> Cost:
    direction = mix(profile.workloads)
    expected = _expected(reading, profile, cgroup_version)
    if line is not None:
        slope, margin = float(line.slopes @ direction), slope_margin(line, direction)
        if slope > 0 and margin <= slope / 2:
            return Cost(slope, slope - margin, slope + margin, "measured")
        if not slope - margin <= expected.cost <= slope + margin or expected.cost == 0:
            return Cost(0.0, 0.0, max(0.0, slope + margin), "measured")
        # An interval that holds nothing as well as the expected cost says nothing against that.
    return Cost(*expected)


def _expected(reading: Reading, profile: Profile, cgroup_version: float) -> Expected:
    """Of one more instance of the mix; it rests on the weakest of what its parts rest on."""
    each = [expected_cost(workload, *reading.key, cgroup_version=cgroup_version) for workload in profile.workloads]
    cost, low, high = mix(profile.workloads) @ [(one.cost, one.low, one.high) for one in each]
    bases = {one.basis for one in each if one.cost}
    basis: Basis = "at least" if "at least" in bases else "typical" if "typical" in bases or not bases else "stated"
    return Expected(float(cost), float(low), float(high), basis)
