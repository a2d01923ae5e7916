"""`density doctor` on a terminal: the host, the ceilings, how to raise them, and what cannot be said."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from density.ceilings.catalog import BY_ID
from density.controller.doctor import Answer, EngineAnswer, Examination
from density.model import EngineInfo
from density.profile.cautions import cautions
from density.report.ceilings import ceiling_name, ceiling_table, format_limit, format_reached
from density.report.doctor import MARGIN, Diagnosis, Prospect, fixes
from density.report.doctor_raise import Step, steps
from density.units import format_bytes, format_count, format_value

Row = tuple[str, Text]
_EACH = {"typical": "~", "at least": "≥", "stated": "="}
_REACHED = {"typical": "~", "at least": "≤", "stated": "="}
_MARKS = {
    "stated": "= by what the profile declares",
    "typical": "~ by typical costs",
    "at least": "≥ an empty container's cost: what the program takes is not known before a run",
}


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Write all of it; what counts stands first in each part."""
    examination = diagnosis.examination
    console.print(Text(diagnosis.title, style="bold").append(f", {_known(diagnosis)}", style="not bold"))
    console.print(_labelled([*_host(examination), *_warnings(diagnosis)]))
    console.print()
    console.print(ceilings(diagnosis))
    console.print(Text(ceilings_legend(diagnosis), style="dim"))
    if diagnosis.wanted:
        _print_wanted(diagnosis, console)
    else:
        _print_part("to raise them, nearest first", _labelled(_fixes(diagnosis)), console)
    _print_part("not in the way of these instances", Text("; ".join(_idle(diagnosis)), style="dim"), console)
    if diagnosis.absent:
        _print_part("no reading", Text("\n").join(_absent(diagnosis)), console)


def _print_part(title: str, what: Table | Text, console: Console) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(what)


def _print_wanted(diagnosis: Diagnosis, console: Console) -> None:
    count = format_count(diagnosis.wanted)
    near, found = diagnosis.too_near, steps(diagnosis)
    if near:
        title = Text(f"{count} do not fit: {len(near)} ceilings are nearer", style="bold red")
        if len(near) == 1:
            title = Text(f"{count} do not fit: one ceiling is nearer", style="bold red")
    elif diagnosis.unknown:
        names = ", ".join(diagnosis.unknown)
        words = f"not known whether {count} fit: no run has measured {names}, and no `memory` limits it"
        title = Text(words, style="bold yellow")
    elif doubtful := diagnosis.in_doubt:
        many = "one ceiling" if len(doubtful) == 1 else f"{len(doubtful)} ceilings"
        title = Text(f"not known whether {count} fit: {many} may be nearer", style="bold yellow")
    elif found:
        title = Text(f"{count} fit, with less than {MARGIN:.0%} to spare", style="bold yellow")
    else:
        title = Text(f"{count} fit, with more than {MARGIN:.0%} to spare", style="bold green")
    console.print()
    console.print(title)
    if not near and diagnosis.in_doubt:
        console.print(_labelled(_doubts(diagnosis)))
    if found:
        console.print(_labelled(_steps(found, diagnosis.wanted)))
    if any(step.kind != "hand" for step in found):
        console.print(Text("a script that does what settings can: the same command with --script", style="dim"))


def _labelled(rows: Iterable[Row]) -> Table:
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(style="dim", overflow="fold", min_width=10, max_width=24)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, text)
    return grid


def _host(found: Examination) -> Iterator[Row]:
    facts = found.facts
    parts = [
        "simulated" if "simulated" in facts else "",
        facts.get("distribution", ""),
        f"Linux {facts['kernel']}" if "kernel" in facts else "",
    ]
    parts += [f"{facts['cpus']:g} CPUs" if "cpus" in facts else ""]
    parts += [format_bytes(float(facts["memory_bytes"])) if "memory_bytes" in facts else ""]
    yield "host", Text(", ".join(str(part) for part in parts if part))
    if "simulated" in facts:
        return
    version = f"{facts.get('cgroup_version', 0):.0f}"
    systemd = "with systemd" if facts.get("systemd") == "yes" else "without systemd"
    slice_ = f"a slice can be made, {found.slice.words}" if found.slice.ok else f"no slice: {found.slice.words}"
    yield "cgroups", _verdict(Answer(found.slice.ok, f"version {version}, {systemd}; {slice_}"))
    for engine in found.engines:
        yield engine.name, _engine(engine)
    yield "payload", _verdict(found.payload)
    yield "kvm", _kvm(found)
    yield "guest", _verdict(found.kernel)
    yield from _earlier(found)


def _warnings(diagnosis: Diagnosis) -> Iterator[Row]:
    for index, caution in enumerate(cautions(diagnosis.profile)):
        yield "" if index else "warnings", Text(caution, style="yellow")


def _verdict(answer: Answer) -> Text:
    return Text(answer.words, style="" if answer.ok else "yellow")


def _engine(answer: EngineAnswer) -> Text:
    if answer.info is None:
        return Text(answer.problem + (f"; {answer.remedy}" if answer.remedy else ""), style="yellow")
    return Text("plain processes, need no engine" if answer.name == "native" else _version(answer.info))


def _version(info: EngineInfo) -> str:
    return f"{info.version.removeprefix(f'{info.name} ')}" + (f" at {info.endpoint}" if info.endpoint else "")


