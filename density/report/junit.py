"""The run as JUnit XML, which CI servers show: a test case for each objective and requirement, and how the run went."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from density.capacity.capacities import missed_in
from density.capacity.deaths import deaths
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.catalog.objectives import BY_FIELD, BY_WORKLOAD
from density.ceilings.reading import Reading
from density.ceilings.sample import describe_sample
from density.ceilings.verdict import NOBODY
from density.events import Held
from density.evidence import Judged
from density.model import LEASE
from density.ramp.decide import FEW_FAILED, MANY_FAILED
from density.report.facts import how_found
from density.report.history import Rest
from density.report.recorded import Recorded
from density.text import visible
from density.units import format_count, format_counted, format_some, format_value

_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Case:
    """One test case.

    Attributes:
        tag: how it went; `skipped` where nothing was measured.
        message: why, in one sentence; for a passed one, what it came to.
    """

    group: str
    name: str
    tag: Literal["passed", "failure", "error", "skipped"]
    message: str


def junit(run: Recorded) -> str:
    """The XML document."""
    cases = [*_required(run), *_objectives(run), *_deaths(run), *_launches(run), _ending(run), _removal(run)]
    counts = {tag: str(sum(case.tag == tag for case in cases)) for tag in ("failure", "error", "skipped")}
    suite = ET.Element("testsuite", {
        "name": _clean(f"density {run.result['profile']}"),
        "tests": str(len(cases)),
        "failures": counts["failure"],
        "errors": counts["error"],
        "skipped": counts["skipped"],
        "time": f"{run.result['seconds']:.3f}",
    })  # fmt: skip
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(run):
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for case in cases:
        _append(suite, case)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _append(suite: ET.Element, case: Case) -> None:
    element = ET.SubElement(
        suite, "testcase", {"classname": f"density.{case.group}", "name": _clean(case.name), "time": "0"}
    )
    if case.tag == "passed":
        ET.SubElement(element, "system-out").text = _clean(case.message)
    else:
        # Some readers show the message, some the text, and two take an element without text for no element at all.
        said = _clean(case.message) or "no reason was given"
        ET.SubElement(element, case.tag, {"message": said, "type": case.group}).text = said


def _properties(run: Recorded) -> Iterator[tuple[str, str]]:
    yield "run_id", run.result["run_id"]
    yield "outcome", run.result["outcome"]
    for name, capacity in run.result["capacity"].items():
        if capacity["count"] is not None:
            yield f"capacity.{name}", str(capacity["count"])
    if verdict := run.result["verdict"]:
        yield "verdict", f"{verdict['ceiling']} {verdict['subject']}".rstrip()


def _required(run: Recorded) -> Iterator[Case]:
    """One a capacity that the profile requires."""
    for each in run.result["required"]:
        wanted, found = format_count(each["wanted"]), format_count(each["found"])
        capacity = run.result["capacity"][each["name"]]
        how = how_found(capacity)
        missing = f"; {format_count(each['wanted'] - each['found'])} are missing"
        said = f"{found} found{how}; {wanted} required{'' if each['met'] else missing}"
        if capacity["count"] is None:
            said = f"it was {capacity['kind']}; {wanted} required"
        yield Case("required", f"capacity.{each['name']}", "passed" if each["met"] else "failure", said)


def _deaths(run: Recorded) -> Iterator[Case]:
    """One a workload of which instances died: failed where none was left, or too many died for no known reason."""
    for each in deaths(run.state):
        workload = run.state.workloads[each.workload]
        died = each.count - (workload.failures[LEASE].count if LEASE in workload.failures else 0)
        too_many = _is_too_many(died, each.ready) and not _is_judged(run)
        yield Case(
            "workloads", each.workload, "failure" if each.total or too_many else "passed",
            f"{each.sentence}{_printed(each.last_lines)}",
        )  # fmt: skip


def _launches(run: Recorded) -> Iterator[Case]:
    """One a workload of which too many launches failed, for a reason that nobody knows."""
    for name, each in run.state.workloads.items():
        if _is_too_many(each.failed, each.launched) and not _is_judged(run):
            kinds = ", ".join(f"{tally.count:,} x {kind}" for kind, tally in each.failures.items())
            lines = next((tally.evidence for tally in each.failures.values() if tally.evidence), ())
            said = f"{each.failed:,} of {each.launched:,} launches of {name} failed; {kinds}{_printed(lines)}"
            yield Case("workloads", f"{name} launches", "failure", said)


def _is_too_many(count: int, of: int) -> bool:
    return count >= FEW_FAILED and count > MANY_FAILED * of


def _is_judged(run: Recorded) -> bool:
    """Whether failures are judged elsewhere: by an objective, or a ceiling explains them."""
    verdict = run.result["verdict"]
    return run.bounds.objectives.failures_share is not None or bool(verdict and verdict["ceiling"] != NOBODY[0])


def _printed(lines: Sequence[str]) -> str:
    return f"; printed last: {' / '.join(lines)}" if lines else ""


def _objectives(run: Recorded) -> Iterator[Case]:
    """One a soft ceiling that the profile sets, and workload: met, violated, or not yet known."""
    for field, ceiling in BY_FIELD.items():
        if getattr(run.bounds.objectives, field) is not None:
            for subject in run.state.workloads if ceiling in BY_WORKLOAD else [""]:
                yield _objective(run, (ceiling, subject))


def _objective(run: Recorded, key: tuple[str, str]) -> Case:
    name = " ".join(filter(None, key))
    measured = [(rest, reading) for rest in run.history.rests for reading in _readings(rest, run, key)]
    in_holds = [said for held in run.state.holds if (said := _missed_in(held, key))]
    if any(reading.state is Judged.VIOLATED for _, reading in measured):
        return Case("objectives", name, "failure", "; ".join((_missed(measured), *in_holds)))
    if in_holds:
        return Case("objectives", name, "failure", "; ".join(in_holds))
    if not measured:
        return Case("objectives", name, "skipped", "it was not measured at rest")
    (rest, last), worst = max(measured, key=lambda pair: pair[0].count), max(measured, key=lambda pair: pair[1].ratio)
    most = format_counted(rest.count, "instance", "instances")
    if last.state is Judged.MET:
        at_worst = f"at worst {_says(worst[1])}, with {format_count(worst[0].count)}"
        return Case("objectives", name, "passed", f"kept up to {most}; {at_worst}")
    sample = describe_sample(rest.values, key)
    return Case("objectives", name, "skipped", f"not yet known with {most}: {_says(last)}{sample}")


def _missed_in(held: Held, key: tuple[str, str]) -> str:
    """What a hold said of an objective that it missed; empty where it did not."""
    ceiling, subject = key
    named = f"{ceiling} ({subject}) at " if subject else f"{ceiling} at "
    said = [words for words in held.missed if words.startswith(named)] if ceiling in missed_in(held) else []
    before = format_counted(sum(held.counts_before.values()), "instance", "instances")
    return f"missed in a hold with {before}: {', '.join(said)}" if said else ""


def _readings(rest: Rest, run: Recorded, key: tuple[str, str]) -> Iterator[Reading]:
    return (reading for reading in readings(rest.values, run.bounds) if reading.key == key)


def _missed(measured: list[tuple[Rest, Reading]]) -> str:
    missed = [pair for pair in measured if pair[1].state is Judged.VIOLATED]
    rest, reading = min(missed, key=lambda pair: pair[0].count)
    kept = max((rest.count for rest, reading in measured if reading.state >= Judged.SPARSE), default=0)
    before = f"; kept with {format_count(kept)}" if kept else ""
    sample = describe_sample(rest.values, reading.key)
    return f"missed with {format_counted(rest.count, 'instance', 'instances')}: {_says(reading)}{sample}{before}"


def _says(reading: Reading) -> str:
    unit = BY_ID[reading.ceiling].unit
    return f"{format_value(reading.used, unit)} of {format_value(reading.limit, unit)}"


def _ending(run: Recorded) -> Case:
    reason = run.result["reason"]
    if run.state.outcome is None or not run.whole:
        return Case("run", "ended", "error", "the record breaks off: the run was cut off, or is still going on")
    if run.result["outcome"] == "error":
        return Case("run", "ended", "error", reason)
    if run.result["outcome"] == "interrupted":
        return Case("run", "ended", "skipped", reason)
    return Case("run", "ended", "passed", reason)


def _removal(run: Recorded) -> Case:
    torn = run.state.torn_down
    if torn is None:
        return Case("run", "removed", "skipped", "the record ends before the removal did")
    if torn.left:
        return Case("run", "removed", "failure", f"left behind {len(torn.left)}: {format_some(torn.left)}")
    return Case("run", "removed", "passed", f"{format_count(torn.removed)} removed, nothing left behind")


def _clean(text: str) -> str:
    """Without what XML cannot hold, and not longer than a CI server shows."""
    kept = visible(text)
    return kept if len(kept) <= _LONGEST else f"{kept[:_LONGEST]}…"
