"""What would make a run's numbers invalid, and whether it was so."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from density.capacity.deaths import deaths
from density.ceilings.catalog import readings
from density.report.doctor_absent import Absent, absent
from density.report.facts import Fact, Said, count, fact
from density.report.recorded import Recorded
from density.units import format_some

Grade = Literal["fine", "doubtful", "invalid"]
LAG = (0.1, 1.0)
STEAL = (0.01, 0.05)
BUSY = (0.2, math.inf)
TESTER = (0.05, 0.2)
NOISE = (0.05, 0.2)
"""From which value on each is doubtful, and invalid: a busy host makes times doubtful, and costs less so."""
FEW_RESTS = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One way to be wrong: what was measured of it, and what it would do."""

    name: str
    grade: Grade
    said: Said
    why: str


def checks(run: Recorded) -> list[Check]:
    """Every check that the record has something for."""
    found = [*_reality(run), *_tester(run), *_sensors(run), *_host(run), *_fit(run), *_deaths(run), *_ending(run)]
    return sorted(found, key=lambda check: ("invalid", "doubtful", "fine").index(check.grade))


def grade(value: float, bounds: tuple[float, float]) -> Grade:
    """By the values from which it is doubtful, and invalid."""
    return "fine" if value < bounds[0] else "doubtful" if value < bounds[1] else "invalid"


def _reality(run: Recorded) -> Iterator[Check]:
    if run.result["host"].get("simulated"):
        said = ("A model of a host was measured, with true limits that are known.",)
        yield Check("Simulated", "invalid", said, "No number says anything about a real host.")
    emulated = [name for name, each in run.state.workloads.items() if each.accelerator == "tcg"]
    if emulated:
        said = (f"{', '.join(emulated)} ran under emulation (TCG), without KVM.",)
        yield Check(
            "Emulation", "doubtful", said, "Times and CPU are many times those of KVM; counts of tasks are not."
        )


def _tester(run: Recorded) -> Iterator[Check]:
    tester = run.state.tester
    if tester is None:
        return
    lag = tester.max_lag_seconds
    said: Said = ("Its latest tick came ", fact("tester.max_lag_seconds", lag, "seconds"), " late.")
    if tester.missed_beats:
        said += (" ", count("tester.missed_beats", tester.missed_beats), " samples were missed.")
    yield Check("Lag of the tester", grade(lag, LAG), said, "A tester that waits for the CPU measures its own waiting.")
    if tester.cpu_seconds is None or tester.rss_bytes is None:
        return
    cpus = run.state.host.get("cpu.count") or float(run.result["host"].get("cpus") or 1)
    share = tester.cpu_seconds / max(1e-9, run.result["seconds"] * cpus)
    said = (
        fact("tester.cpu_seconds", tester.cpu_seconds, "seconds"), " of CPU, ", fact("tester.share", share, "ratio"),
        " of the host's, and ", fact("tester.rss_bytes", tester.rss_bytes, "bytes"), " of memory.",
    )  # fmt: skip
    yield Check("Cost of the tester", grade(share, TESTER), said, "What the tester takes, instances cannot have.")


def _sensors(run: Recorded) -> Iterator[Check]:
    """Ceilings that could not be read, at the last sample before the teardown, and why."""
    sensors = run.state.sensors
    if not sensors.unread:
        return
    found = [e for e in absent(tuple(readings(run.state.host, run.bounds)), sensors.unread) if e.unavailable]
    failed = [name for name in sensors.unread if name in sensors.worked]
    said: Said = (count("sensors.unread", len(found)), f" could not be read: {_unread(found)}.")
    why = "A ceiling that is not read stops no ramp before it is reached, and is in no forecast."
    yield Check("Sensors", "doubtful" if failed else "fine", said, why)


def _unread(found: Sequence[Absent]) -> str:
    return "; ".join(f"{each.name} ({each.why})" for each in found)


