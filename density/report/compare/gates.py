"""Gates for CI: `capacity.slo -3%` fires where the capacity fell by more than 3 % against the baseline."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from density.errors import UsageError
from density.report.compare.comparison import Comparison, Finding, Row
from density.report.compare.groups import Group, name
from density.report.compare.words import change, clean, interval, value
from density.units import parse_bytes, parse_seconds

ALLOWED = (
    "METRIC CHANGE, such as 'capacity.slo -3%' or 'web.ready_seconds.p95 +50ms': how far down (-) or up (+) is too far"
)
_GATE = re.compile(r"\s*(\S+)\s+([+-])\s*([0-9]\S*)\s*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_SURE: Mapping[Finding, str] = {
    "different": "more than noise",
    "perhaps": "could be chance, among so many metrics",
    "none": "may be noise",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate as a person wrote it.

    Attributes:
        sign: which way is too far, -1 or 1.
        size: how far may be gone, as text, 0 or more.
    """

    text: str
    metric: str
    sign: int
    size: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate held against one group of runs; `sentence` says how it went."""

    gate: Gate
    group: Group
    fired: bool
    sentence: str


def parse_gate(text: str) -> Gate:
    """A gate from `METRIC CHANGE`.

    Raises:
        UsageError: it is none; one sentence.
    """
    match = _GATE.fullmatch(text)
    if match is None:
        raise UsageError(f"--fail-if {text!r}: allowed is {ALLOWED}")
    return Gate(text.strip(), match[1], -1 if match[2] == "-" else 1, match[3])


def judge(gates: Sequence[Gate], comparison: Comparison) -> list[Judged]:
    """Every gate against every group.

    Raises:
        UsageError: no run has the metric, or its unit is another one; one sentence.
    """
    known = list(dict.fromkeys(row.key for against in comparison.others for row in against.rows))
    for gate in gates:
        if gate.metric not in known:
            raise UsageError(f"--fail-if {gate.text!r}: no metric {gate.metric}; {_near(gate.metric, known)}")
    return list(_judged(gates, comparison))


def _near(metric: str, known: Sequence[str]) -> str:
    near = get_close_matches(metric, known, n=1)
    # Of the footprints there are dozens; that there are some is told by one.
    some = [key for key in known if ".footprint." not in key] + [key for key in known if ".footprint." in key][:1]
    return f"did you mean {near[0]}?" if near else f"allowed are {', '.join(some)} and other footprints"


def _judged(gates: Sequence[Gate], comparison: Comparison) -> Iterator[Judged]:
    for gate in gates:
        for against in comparison.others:
            row = next((row for row in against.rows if row.key == gate.metric), None)
            limit = _limit(gate, row) if row else 0.0
            about = f"{gate.metric} of {clean(name(against.group))}"
            if row is None or row.difference is None or limit is None:
                why = row.note if row and row.note else "it is 0 in the baseline" if row else "it has none"
                yield Judged(gate, against.group, fired=True, sentence=f"{about} cannot be judged: {clean(why)}")
            else:
                fired = gate.sign * row.difference.change > limit
                yield Judged(gate, against.group, fired, f"{about} {_said(gate, row, fired=fired)}")


def _limit(gate: Gate, row: Row) -> float | None:
    """How far the metric may go, in its unit; None where a share of the baseline says nothing."""
    if gate.size.endswith("%") and _NUMBER.fullmatch(gate.size[:-1]):
        share = float(gate.size[:-1]) / 100
        return None if row.difference is None or row.difference.baseline <= 0 else share * row.difference.baseline
    match row.unit:
        case "seconds" | "bytes":
            try:
                return parse_seconds(gate.size) if row.unit == "seconds" else float(parse_bytes(gate.size))
            except ValueError as error:
                raise _unreadable(gate, str(error).partition("not ")[2]) from error
        case _:
            if not _NUMBER.fullmatch(gate.size):
                raise _unreadable(gate, f"a number of {row.unit}" if row.unit != "per second" else "a number a second")
            return float(gate.size)


def _unreadable(gate: Gate, allowed: str) -> UsageError:
    return UsageError(f"--fail-if {gate.text!r}: found {gate.size}; allowed is a percentage such as 3%, or {allowed}")


def _said(gate: Gate, row: Row, *, fired: bool) -> str:
    found = row.difference
    assert found is not None
    went = f"went from {value(found.baseline, row.unit)} to {value(found.other, row.unit)} ({change(row)})"
    sign = "-" if gate.sign < 0 else "+"
    held = f"past the {sign}{gate.size} allowed" if fired else f"within the {sign}{gate.size} allowed"
    return f"{went}, {held}; {_noise(row)}"


def _noise(row: Row) -> str:
    if row.finding == "unknown":
        return f"whether that is noise is not known ({clean(row.note)})"
    return f"{_SURE[row.finding]}: 95% interval {interval(row)}"
