"""Whether runs were made under the same conditions; where not, what a difference may come from."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from density.report.checks import checks
from density.report.compare.groups import Group, Run
from density.report.facts import plain
from density.units import format_bytes

EVERYTHING, CAPACITIES, TIMES, FOOTPRINTS = "every figure", "capacities", "times and rate", "footprints"
STEAL = 0.01
"""Shares of CPU time that a hypervisor takes away are not the same where they differ by more."""
REACH = 2.0
"""Footprints are measured over other counts where one run has gone this many times as far."""
_BY_NATURE = frozenset({"steal_ratio", "seed", "kvm"})
"""What may differ of a host: a seed makes a simulated run a repetition, and accelerators say how VMs really ran."""
_SPOILT: Mapping[str, str] = {
    "ramp.until": CAPACITIES,
    "ramp.max": CAPACITIES,
    "ramp.max_time": CAPACITIES,
    "ramp.hold": "capacity.recommended",
    "ramp.settle": FOOTPRINTS,
    "ramp": TIMES,
    "slice": CAPACITIES,
    "reserve": CAPACITIES,
    "objectives": "capacity.slo and capacity.recommended",
    "engines.missing": "",
    "simulated.seed": "",
    "require": "",
    "name": "",
    "description": "",
}
"""The start of a key of the profile -> what it makes incomparable; the longest one that fits counts."""

NOT_SET = "not set"
_ENVIRONMENT = re.compile(r"workloads\..+\.environment\.")
"""What a profile gives to programs: it may have passwords in it, and a comparison is sent to others."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that was not the same.

    Attributes:
        what: a dotted name.
        baseline, other: how it was; several values where the runs of a group differ.
        spoils: what of the comparison may differ because of it alone.
    """

    what: str
    baseline: str
    other: str
    spoils: str


Facts = Mapping[str, object]


def conditions(baseline: Group, other: Group) -> Iterator[Condition]:
    """What was not the same, the most serious first."""
    for facts in (_host, _software, _accelerators, _settings, _outcome):
        yield from _different(baseline, other, facts)
    yield from _steal(baseline, other)
    yield from _reach(baseline, other)


def doubts(group: Group) -> Iterator[str]:
    """What makes the figures of single runs invalid, or keeps conditions from being compared; sentences."""
    for run in group:
        if not run.recorded.whole:
            what = (
                "is not over yet, and what it has found may still change" if run.alive else "was cut off before its end"
            )
            yield f"{run.run_id} {what}."
        for check in checks(run.recorded):
            if check.grade == "invalid" and check.name != "Simulated":
                yield f"{run.run_id}: {plain(check.said)} {check.why}"
        if not run.settings:
            yield f"{run.run_id}: its profile.toml cannot be read, so the profiles were not compared."


def _different(baseline: Group, other: Group, facts: Callable[[Run], Facts]) -> Iterator[Condition]:
    found = [[facts(run) for run in group] for group in (baseline, other)]
    found = [[_without_absent(each, found) for each in group] for group in found]
    for what in dict.fromkeys(name for group in found for each in group for name in each):
        before, after = ([each.get(what, NOT_SET) for each in group] for group in found)
        spoils = _spoilt(what)
        if spoils and any(value != before[0] for value in (*before, *after)):
            if _ENVIRONMENT.match(what):
                before, after = _hidden(before, "a value"), _hidden(after, "another value")
            yield Condition(what, _shown(before), _shown(after), spoils)


def _hidden(values: Sequence[object], name: str) -> list[object]:
    return [value if value == NOT_SET else name for value in values]


def _without_absent(facts: Facts, everywhere: Sequence[Sequence[Facts]]) -> Facts:
    """A workload that not every run has differs in that, and not in each of its keys."""
    named = [{_workload(what) for what in each} for run in everywhere for each in run]
    absent = set[str]().union(*named) - named[0].intersection(*named) - {""}
    kept = {what: fact for what, fact in facts.items() if _workload(what) not in absent}
    there = {f"workloads.{name}": facts.get(f"workloads.{name}.engine", NOT_SET) for name in sorted(absent)}
    return kept | there


def _workload(what: str) -> str:
    """The workload that a setting is of; empty where it is of none."""
    first, _, rest = what.partition(".")
    return rest.partition(".")[0] if first == "workloads" else ""


def _shown(values: Sequence[object]) -> str:
    texts = (f"{value:.10g}" if isinstance(value, float) else str(value) for value in values)
    return " and ".join(dict.fromkeys(text or "none" for text in texts))


def _host(run: Run) -> Facts:
    facts = {name: value for name, value in sorted(run.recorded.state.host_facts.items()) if name not in _BY_NATURE}
    if isinstance(memory := facts.get("memory_bytes"), int | float):
        facts["memory_bytes"] = format_bytes(memory)  # kernels take some megabytes more or less of it for themselves
    return {f"host.{name}": value for name, value in facts.items()}


def _software(run: Run) -> Facts:
    engines = run.recorded.state.engines
    versions = {f"engine.{name}": engine.version for name, engine in engines.items() if name != "simulated"}
    return {"density": run.recorded.state.density_version} | versions


def _accelerators(run: Run) -> Facts:
    workloads = run.recorded.state.workloads
    return {f"accelerator.{name}": each.accelerator for name, each in workloads.items() if each.accelerator}


def _settings(run: Run) -> Facts:
    return run.settings


def _outcome(run: Run) -> Facts:
    return {"outcome": run.outcome}


def _spoilt(what: str) -> str:
    parts = what.split(".")
    for length in range(len(parts), 0, -1):
        if (spoils := _SPOILT.get(".".join(parts[:length]))) is not None:
            return spoils
    if what == "outcome":
        return CAPACITIES
    return f"capacities, times and footprints of {parts[1]}" if parts[0] in ("workloads", "accelerator") else EVERYTHING


def _steal(baseline: Group, other: Group) -> Iterator[Condition]:
    before, after = (
        [float(run.recorded.state.host_facts.get("steal_ratio", 0)) for run in group] for group in (baseline, other)
    )
    if max(*before, *after) - min(*before, *after) > STEAL:
        shown = [_shown([f"{value:.1%}" for value in values]) for values in (before, after)]
        yield Condition("host.steal_ratio", shown[0], shown[1], EVERYTHING)


def _reach(baseline: Group, other: Group) -> Iterator[Condition]:
    before, after = ([run.recorded.state.peak.count for run in group] for group in (baseline, other))
    if max(*before, *after) > REACH * min(*before, *after):
        yield Condition("instances reached", _shown(before), _shown(after), FOOTPRINTS)
