"""The report as Markdown: the same contents in the same order, without the charts."""

from collections.abc import Iterator

from density.report import tables
from density.report.answer import answer
from density.report.checks import checks
from density.report.facts import Fact, Said, confidence, plain
from density.report.marked import escape, table
from density.report.recorded import Recorded
from density.units import format_seconds, format_value


def markdown(run: Recorded) -> str:
    """The report as a Markdown document; what comes from outside is escaped."""
    blocks = [
        f"# {_said(answer(run))}",
        _heading(run),
        *_capacities(run),
        *_verdict(run),
        *_footprints(run),
        *_failures(run),
        *_host(run),
        *_checks(run),
    ]
    return "\n\n".join(blocks) + "\n"


def _said(parts: Said) -> str:
    return "".join(
        escape(part) if isinstance(part, str) and part.strip() else plain((part,)) for part in _spaced(parts)
    )


def _spaced(parts: Said) -> Iterator[str | Fact]:
    """The blanks at the ends of words by themselves: escaping drops them."""
    for part in parts:
        if isinstance(part, Fact):
            yield part
            continue
        bare = part.strip()
        head, _, tail = part.partition(bare) if bare else (part, "", "")
        yield from (piece for piece in (head, bare, tail) if piece)


def _heading(run: Recorded) -> str:
    result = run.result
    return f"Run `{result['run_id']}` of {escape(result['profile'])}, {format_seconds(result['seconds'])}."


def _text(fact: Fact | None) -> str:
    return fact.text if fact else "–"


def _capacities(run: Recorded) -> Iterator[str]:
    rows = [
        [
            row.name,
            _text(row.number),
            plain(row.interval) or "–",
            row.kind,
            row.meaning,
            _said(row.per_workload),
            plain(row.required),
        ]
        for row in tables.capacities(run)
    ]
    yield table(("capacity", "instances", "95% interval", "kind", "what it means", "of which", "required"), rows)


def _verdict(run: Recorded) -> Iterator[str]:
    verdict = run.result["verdict"]
    yield f"## {tables.heading(run)}"
    if verdict:
        name = escape(f"{verdict['ceiling']} {verdict['subject']}".rstrip())
        limit = format_value(verdict["limit"], verdict["unit"])
        used = "a limit" if verdict["used"] is None else format_value(verdict["used"], verdict["unit"])
        of = f": {used} of {limit}" if verdict["limit"] else ""
        yield f"**{name}** – {escape(verdict['resource'])}{of}, {confidence(verdict)}."
        yield "\n".join(f"- {escape(sentence)}" for sentence in verdict["evidence"])
        yield f"What to change: {escape(verdict['fix'])}"
    else:
        yield escape(run.result["reason"] or "The record does not say.")
    if ahead := tables.ahead(run):
        yield "### What binds next" if verdict else "### What would bind first"
        rows = [[escape(row.name), escape(row.resource), row.number.text, plain(row.interval)] for row in ahead]
        yield table(("ceiling", "what runs out", "at instances", "95% interval"), rows, right=(2, 3))


def _footprints(run: Recorded) -> Iterator[str]:
    yield "## Footprint: what one more instance takes"
    workloads = tables.workloads(run)
    rows = [
        [escape(row.name), *(cost.written if cost else "–" for cost in row.costs), escape(row.resource)]
        for row in tables.footprints(run)
    ]
    if rows:
        yield table(("resource", *(escape(row.name) for row in workloads), "what it is"), rows)
    else:
        yield "Too few waves came to rest to tell what an instance takes."
    head = ("workload", "engine", "launched", "ready", "failed", "lost", "p50", "p95", "p99", "longest")
    launches = [
        [escape(row.name), escape(row.engine), *(one.text for one in row.counts),
         *(_text(one) for one in row.times or (None,) * 4)]
        for row in workloads
    ]  # fmt: skip
    yield table(head, launches, right=range(2, 10))


def _failures(run: Recorded) -> Iterator[str]:
    yield "## Failures"
    rows = [
        f"- {row.number.text} × **{escape(row.kind)}** of {escape(row.workload)}: {escape(row.message)}"
        + "".join(f"\n  - {escape(line)}" for line in row.evidence if line.strip())
        for row in tables.failures(run)
    ]
    yield "\n".join(rows) or "Nothing failed and nothing was lost."


def _host(run: Recorded) -> Iterator[str]:
    yield "## Host"
    yield table(("fact", "value"), [[escape(word), escape(what)] for word, what in tables.host(run)])


def _checks(run: Recorded) -> Iterator[str]:
    yield "## What would make the numbers invalid"
    rows = [[check.name, check.grade, _said(check.said), escape(check.why)] for check in checks(run)]
    yield table(("check", "grade", "measured", "what it would do"), rows)
    if warnings := run.result["warnings"]:
        yield "Warnings of the run:"
        yield "\n".join(f"- {escape(warning)}" for warning in warnings)