def _host(run: Recorded) -> Iterator[Check]:
    steals = [each.values["cpu.steal_ratio"] for each in run.history.samples if "cpu.steal_ratio" in each.values]
    if steals:
        mean, most = sum(steals) / len(steals), max(steals)
        said: Said = (fact("steal.mean", mean, "ratio"), " of CPU time on average, at most ",
                      fact("steal.max", most, "ratio"), " in a second.")  # fmt: skip
        yield Check(
            "Steal",
            grade(mean, STEAL),
            said,
            "Machines beside this one on the same hardware took CPU: times would differ in another run.",
        )
    before = run.history.rests[0] if run.history.rests and not run.history.rests[0].count else None
    if before and "cpu.busy_ratio" in before.values:
        busy = before.values["cpu.busy_ratio"]
        said = (fact("busy.before", busy, "ratio"), " of the CPUs were busy before the first instance.")
        yield Check(
            "Other work", grade(busy, BUSY), said, "Whatever else runs here is in the times, and may be in the costs."
        )


def _fit(run: Recorded) -> Iterator[Check]:
    rests = len(run.history.rests)
    spreads = list(_spreads(run))
    if spreads:
        worst = max(spreads, key=lambda spread: spread.value)
        what = " ".join(run.binding or ()).strip()
        said: Said = (f"What an instance takes of {what} is known to ± ", worst, ", from ", count("rests", rests),
                      _at_rest(rests))  # fmt: skip
        graded = "doubtful" if rests < FEW_RESTS else grade(worst.value, NOISE)
        yield Check(
            "Noise", graded, said, "A wide interval comes from few points, or a host that did not come to rest."
        )
    elif run.state.peak.count:
        said = ("No cost of an instance could be fitted, from ", count("rests", rests), _at_rest(rests))
        yield Check(
            "Noise", "doubtful", said, "Forecasts rest on typical costs, which may be half or twice as much here."
        )


def _at_rest(points: int) -> str:
    return " point at rest." if points == 1 else " points at rest."


def _spreads(run: Recorded) -> Iterator[Fact]:
    ceiling, subject = run.binding or ("", "")
    for name, workload in run.result["workloads"].items():
        cost = workload["footprint"].get(f"{ceiling}[{subject}]" if subject else ceiling)
        if cost and cost["value"] and cost["value"] > 0 and cost["low"] is not None and cost["high"] is not None:
            spread = (cost["high"] - cost["low"]) / 2 / cost["value"]
            yield fact(f"spread.{name}", spread, "ratio")


def _deaths(run: Recorded) -> Iterator[Check]:
    for each in deaths(run.state):
        said: Said = (
            count(f"deaths.{each.workload}", each.count), " of ", count(f"deaths.{each.workload}.of", each.ready),
            f" {each.workload} {each.how}.",
        )  # fmt: skip
        grade: Grade = "invalid" if each.total else "doubtful"
        yield Check("Deaths", grade, said, "An instance that ends by itself is neither load nor capacity.")


def _ending(run: Recorded) -> Iterator[Check]:
    held, torn = run.state.held, run.state.torn_down
    if held is not None:
        before, after = sum(held.counts_before.values()), sum(held.counts_after.values())
        said: Said = (count("held.after", after), " of ", count("held.before", before))
        said += (f" {'was' if before == 1 else 'were'} alive at the hold's end",)
        said += (f"; {'; '.join(held.missed)}." if held.missed else ", everything was kept." if held.kept else ".",)
        yield Check("Hold", "fine" if held.kept else "doubtful", said, "A count that does not stay is no capacity.")
    missing = run.result["record"]["missing_events"]
    if missing:
        lacks = f": {', '.join(run.result['record']['lacks'])}" if run.result["record"]["lacks"] else ""
        said = (count("record.missing_events", missing), f" events of the run are not in the record{lacks}.")
        yield Check(
            "Whole record", "doubtful", said, "What the record lacks is in result.json, and not in this report."
        )
    if torn is None:
        said = ("The record ends before the run did.",)
        yield Check("Whole record", "doubtful", said, "What came after is not in any number here.")
    elif torn.left:
        said = (count("torn.left", len(torn.left)), f" left behind: {format_some(torn.left)}.")
        yield Check("Removal", "doubtful", said, "What is left takes part in the next run: density clean removes it.")
    else:
        said = (count("torn.removed", torn.removed), " removed in ", fact("torn.seconds", torn.seconds, "seconds"),
                ", nothing left behind.")  # fmt: skip
        yield Check("Removal", "fine", said, "What is left would take part in the next run.")
