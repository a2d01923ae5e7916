"""The rows that pages show: capacities, ceilings, footprints, waves, failures, the host."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from density.capacity.capacities import unmeasured
from density.ceilings.catalog import BY_ID
from density.ceilings.judge import NEXT
from density.ceilings.judge import ahead as lies_ahead
from density.events import CeilingForecast
from density.report.facts import NOT_MEASURED, VAGUE, Fact, Said, count, fact
from density.report.recorded import Recorded
from density.report.result import Document
from density.statistics import floored, quantile
from density.units import format_bytes, format_count

PARTS = {
    "memory.instance": "the instance's own, by its cgroup",
    "memory.engine": "the engine's processes",
    "memory.kernel": "the kernel's, beside what instances are charged",
    "memory.tester": "the tester's",
}
"""Part of the memory -> what it is; see `density.capacity.split`."""


@dataclass(frozen=True, slots=True)
class CapacityRow:
    """One of the three numbers; `number` is None where it was not tried.

    Attributes:
        required: what the profile requires of it, and whether that is met; empty where it requires nothing.
        met: False where it is not.
    """

    name: str
    meaning: str
    number: Fact | None
    interval: Said
    kind: str
    per_workload: Said
    required: Said = ()
    met: bool = True


@dataclass(frozen=True, slots=True)
class NextRow:
    """A ceiling that lies ahead, with the interval of its count, or why it has none."""

    name: str
    resource: str
    number: Fact
    interval: Said


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one more instance of a workload, with its 95 % interval."""

    value: Fact
    low: Fact
    high: Fact

    @property
    def written(self) -> str:
        """As people read it."""
        return f"{self.value.text} ({self.low.text} to {self.high.text})"


@dataclass(frozen=True, slots=True)
class FootprintRow:
    """What one more instance takes of a resource, by workload; None where it was not seen to take any."""

    name: str
    resource: str
    part: bool
    costs: tuple[Cost | None, ...]


@dataclass(frozen=True, slots=True)
class WaveRow:
    """One wave; facts are None where there is nothing to tell."""

    number: Fact
    stage: str
    size: Fact
    ready: Fact
    failed: Fact
    lost: Fact
    alive: Fact | None
    times: tuple[Fact, Fact, Fact] | None
    rate: Fact | None


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A kind of failure of one workload, with the first message of it, what that instance printed, and others' last."""

    workload: str
    kind: str
    number: Fact
    message: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """A workload's launches, and the times to ready: p50, p95, p99, longest."""

    name: str
    engine: str
    counts: tuple[Fact, Fact, Fact, Fact]
    times: tuple[Fact, Fact, Fact, Fact] | None


def capacities(run: Recorded) -> list[CapacityRow]:
    """Hard, slo, recommended."""
    hard, slo, recommended = (run.result["capacity"][name] for name in ("hard", "slo", "recommended"))
    would = "the most that would fit, by the forecast" if hard["kind"] == "forecast" else "the most that ran"
    tried = ", of what was tried" if hard["kind"] == "forecast" and slo["kind"] == "observed" else ""
    held = recommended["why"] or ("held, with the reserve kept" if run.state.held else "nothing was held")
    rows = [
        _capacity("hard", would, hard),
        _capacity("slo", _kept(run, slo["count"]) + tried, slo),
        _capacity("recommended", held, recommended),
    ]
    required = {each["name"]: each for each in run.result["required"]}
    return [_held_against(row, required.get(row.name)) for row in rows]


def _kept(run: Recorded, count: int | None) -> str:
    """What slo means; where it could not be measured, for want of what."""
    if count is not None or not run.state.settled:
        return "with every objective kept"
    unknown = ", ".join(dict.fromkeys(ceiling for ceiling, _ in unmeasured(run.state.settled[-1], run.bounds)))
    return f"with every objective kept; there was no telling of {unknown}"


