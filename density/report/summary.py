"""The summary of a run on one screen, from its result document."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from rich.console import Console
from rich.table import Table
from rich.text import Text

from density.report.facts import NOT_MEASURED, VAGUE, confidence, number
from density.report.latency import latency_rows
from density.units import format_count, format_seconds, format_some, format_value

Document = dict[str, Any]
Row = tuple[str, Text]
_COSTS = (("memory.available", "memory.instance", "bytes"), ("tasks.pid_max", "tasks.cgroup", "tasks"))
"""What one more instance takes of the host; what is its own of it; the unit."""
_LINES = 3
"""So many of the last lines that an instance printed; the report has them all."""
_PART = "+"
"""Marks what is an instance's own where what else it takes of the host was lost in noise."""
_ENDED = {
    "ceiling": "a ceiling stopped it",
    "max": "as many as asked for",
    "forecast": "the forecast converged",
    "duration": "its time was over",
    "interrupted": "interrupted",
    "error": "an error ended it",
}


def print_summary(result: Document, console: Console, *, run_dir: str) -> None:
    """Write the summary to a console: the answer first, then the verdict, the workloads, and what was left behind."""
    title = Text(f"{result['profile']}: {_ENDED[result['outcome']]}", style="bold")
    title.append(f"  {result['run_id']}, {format_seconds(result['seconds'])}", style="dim")
    console.print()
    console.print(title)
    rows = [("capacity", _answer(result)), *_holds(result), *_verdict(result), *latency_rows(result["workloads"])]
    console.print(_labelled(rows))
    console.print()
    console.print(_workloads(result))
    console.print(Text("p50, p95: intended launch to ready; memory, tasks: what one more takes", style="dim"))
    costs = (cost for workload in result["workloads"].values() for cost in _footprint(workload["footprint"]))
    if any(cost.endswith(_PART) for cost in costs):
        console.print(Text(f"{_PART}: the instance alone; what its engine takes was lost in noise", style="dim"))
    console.print()
    console.print(_labelled(_closing(result, run_dir)))


def _labelled(rows: Iterable[Row]) -> Table:
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(style="dim", no_wrap=True, min_width=10)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, text)
    return grid


def _answer(result: Document) -> Text:
    hard, slo, recommended = (result["capacity"][kind] for kind in ("hard", "slo", "recommended"))
    line = Text(number(hard), style="bold")
    line.append(f" hard ({hard['kind']}), {_named('slo', slo)}, {_named('recommended', recommended)}", style="not bold")
    return line


def _named(name: str, capacity: Document) -> str:
    return f"{name} {capacity['kind']}" if capacity["count"] is None else f"{number(capacity)} {name}"


def _holds(result: Document) -> Iterator[Row]:
    """Why nothing is recommended, or how many holds it took."""
    recommended, holds = result["capacity"]["recommended"], result["holds"]
    if recommended["why"]:
        yield "hold", Text(f"no count is recommended: {recommended['why']}", style="yellow")
    elif len(holds) > 1:
        yield "hold", Text(f"sustained by the last of {len(holds)} holds, each with fewer instances")


def _verdict(result: Document) -> Iterator[Row]:
    verdict = result["verdict"]
    if verdict is None:
        yield "ended", Text(result["reason"])
        return
    line = Text(f"{verdict['ceiling']} {verdict['subject']}".rstrip(), style="bold red")
    line.append(f": {verdict['resource']}, {confidence(verdict)}", style="not bold default")
    yield "stopped by", line
    for sentence in verdict["evidence"]:
        yield "", Text(f"- {sentence}")
    yield "to change", Text(verdict["fix"], style="green")
    for index, ceiling in enumerate(verdict["next"]):
        name = f"{ceiling['ceiling']} {ceiling['subject']}".rstrip()
        where = VAGUE if ceiling["vague"] else f"at {format_count(ceiling['count'])} ({_known(ceiling)})"
        yield "" if index else "then", Text(f"{name} {where}")


def _known(ceiling: Document) -> str:
    """How exactly the count of a ceiling that lies ahead is known."""
    if ceiling["typical"]:
        return NOT_MEASURED
    high = format_count(ceiling["high"]) if ceiling["high"] is not None else "no bound"
    return f"{format_count(ceiling['low'])} to {high}"


def _workloads(result: Document) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    headings = ("workload", "engine", "ready", "failed", "lost", "p50", "p95", "memory", "tasks")
    for heading in headings:
        table.add_column(no_wrap=True, justify="left" if heading in headings[:2] else "right")
    table.add_row(*(Text(heading, style="dim") for heading in headings))
    for name, workload in result["workloads"].items():
        engine = f"{workload['engine']} {workload['accelerator']}".strip()
        seconds = workload["ready_seconds"]
        times = [format_seconds(seconds[q]) for q in ("p50", "p95")] if seconds else ["-", "-"]
        counts = [format_count(workload[key]) for key in ("ready", "failed", "lost")]
        table.add_row(*map(Text, (name, engine, *counts, *times, *_footprint(workload["footprint"]))))
    return table


def _footprint(footprint: Document) -> list[str]:
    return [_cost(footprint.get(whole), footprint.get(own), unit) for whole, own, unit in _COSTS]


def _cost(whole: Document | None, own: Document | None, unit: str) -> str:
    """The whole cost where it is told from none, else the instance's own."""
    if _is_known(whole):
        return format_value(whole["value"], unit)
    return format_value(own["value"], unit) + _PART if _is_known(own) else "-"


def _is_known(cost: Document | None) -> TypeGuard[Document]:
    """Whether its interval excludes none; a noisy host leaves it without one."""
    return cost is not None and cost["value"] is not None and (cost["low"] or 0) > 0


def _closing(result: Document, run_dir: str) -> Iterator[Row]:
    failures = [(name, each) for name, workload in result["workloads"].items() for each in workload["failures"]]
    for index, (name, failure) in enumerate(failures):
        said = Text(f"{failure['count']} x {failure['kind']} of {name}: {failure['message'][:200]}")
        yield "" if index else "failures", said
        for line in [line for line in failure["evidence"] if line.strip()][-_LINES:]:
            yield "", Text(f"  | {line[:200]}", style="dim")
        for line in failure["others"]:
            yield "", Text(f"  | another: {line[:200]}", style="dim")
    for index, warning in enumerate(result["warnings"]):
        yield "" if index else "warnings", Text(warning, style="yellow")
    torn = result["teardown"]
    removed = f"{format_count(torn['removed'])} in {format_seconds(torn['seconds'])}, "
    if torn["left"]:
        left = f"LEFT BEHIND {len(torn['left'])}: {format_some(torn['left'])}"
        yield "removed", Text(f"{removed}{left}", style="bold red")
    else:
        yield "removed", Text(f"{removed}nothing left behind")
    yield "tester", Text(_tester(result["tester"]))
    yield "record", Text(run_dir)


def _tester(tester: Document) -> str:
    cpu, lag = tester["cpu_seconds"], tester["max_lag_seconds"]
    parts = ["CPU not measured" if cpu is None else f"{cpu:.1f} s of CPU"]
    parts += [] if lag is None else [f"at most {format_seconds(lag)} late"]
    return ", ".join(parts)
