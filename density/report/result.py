"""`result.json`: a run in one document, as the public contract lays it down."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from density.capacity.capacities import Capacities, Capacity, capacities
from density.capacity.deaths import died_out
from density.capacity.footprint import Line
from density.capacity.forecast import Outlook, outlook
from density.capacity.knee import latency
from density.capacity.required import requirements
from density.capacity.scaling import scaling
from density.capacity.split import split_memory
from density.ceilings.catalog import BY_ID
from density.ceilings.judge import Verdict, judge
from density.ceilings.reading import Bounds
from density.events import CeilingForecast, ClockStepped, Held
from density.record import Extent
from density.state import RunState, WorkloadState
from density.statistics import floored, quantile

SCHEMA = 1
FIGURES = {
    "run_started": "what the run was asked for",
    "host_found": "what host it was",
    "stage_entered": "when its stages began",
    "engine_found": "its engines",
    "workload_prepared": "how its workloads were prepared",
    "workload_skipped": "which workloads were skipped",
    "wave_started": "its waves",
    "stepped_back": "where it was scaled down",
    "instance_changed": "launches, times to ready, failures and deaths",
    "wave_settled": "counts and costs of its waves",
    "host_sampled": "what the host was using",
    "probe_measured": "round trips of pings",
    "forecasted": "its forecasts",
    "warned": "its warnings",
    "stopped": "why the ramp ended",
    "held": "its holds",
    "tester_measured": "density's own cost and lag",
    "stood_still": "when density itself did not run",
    "clock_stepped": "when the host's clock jumped",
    "torn_down": "what was removed and what is left",
}
"""Kind of event -> the figures that a record without some of them lacks."""
Document = dict[str, Any]


def result(state: RunState, bounds: Bounds, *, recorded: Extent | None = None) -> Document:
    """The document, from the state at the end; plain JSON types, no infinities.

    Args:
        recorded: how much of the run its record holds; None: the state is what the record holds.
    """
    outcome = state.outcome
    workloads = [workload.workload for workload in state.workloads.values()]
    known = outlook(state, values=state.values(), workloads=workloads, bounds=bounds)
    verdict = judge(state, bounds, known.costs(), known.typical)
    footprints = _footprints(known, split_memory(state, workloads))
    found = capacities(state, bounds)
    gone = {each.workload for each in died_out(state)}
    document = {
        "schema": SCHEMA,
        "run_id": state.run_id,
        "density_version": state.density_version,
        "profile": state.profile_name,
        "started": state.wall,
        "seconds": state.now - state.started_at,
        "clock_steps": [_step(state, each) for each in state.clock_steps],
        "outcome": outcome.outcome if outcome else "error",
        "reason": outcome.reason if outcome else "",
        "host": _host(state),
        "capacity": _capacity(found),
        "holds": [_hold(held) for held in state.holds],
        "required": [asdict(each) for each in requirements(state.required, found)],
        "verdict": _verdict(verdict) if verdict else None,
        "workloads": {
            name: _workload(workload, footprints.get(name, {}), died_out=gone)
            for name, workload in state.workloads.items()
        },
        "skipped": state.skipped,
        "tester": _tester(state),
        "teardown": _teardown(state),
        "record": _record(state, recorded),
        "warnings": state.warnings,
    }
    return {key: _finite(value) for key, value in document.items()}


def _finite(value: Any) -> Any:  # noqa: ANN401 — any JSON
    """JSON knows no infinity and no NaN: what a noisy host left unknown is null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _step(state: RunState, step: ClockStepped) -> Document:
    """A jump of the host's clock: when by the run's own clock, by how much, and UNIX seconds after it."""
    return {"at": step.at - state.started_at, "seconds": step.seconds, "wall": step.wall}


def _host(state: RunState) -> Document:
    accelerators = sorted({workload.accelerator for workload in state.workloads.values() if workload.accelerator})
    return {
        **state.host_facts,
        "accelerator": ", ".join(accelerators),
        "engines": {
            name: {"version": engine.version, "endpoint": engine.endpoint} for name, engine in state.engines.items()
        },
    }


def _capacity(found: Capacities) -> Document:
    return {"hard": _counted(found.hard), "slo": _counted(found.slo), "recommended": _counted(found.recommended)}


def _counted(capacity: Capacity) -> Document:
    """What was not tried, or not measured, has no count."""
    return asdict(capacity) | ({} if capacity.is_known else {"count": None, "low": None, "high": None})