def _kvm(found: Examination) -> Text:
    said, booted = str(found.facts.get("kvm", "")), found.booted
    words = "/dev/kvm opens" if said == "usable" else said
    if booted and "kvm" in booted.accelerator:
        return Text(f"{words}, and booted VMs in run {booted.run_id}", style="green")
    if booted:
        return Text(f"{words}, but VMs were emulated in run {booted.run_id}", style="yellow")
    if said == "usable":
        return Text(f"{words}; not proven: no run here has booted a VM")
    return Text(f"{words}; VMs are emulated, unless QEMU's user may do more", style="yellow")


def _earlier(found: Examination) -> Iterator[Row]:
    alive = [name for name, held in found.runs.items() if held]
    left = [name for name, held in found.runs.items() if not held]
    if alive:
        yield "running", Text(f"{', '.join(alive)}: what it uses now is taken as used", style="yellow")
    if left:
        yield "left", Text(f"by {', '.join(left)}: density clean removes it", style="yellow")
    if not found.runs:
        yield "left", Text("nothing by earlier runs")


def _growing(diagnosis: Diagnosis) -> list[Prospect]:
    return [prospect for prospect in diagnosis.prospects if math.isfinite(prospect.forecast.count)]


def ceilings(diagnosis: Diagnosis) -> Table:
    """Every ceiling that these instances run into, nearest first."""
    alike: dict[tuple[object, ...], list[Prospect]] = {}
    for each in _growing(diagnosis):
        now = each.reading
        alike.setdefault((now.ceiling, now.used, now.limit, now.reserve, each.cost), []).append(each)
    found = [_together(group) for group in alike.values()]
    return ceiling_table(
        [prospect.forecast for prospect in found],
        each={prospect.reading.key: _each(prospect) for prospect in found},
        reached={prospect.reading.key: _reached(prospect) for prospect in found},
        wanted=diagnosis.wanted,
    )


def _together(alike: Sequence[Prospect]) -> Prospect:
    """One line for several subjects that differ in nothing else, such as kinds of namespaces."""
    subjects = " ".join(prospect.reading.subject for prospect in alike)
    return replace(alike[0], reading=replace(alike[0].reading, subject=subjects))


def _each(prospect: Prospect) -> str:
    mark = _EACH.get(prospect.cost.basis, "")
    return mark + format_value(prospect.cost.value, BY_ID[prospect.reading.ceiling].unit)


def _reached(prospect: Prospect) -> str:
    mark = _REACHED.get(prospect.cost.basis, "")
    return mark + format_reached(prospect.forecast.count)


def _known(diagnosis: Diagnosis) -> str:
    run = diagnosis.measured_by
    return f"measured in run {run}" if run else "not measured yet"


def ceilings_legend(diagnosis: Diagnosis) -> str:
    """What the columns and the marks of `ceilings` mean, with the marks that are there."""
    bases = {prospect.cost.basis for prospect in _growing(diagnosis)}
    marks = "; ".join(words for basis, words in _MARKS.items() if basis in bases)
    text = "reached at: further instances until the reserve; each: cost of one instance"
    return f"{text}\n{marks}" if marks else text


def _fixes(diagnosis: Diagnosis) -> Iterator[Row]:
    for ceiling, text in fixes(diagnosis):
        yield ceiling, Text(text)


def _steps(found: Sequence[Step], wanted: int) -> Iterator[Row]:
    for step in found:
        reading = step.prospect.reading
        full = f"{_reached(step.prospect)} of {format_count(wanted)}"
        name = ceiling_name(*reading.key)
        if step.kind == "hand":
            missing = step.prospect.needed(wanted) - reading.limit
            yield name, Text(f"{full}; {format_limit(missing, reading.ceiling)} more needed: {step.name}")
        else:
            limit = format_limit(reading.limit, reading.ceiling)
            yield name, Text(f"{full}; {step.name} from {limit} to {format_count(step.value)}")


def _doubts(diagnosis: Diagnosis) -> Iterator[Row]:
    for prospect in diagnosis.in_doubt:
        name = ceiling_name(*prospect.reading.key)
        if math.isfinite(prospect.cost.high):
            high = format_value(prospect.cost.high, BY_ID[prospect.reading.ceiling].unit)
            full = f"{format_reached(prospect.forecast.low)} of {format_count(diagnosis.wanted)}"
            yield name, Text(f"{full} if one instance takes {high}, which it may")
        else:
            yield name, Text("what the program takes of it is not known before a run")


def _idle(diagnosis: Diagnosis) -> Iterator[str]:
    """`ptys 1 of 3,072`, `network.neighbours v4 3, v6 1 of 1,024`."""
    idle = [prospect.reading for prospect in diagnosis.prospects if not math.isfinite(prospect.forecast.count)]
    uses: dict[tuple[str, str], list[str]] = {}
    for reading in (*idle, *diagnosis.soft):
        used, limit = (format_limit(value, reading.ceiling) for value in (reading.used, reading.limit))
        uses.setdefault((reading.ceiling, limit), []).append(f"{reading.subject} {used}".lstrip())
    for (ceiling, limit), found in uses.items():
        yield f"{ceiling} {', '.join(found)} of {limit}"


def _absent(diagnosis: Diagnosis) -> Iterator[Text]:
    """One paragraph a reason."""
    reasons: dict[tuple[bool, str], list[str]] = {}
    for each in diagnosis.absent:
        reasons.setdefault((each.unavailable, each.why), []).append(each.name)
    for (unavailable, why), names in reasons.items():
        text = Text(f"{', '.join(names)}: ", style="dim")
        yield text.append("unavailable: ", style="not dim yellow").append(why) if unavailable else text.append(why)
