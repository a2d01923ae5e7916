"""A plan as one JSON document: everything, in base units."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from density.capacity.plan.filling import Fill, Filled
from density.capacity.plan.headroom import Raise
from density.capacity.plan.plan import Outcome, Plan
from density.capacity.plan.policy import busy_share
from density.capacity.plan.resources import Key, fix_of, unit_of
from density.capacity.plan.spread import Group
from density.report.plan.basis_words import rests_on
from density.report.plan.beyond_words import beyond
from density.report.plan.words import title

SCHEMA = 1
Document = dict[str, Any]


def document(plan: Plan) -> Document:
    """The document; no infinities: a limit that is none is null."""
    return {
        "schema": SCHEMA,
        "answer": title(plan),
        "demand": dict(plan.asked.demand),
        "spare": plan.asked.spare,
        "cpu_busy": busy_share(plan.basis, plan.asked.policy),
        "runs": {name: run.run_id for name, run in plan.basis.sources.items()},
        "hosts": {
            "best": _outcome(plan, plan.best),
            "low": _outcome(plan, plan.low),
            "high": _outcome(plan, plan.high),
        },
        "types": [_type(plan, group) for group in plan.groups],
        "room": {name: {"best": room.best, "least": room.least, "most": room.most} for name, room in plan.room.items()},
        "raise": [_raise(plan, step) for step in plan.raises],
        "extrapolation": [
            {
                "kind": each.kind,
                "host": each.host,
                **({"workload": each.workload} if each.workload else {}),
                **(_key(each.key) if each.key[0] else {}),
                **({"objectives": list(each.objectives), "run": each.run} if each.objectives else {}),
                "planned": each.planned,
                "measured": each.measured,
                "times": _finite(each.times),
            }
            for each in plan.stretches
        ],
        "overcommit": dict(plan.overcommit),
        "footprints": {name: _footprint(plan, name) for name in plan.asked.demand},
        "beyond": list(beyond(plan)),
        "rests_on": list(rests_on(plan)),
    }


def _outcome(plan: Plan, outcome: Outcome) -> Document | None:
    """None where it does not fit."""
    if outcome.problem:
        return None
    return {**_hosts(plan, outcome.hosts, outcome.price), "gap": outcome.gap}


def _hosts(plan: Plan, hosts: Sequence[int], price: Fraction) -> Document:
    return {
        "count": sum(hosts),
        "per_type": {host.name: count for host, count in zip(plan.asked.hosts, hosts, strict=True) if count},
        "price": float(price) if plan.priced else None,
    }


def _type(plan: Plan, group: Filled) -> Document:
    return {
        "name": group.host.name,
        "count": group.hosts,
        "price": None if group.host.price is None else float(group.host.price),
        "binds": _fill(group.binds) if group.binds else None,
        "all_up": list(_groups(plan, group.up)),
        "after_loss": list(_groups(plan, group.down)),
        "resources": [_fill(fill) for fill in group.fills],
    }


def _groups(plan: Plan, groups: Iterable[Group]) -> Iterable[Document]:
    for group in groups:
        yield {"hosts": group.hosts, "instances": dict(zip(plan.asked.demand, group.counts, strict=True))}


def _fill(fill: Fill) -> Document:
    return {
        **_key(fill.key),
        "used": fill.up,
        "used_after_loss": fill.down,
        "limit": _finite(fill.limit.limit),
        "reserve": fill.limit.reserve,
        "base": fill.limit.base,
        "limit_is": "given" if fill.limit.given else "measured",
        "share_of_room": fill.share,
    }


def _raise(plan: Plan, step: Raise) -> Document:
    return {
        **_key(step.fill.key),
        "host": step.host.name,
        "fix": fix_of(step.fill.key),
        "hosts": _hosts(plan, step.hosts, step.price),
        "then": _key(step.then.key) if step.then else None,
    }


def _footprint(plan: Plan, name: str) -> Mapping[str, Document]:
    """By `CEILING` or `CEILING[SUBJECT]`, as `result.json` has it."""
    return {
        f"{key[0]}[{key[1]}]" if key[1] else key[0]: {
            "value": cost.value,
            "low": cost.low,
            "high": cost.high,
            "unit": unit_of(key),
            "measured": cost.measured,
        }
        for key, cost in plan.basis.costs[name].items()
        if cost.high
    }


def _key(key: Key) -> Document:
    return {"ceiling": key[0], "subject": key[1], "unit": unit_of(key)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
