"""Values, changes and intervals in words; the same in every format."""

import math
from collections.abc import Iterator, Sequence

from density.capacity.compare.difference import Difference
from density.report.compare.comparison import CAPACITIES, Against, Comparison, Finding, Row
from density.report.compare.groups import CREATED, RATE, READY, Group, name
from density.text import visible
from density.units import format_count, format_digits, format_value

LONGEST, LONGEST_SENTENCE = 120, 400
"""Letters of a name or setting, and of a sentence with some in it, that are shown; JSON has all of them."""
TITLES: dict[Finding, str] = {
    "different": "difference seen",
    "perhaps": "could be chance, among so many",
    "none": "no difference seen",
    "unknown": "not known",
}
"""In the order in which they are shown."""
MANY = 10.0
"""From so many times the baseline on, a change is told in the metric's unit."""
_FOOTPRINTS = ("memory.available", "tasks.pid_max")


def clean(text: str, longest: int = LONGEST) -> str:
    """Text from outside without what a terminal would obey, of a length that can be read."""
    shown = visible(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def value(amount: float, unit: str) -> str:
    """An amount in a metric's unit, with its sign where it is negative."""
    sign, size = "-" if amount < 0 else "", abs(amount)
    match unit:
        case "instances":
            return sign + (format_count(size) if size >= 100 or size == round(size) else f"{size:.1f}")
        case "per second":
            return sign + (format_count(size) if size >= 1000 else format_digits(size)) + "/s"
        case _:
            return sign + format_value(size, unit)


def change(row: Row) -> str:
    """`+5.2%`, or in the metric's unit where the baseline is none."""
    found = row.difference
    return _signed(row, found.change) if found else ""


def interval(row: Row) -> str:
    """`+3.1% to +7.3%`; why there is none where there is none."""
    found = row.difference
    if found is None or not math.isfinite(found.high):
        return clean(row.note, LONGEST_SENTENCE)
    return f"{_signed(row, found.low)} to {_signed(row, found.high)}"


def _signed(row: Row, amount: float) -> str:
    found = row.difference
    assert found is not None
    share = found.share(amount)
    if share is None or not _is_shared(found):
        return ("+" if amount >= 0 else "") + value(amount, row.unit)
    return f"{share:+.1%}".replace("-0.0%", "+0.0%")


def _is_shared(found: Difference) -> bool:
    """Whether the baseline is large enough to speak of shares of it."""
    shares = [found.share(amount) for amount in (found.change, found.low, found.high)]
    return all(share is None or abs(share) < MANY for share in shares)


def effect(row: Row) -> str:
    """How much it matters: Cliff's delta and its size in words (J. Romano et al., FAIR 2006), where there is one."""
    if row.delta is None:
        return ""
    sizes = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"), (math.inf, "large"))
    return f"{row.delta:+.2f}, {next(word for bound, word in sizes if abs(row.delta) < bound)}"


def known(row: Row) -> str:
    """The interval, and the effect where there is one."""
    return ", effect ".join(said for said in (interval(row), effect(row)) if said)


def values(row: Row) -> tuple[str, str]:
    """Of the baseline, and of the other."""
    found = row.difference
    return (value(found.baseline, row.unit), value(found.other, row.unit)) if found else ("", "")


def title(comparison: Comparison, against: Against) -> str:
    """`B (profile) against A (profile)`."""
    return f"{who(against.group)} against {who(comparison.baseline)}"


def answer(against: Against) -> str:
    """`2 differences seen in 31 comparisons`."""
    number = sum(row.finding == "different" for row in against.rows)
    tested = sum(row.finding != "unknown" for row in against.rows)
    seen = {0: "no difference", 1: "1 difference"}.get(number, f"{number} differences")
    return f"{seen} seen in {tested} comparisons"


def who(group: Group) -> str:
    """The runs of a group and their profiles."""
    profiles = dict.fromkeys(run.recorded.state.profile_name for run in group)
    return f"{clean(name(group))} ({clean(', '.join(profiles))})"


def by_finding(rows: Sequence[Row]) -> Iterator[tuple[Finding, list[Row]]]:
    """The rows of each finding that has some, the most telling first."""
    for finding in TITLES:
        if found := [row for row in rows if row.finding == finding]:
            yield finding, found


def is_main(row: Row) -> bool:
    """Whether a short table has it, whatever came out."""
    if row.finding in ("different", "perhaps"):
        return True
    parts = row.key.split(".", 2)
    if parts[0] == "capacity" and parts[1] in CAPACITIES:
        return True
    if len(parts) == 3 and parts[1] == "footprint":
        return parts[2] in _FOOTPRINTS
    return row.key == RATE or (parts[1] in (CREATED, READY) and parts[2:] in ([], ["p95"]) and row.finding != "unknown")


def alone(comparison: Comparison) -> str:
    """What single runs cannot tell; empty where a group shows it."""
    if any(len(group) > 1 for group in (comparison.baseline, *(against.group for against in comparison.others))):
        return ""
    return (
        "one run alone does not show how much runs of the same kind differ by themselves; "
        "several in one group (RUN,RUN) do"
    )


def explained(comparison: Comparison) -> str:
    """How the figures are meant."""
    return (
        "times and rate: at counts that all runs have been at; the effect of times is Cliff's delta, else the change; "
        "a difference is seen where chance would show one in all "
        f"{comparison.tested} comparisons together less than once in 20 times"
    )
