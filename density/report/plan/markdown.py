"""A plan as Markdown, for a pull request or a wiki."""

from collections.abc import Iterable, Iterator

from density.capacity.plan.filling import Filled
from density.capacity.plan.plan import Plan
from density.report.marked import escape, table
from density.report.plan.basis_words import rests_on
from density.report.plan.beyond_words import beyond
from density.report.plan.room_words import raising, room
from density.report.plan.words import (
    binding,
    bought,
    columns,
    counts,
    interval,
    proof,
    title,
    type_of,
    uses,
)


def markdown(plan: Plan) -> str:
    """All of it; every resource has a line."""
    return "\n\n".join(_blocks(plan)) + "\n"


def _blocks(plan: Plan) -> Iterator[str]:
    yield f"# {escape(title(plan))}"
    yield _list([f"Hosts: {bought(plan, plan.best)}.", f"Interval: {interval(plan)}.", f"Choice: {proof(plan)}."])
    for group in plan.groups:
        yield f"## {escape(type_of(group))}"
        yield f"{escape(binding(group))}."
        yield _table(plan, group)
    yield "## What more fits"
    yield f"{escape(room(plan))}."
    if plan.raises:
        yield "## What to raise first"
        yield _list([f"{sentence}." for sentence in raising(plan)], mark="1.")
    if sentences := list(beyond(plan)):
        yield "## Beyond what was measured"
        yield _list(f"{sentence}." for sentence in sentences)
    yield "## What it rests on"
    yield _list(f"{sentence}." for sentence in rests_on(plan))


def _table(plan: Plan, group: Filled) -> str:
    head = ("on the fullest host", *columns(plan), "limit", "reserve", "of the room")
    rows = [*counts(plan, group), *(uses(plan, fill) for fill in group.fills)]
    filled = [(*map(escape, row), *[""] * (len(head) - len(row))) for row in rows]
    return table(head, filled, right=range(1, len(head)))


def _list(sentences: Iterable[str], *, mark: str = "-") -> str:
    return "\n".join(f"{mark} {escape(sentence)}" for sentence in sentences)
