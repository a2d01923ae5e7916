"""Induced ceilings: what the result of a run must say of one, and the row of the table."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from support.running import Document

from density.host.reader import HostReader

RAMP = """
[ramp]
shape = "linear"
start = 4
step = 6
max = 60
until = "failure"
settle = "1s"
hold = "1s"
calibrate = 4
"""
"""Small steps and short rests: every ceiling here lies at 10 to 60 instances."""
SAFE = RAMP.replace('"failure"', '"safe"')


@dataclass(frozen=True, slots=True)
class Row:
    """One induced ceiling.

    Attributes:
        induced: its id.
        named: what the verdict says, with its subject; or why there is none.
        confidence: the verdict's own; None without one, or where it has no odds.
        right: whether the verdict names the ceiling, and the subject where one is expected.
        count: instances at which it bound.
        seconds: the run took, from command line to exit.
        problems: what was not right, one sentence each.
    """

    induced: str
    named: str
    confidence: float | None = None
    right: bool = False
    count: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a result must say.

    Attributes:
        ceiling: the verdict's id.
        subject: which of several (a daemon, a disk); None: any.
        evidence: patterns, each of which a sentence of the evidence must match.
        fix: what the fix must contain.
        counts: fewest and most instances at which it may have bound.
    """

    ceiling: str
    subject: str | None
    evidence: Sequence[str]
    fix: str
    counts: tuple[int, int]


def used(name: str) -> int:
    """What the host has in use now, as its sensors tell it."""
    return int(HostReader(disks={}).read(thorough=True)[name])


def judged(document: Document, expected: Expected, *, seconds: float, problem: str) -> Row:
    """A row of the table, with all that a result does not say as it must."""
    verdict = document.get("verdict") or {}
    count = _bound_at(document.get("capacity") or {})
    problems = [problem] if problem else []
    problems += _problems(document, verdict, count, expected)
    named = f"{verdict.get('ceiling', '')} {verdict.get('subject', '')}".strip()
    named = named or document.get("outcome", "") or "no result"
    right = verdict.get("ceiling") == expected.ceiling and expected.subject in {None, verdict.get("subject")}
    return Row(expected.ceiling, named, verdict.get("confidence"), right, count, seconds, tuple(problems))


def _bound_at(capacity: Mapping[str, Document]) -> int:
    """The most that the ceiling let run: where an objective ended the ramp, what is hard is a forecast of others."""
    if not capacity:
        return 0
    which = "hard" if capacity["hard"]["kind"] == "observed" else "slo"
    return capacity[which]["count"] or 0


def _problems(document: Document, verdict: Document, count: int, expected: Expected) -> Iterator[str]:
    if not document:
        return
    if not verdict:
        yield f"no verdict; outcome {document['outcome']}: {document['reason']}"
        return
    evidence = verdict["evidence"]
    if verdict["ceiling"] != expected.ceiling:
        yield f"named {verdict['ceiling']} {verdict['subject']} instead of {expected.ceiling}"
    if expected.subject is not None and verdict["subject"] != expected.subject:
        yield f"the subject is {verdict['subject']!r}, not {expected.subject!r}"
    for pattern in expected.evidence:
        if not any(re.search(pattern, sentence) for sentence in evidence):
            yield f"no evidence says {pattern!r}"
    if expected.fix not in verdict["fix"]:
        yield f"the fix {verdict['fix']!r} does not say {expected.fix!r}"
    if not expected.counts[0] <= count <= expected.counts[1]:
        yield f"it bound at {count} instances, which is not {expected.counts[0]} to {expected.counts[1]}"
    if document["teardown"]["left"]:
        yield f"left behind: {', '.join(document['teardown']['left'])}"
