"""A comparison as Markdown, for a pull request or a wiki."""

import re
from collections.abc import Iterator, Sequence

from density.report.compare.comparison import Against, Comparison
from density.report.compare.gates import Judged
from density.report.compare.words import (
    LONGEST,
    LONGEST_SENTENCE,
    TITLES,
    alone,
    answer,
    by_finding,
    change,
    clean,
    explained,
    known,
    title,
    values,
)

_SPECIAL = re.compile(r"([\\`*_\[\]#|~<>&@:])")


def markdown(comparison: Comparison, judged: Sequence[Judged]) -> str:
    """All of it."""
    blocks = [block for against in comparison.others for block in _against(comparison, against)]
    if judged:
        blocks.append("\n".join(map(_gate, judged)))
    if comparison.doubts:
        blocks.append("\n".join(f"- {_text(doubt, LONGEST_SENTENCE)}" for doubt in comparison.doubts))
    blocks += [sentence for sentence in (explained(comparison), alone(comparison)) if sentence]
    return "\n\n".join(blocks) + "\n"


def _gate(judged: Judged) -> str:
    return f"- {'**failed**' if judged.fired else 'passed'}: {_text(judged.sentence, LONGEST_SENTENCE)}"


def _against(comparison: Comparison, against: Against) -> Iterator[str]:
    yield f"## {_text(title(comparison, against), LONGEST_SENTENCE)}"
    yield f"**{_text(answer(against))}**"
    if against.conditions:
        rows = [(each.what, each.baseline, each.other, each.spoils) for each in against.conditions]
        yield _table(("not the same", "baseline", "other", "what it may change"), rows)
    for finding, found in by_finding(against.rows):
        head = (TITLES[finding], "baseline", "other", "change", "95% interval")
        yield _table(head, [(row.key, *values(row), change(row), known(row)) for row in found], numbers=3)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> str:
    marks = ["---:" if 0 < index <= numbers else "---" for index in range(len(head))]
    lines = [head, marks, *([_text(cell, LONGEST_SENTENCE) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str, longest: int = LONGEST) -> str:
    """As text, whatever it says: no mark-up, no link, no mention, no HTML."""
    return _SPECIAL.sub(r"\\\1", clean(text, longest))