def _held_against(row: CapacityRow, required: Document | None) -> CapacityRow:
    if required is None:
        return row
    words = "met" if required["met"] else "missed"
    return replace(
        row, required=(count(f"required.{row.name}", required["wanted"]), f" required: {words}"), met=required["met"]
    )


def _capacity(name: str, meaning: str, capacity: Document) -> CapacityRow:
    key = f"capacity.{name}"
    if capacity["count"] is None:  # not tried, or not measured
        return CapacityRow(name, meaning, None, (), capacity["kind"], ())
    interval: Said = ()
    if capacity["low"] != capacity["high"]:
        interval = (count(f"{key}.low", capacity["low"]), " to ", count(f"{key}.high", capacity["high"]))
    parts: list[str | Fact] = []
    if len(capacity["per_workload"]) > 1:
        for workload, number in capacity["per_workload"].items():
            parts += [", " if parts else "", count(f"{key}.per.{workload}", number), f" {workload}"]
    return CapacityRow(name, meaning, count(f"{key}.count", capacity["count"]), interval, _kind(capacity), tuple(parts))


def _kind(capacity: Document) -> str:
    return f"{capacity['kind']}, at least" if capacity["at_least"] else capacity["kind"]


def heading(run: Recorded) -> str:
    """Over the verdict, or over the reason where there is none."""
    if run.result["verdict"] is None:
        return "How it ended"
    return "What would stop it" if run.result["outcome"] == "forecast" else "What stopped it"


def ahead(run: Recorded) -> list[NextRow]:
    """What binds next, after the verdict's ceiling; where nothing bound, what would first."""
    verdict = run.result["verdict"]
    bound = (verdict["ceiling"], verdict["subject"]) if verdict else None
    return [_next(place, one) for place, one in enumerate(lies_ahead(run.state, bound)[:NEXT])]


def _next(place: int, one: CeilingForecast) -> NextRow:
    key = f"next.{place}"
    number = count(f"{key}.count", max(0, floored(one.count, unknown=0)))
    return NextRow(f"{one.ceiling} {one.subject}".rstrip(), BY_ID[one.ceiling].resource, number, _interval(key, one))


def _interval(key: str, one: CeilingForecast) -> Said:
    if one.typical:
        return (NOT_MEASURED,)
    if one.is_vague:
        return (VAGUE,)
    high = floored(one.high, unknown=None)
    low = count(f"{key}.low", max(0, floored(one.low, unknown=0)))
    return (low, " to ", "no bound" if high is None else count(f"{key}.high", high))


def footprints(run: Recorded) -> list[FootprintRow]:
    """What instances were seen to take, memory and its parts first; what interval includes nothing is left out."""
    workloads: Mapping[str, Document] = run.result["workloads"]
    names = list(dict.fromkeys(name for each in workloads.values() for name in each["footprint"]))
    names.sort(key=lambda name: (name != "memory.available", name not in PARTS))
    alike: dict[tuple[str, ...], list[str]] = {}
    costs: dict[str, tuple[Cost | None, ...]] = {}
    for name in names:
        costs[name] = tuple(
            _cost(f"footprint.{each}.{name}", found["footprint"].get(name)) for each, found in workloads.items()
        )
        if any(costs[name]):
            written = (cost.written if cost else "" for cost in costs[name])
            alike.setdefault((name.split("[")[0], *written), []).append(name)
    return [_footprint(same, costs[same[0]]) for same in alike.values()]


def _footprint(names: Sequence[str], costs: tuple[Cost | None, ...]) -> FootprintRow:
    """One row for ceilings of an id that cost the same, such as directories of one disk."""
    name = names[0].split("[")[0]
    subjects = ", ".join(each.split("[")[1].rstrip("]") for each in names if "[" in each)
    resource = PARTS.get(name) or (BY_ID[name].resource if name in BY_ID else "")
    return FootprintRow(f"{name} {subjects}".rstrip(), resource, name in PARTS, costs)