def _hold(held: Held) -> Document:
    """One hold: how many were held for how long, how many of them stayed alive, and what was not kept."""
    return {
        "seconds": held.at - held.since,
        "before": sum(held.counts_before.values()),
        "after": sum(held.counts_after.values()),
        "kept": held.kept,
        "missed": list(held.missed),
        "ceilings": list(held.ceilings),
    }


def _verdict(verdict: Verdict) -> Document:
    return {**asdict(verdict), "next": [_next(ceiling) for ceiling in verdict.next]}


def _next(ceiling: CeilingForecast) -> Document:
    high = floored(ceiling.high, unknown=None)
    return {
        "ceiling": ceiling.ceiling,
        "subject": ceiling.subject,
        "count": max(0, floored(ceiling.count, unknown=0)),
        "low": max(0, floored(ceiling.low, unknown=0)),
        "high": None if high is None else max(0, high),
        "typical": ceiling.typical,
        "vague": ceiling.is_vague,
    }


def _workload(workload: WorkloadState, footprint: Document, *, died_out: Collection[str]) -> Document:
    return {
        "engine": workload.workload.engine,
        "accelerator": workload.accelerator,
        "launched": workload.launched,
        "ready": workload.ready,
        "failed": workload.failed,
        "lost": workload.lost,
        "stepped_back": workload.stepped_back,
        "deaths": {
            "all": workload.workload.name in died_out,
            "endings": dict(workload.endings.most_common()),
            "last_lines": list(workload.last_lines),
        },
        "peak": workload.peak,
        "created_seconds": _quantiles(workload.created_seconds),
        "ready_seconds": _quantiles(workload.ready_seconds),
        "latency": _latency(workload),
        "kernels": dict(workload.kernels),
        "failures": [
            {
                "kind": kind,
                "count": tally.count,
                "message": tally.message,
                "exit_code": tally.exit_code,
                "signal": tally.signal,
                "evidence": list(tally.evidence),
                "others": list(tally.others),
            }
            for kind, tally in workload.failures.items()
        ],
        "own_limits": [{"count": tally.count, **asdict(tally.highest)} for tally in workload.own_limits.values()],
        "footprint": footprint,
    }


def _quantiles(seconds: Sequence[float]) -> Mapping[str, float] | None:
    if not seconds:
        return None
    named = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: quantile(seconds, q) for name, q in named.items()}


def _latency(workload: WorkloadState) -> Document:
    """Time to ready and round trips against count, and how launching scales with the launches in flight."""
    scaled = scaling(workload.ready_at)
    return {
        "ready": asdict(latency(workload.ready_at)),
        "probe": asdict(latency(workload.probed_at)),
        "scaling": asdict(scaled) if scaled else None,
    }


def _footprints(known: Outlook, parts: Mapping[str, Line]) -> dict[str, Document]:
    """Workload -> ceiling (with its subject in brackets) or part of the memory -> cost of one instance."""
    found: dict[str, Document] = {workload.name: {} for workload in known.workloads}
    lines = {
        f"{key[0]}[{key[1]}]" if key[1] else key[0]: (BY_ID[key[0]].unit, line) for key, line in known.lines.items()
    }
    lines |= {part: ("bytes", line) for part, line in parts.items()}
    for resource, (unit, line) in lines.items():
        for name, (value, low, high) in line.footprint().items():
            found[name][resource] = {"value": value, "low": low, "high": high, "unit": unit}
    return found


def _tester(state: RunState) -> Document:
    tester = state.tester
    return {
        "cpu_seconds": tester.cpu_seconds if tester else None,
        "rss_bytes": tester.rss_bytes if tester else None,
        "max_lag_seconds": tester.max_lag_seconds if tester else None,
    }


def _teardown(state: RunState) -> Document:
    torn = state.torn_down
    return {
        "removed": torn.removed if torn else 0,
        "left": list(torn.left) if torn else [],
        "seconds": torn.seconds if torn else 0.0,
    }


def _record(state: RunState, recorded: Extent | None) -> Document:
    """Whether every figure can be found again in the record; what it lacks of a run that was cut off nobody knows."""
    if recorded is None:
        whole = state.torn_down is not None
        return {
            "complete": whole,
            "last_event_at": state.now - state.started_at,
            "missing_events": 0 if whole else None,
            "missing": {},
            "lacks": [],
        }
    last = recorded.last_event_at
    return {
        "complete": recorded.missing_events == 0,
        "last_event_at": None if last is None else last - state.started_at,
        "missing_events": recorded.missing_events,
        "missing": dict(recorded.missing),
        "lacks": [FIGURES[kind] for kind in recorded.missing],
    }
