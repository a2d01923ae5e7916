"""A comparison as Markdown, for a pull request or a wiki."""

from collections.abc import Collection, Iterator, Sequence

from density.report.compare.comparison import Against, Comparison
from density.report.compare.gates import Judged
from density.report.compare.words import (
    LONGEST_SENTENCE,
    TITLES,
    alone,
    answer,
    by_finding,
    change,
    explained,
    known,
    title,
    values,
)
from density.report.marked import escape, table


def markdown(comparison: Comparison, judged: Sequence[Judged]) -> str:
    """All of it."""
    blocks = [block for against in comparison.others for block in _against(comparison, against)]
    if judged:
        blocks.append("\n".join(map(_gate, judged)))
    if comparison.doubts:
        blocks.append("\n".join(f"- {escape(doubt, LONGEST_SENTENCE)}" for doubt in comparison.doubts))
    blocks += [sentence for sentence in (explained(comparison), alone(comparison)) if sentence]
    return "\n\n".join(blocks) + "\n"


def _gate(judged: Judged) -> str:
    return f"- {'**failed**' if judged.fired else 'passed'}: {escape(judged.sentence, LONGEST_SENTENCE)}"


def _against(comparison: Comparison, against: Against) -> Iterator[str]:
    yield f"## {escape(title(comparison, against), LONGEST_SENTENCE)}"
    yield f"**{escape(answer(against))}**"
    if against.conditions:
        rows = [(each.what, each.baseline, each.other, each.spoils) for each in against.conditions]
        yield _table(("not the same", "baseline", "other", "what it may change"), rows)
    for finding, found in by_finding(against.rows):
        head = (TITLES[finding], "baseline", "other", "change", "95% interval")
        yield _table(head, [(row.key, *values(row), change(row), known(row)) for row in found], right=(1, 2, 3))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    return table(head, [[escape(cell, LONGEST_SENTENCE) for cell in row] for row in rows], right=right)