def _cost(key: str, cost: Document | None) -> Cost | None:
    """None too where the interval begins at nothing, as it is written."""
    if not cost or None in cost.values() or cost["low"] <= 0:
        return None
    found = Cost(*(fact(f"{key}.{part}", cost[part], cost["unit"]) for part in ("value", "low", "high")))
    return None if found.low.text.split()[0] == "0" else found


def workloads(run: Recorded) -> list[WorkloadRow]:
    """A row a workload."""
    rows = []
    for name, each in run.result["workloads"].items():
        launched, ready, failed, lost = (
            count(f"workload.{name}.{key}", each[key]) for key in ("launched", "ready", "failed", "lost")
        )
        times = None
        if seconds := each["ready_seconds"]:
            p50, p95, p99, most = (fact(f"workload.{name}.ready.{q}", seconds[q], "seconds") for q in seconds)
            times = (p50, p95, p99, most)
        engine = f"{each['engine']} {each['accelerator']}".rstrip()
        rows.append(WorkloadRow(name, engine, (launched, ready, failed, lost), times))
    return rows


def waves(run: Recorded) -> list[WaveRow]:
    """A row a wave, in the order of their launches."""
    rows = []
    for wave in run.history.waves:
        key, ready = f"wave.{wave.number}", wave.ready_seconds
        times = None
        if ready:
            p50, p95, p99 = (fact(f"{key}.p{q}", quantile(ready, q / 100), "seconds") for q in (50, 95, 99))
            times = (p50, p95, p99)
        rows.append(
            WaveRow(
                count(key, wave.number),
                wave.stage,
                count(f"{key}.size", sum(wave.sizes.values())),
                count(f"{key}.ready", len(ready)),
                count(f"{key}.failed", wave.failed),
                count(f"{key}.lost", wave.lost),
                None if wave.alive is None else count(f"{key}.alive", wave.alive),
                times,
                None if wave.rate is None else fact(f"{key}.rate", wave.rate, "instances"),
            )
        )
    return rows


def failures(run: Recorded) -> list[FailureRow]:
    """Every kind of failure, the most frequent first."""
    found = [
        FailureRow(name, one["kind"], count(f"failures.{name}.{one['kind']}", one["count"]), one["message"],
                   (*one["evidence"], *(f"another: {line}" for line in one["others"])))
        for name, each in run.result["workloads"].items() for one in each["failures"]
    ]  # fmt: skip
    return sorted(found, key=lambda row: -row.number.value)


_HOST_WORDS = {
    "cpus": "CPUs",
    "cpu_model": "CPU",
    "memory_bytes": "memory",
    "kernel": "kernel",
    "distribution": "distribution",
    "cgroup_version": "cgroup version",
    "kvm": "/dev/kvm",
    "virtualised": "itself a virtual machine",
    "systemd": "systemd",
    "steal_ratio": "steal before the run",
    "simulated": "simulated",
    "seed": "seed of the simulation",
}


def host(run: Recorded) -> list[tuple[str, str]]:
    """The fingerprint in words: what it is, and what it is here."""
    facts = run.state.host_facts
    known = [name for name in _HOST_WORDS if name in facts]
    others = sorted(name for name in facts if name not in _HOST_WORDS)
    rows = [(_HOST_WORDS.get(name, name.replace("_", " ")), _host_value(name, facts[name])) for name in known + others]
    return [*rows, *_engines(run)]


def _host_value(name: str, value: str | float) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_bytes"):
        return format_bytes(value)
    return f"{value:.2%}" if name.endswith("_ratio") else f"{value:g}" if abs(value) < 1e6 else format_count(value)


def _engines(run: Recorded) -> Iterator[tuple[str, str]]:
    for name, engine in run.state.engines.items():
        yield f"engine {name}", f"{engine.version} at {engine.endpoint}" if engine.endpoint else engine.version
    for name, workload in run.state.workloads.items():
        if workload.kernels:
            yield f"kernel that {name} saw", _listed(workload.kernels)


def _listed(names: Sequence[str] | Mapping[str, int]) -> str:
    return ", ".join(list(names)[:5])
