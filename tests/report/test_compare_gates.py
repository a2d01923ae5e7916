"""Gates for CI: what may be asked, when one fires, and what it says."""

import math
from dataclasses import replace

import pytest
from support.compared import compared

from density.capacity.compare.difference import Difference
from density.errors import UsageError
from density.report.compare.comparison import Against, Comparison, Row
from density.report.compare.gates import judge, parse_gate
from density.report.compare.groups import Run


@pytest.fixture(scope="module")
def runs() -> tuple[Run, Run]:
    """Two, of which only the names matter here."""
    return compared(1, "ramp.max=3"), compared(2, "ramp.max=3")


ROWS = (
    Row(
        key="capacity.slo", unit="instances", good="more", difference=Difference(240, 228, -12, -15, -9, 0.001), p=0.004
    ),
    Row(key="capacity.hard", unit="instances", good="more", difference=Difference(240, 232, -8, -15, -1, 0.03), p=0.12),
    Row(key="rate", unit="per second", good="more", difference=Difference(20, 21, 1, -1, 3, 0.3)),
    Row(
        key="web.ready_seconds.p95",
        unit="seconds",
        good="less",
        difference=Difference(0.5, 0.56, 0.06, -math.inf, math.inf, 1),
        note="too few launches at equal counts to know the noise",
    ),
    Row(
        key="web.footprint.memory.available",
        unit="bytes",
        good="less",
        difference=Difference(0.0, 2**20, 2**20, 2**19, 2**21, 0.01),
        p=0.03,
    ),
    Row(key="db.ready_seconds", unit="seconds", good="less", difference=None, note="no launches"),
)


@pytest.fixture
def comparison(runs: tuple[Run, Run]) -> Comparison:
    """Of these rows."""
    return Comparison([runs[0]], (Against([runs[1]], ROWS, ()),), (), len(ROWS))


BAD = {
    "capacity.slo": "--fail-if 'capacity.slo': allowed is METRIC CHANGE, such as 'capacity.slo -3%'",
    "capacity.slo 3%": "--fail-if 'capacity.slo 3%': allowed is METRIC CHANGE",
    "capacity.slo -": "--fail-if 'capacity.slo -': allowed is METRIC CHANGE",
    "": "--fail-if '': allowed is METRIC CHANGE",
    "capacity.sol -3%": "--fail-if 'capacity.sol -3%': no metric capacity.sol; did you mean capacity.slo?",
    "zzz -3%": "--fail-if 'zzz -3%': no metric zzz; allowed are capacity.slo, capacity.hard, rate, "
    "web.ready_seconds.p95, db.ready_seconds, web.footprint.memory.available "
    "and other footprints",
    "capacity.slo -3x": "--fail-if 'capacity.slo -3x': found 3x; allowed is a percentage such as 3%, or a number of "
    "instances",
    "rate -3s": "--fail-if 'rate -3s': found 3s; allowed is a percentage such as 3%, or a number a second",
    "web.ready_seconds.p95 +5MiB": "--fail-if 'web.ready_seconds.p95 +5MiB': found 5MiB; allowed is a percentage such "
    'as 3%, or a duration such as "250ms"',
    "web.footprint.memory.available +5ms": "--fail-if 'web.footprint.memory.available +5ms': found 5ms; allowed is a "
    'percentage such as 3%, or a size such as "64MiB"',
    "capacity.slo -x%": "--fail-if 'capacity.slo -x%': allowed is METRIC CHANGE",
    "capacity.slo -3.%": "--fail-if 'capacity.slo -3.%': found 3.%; allowed is a percentage such as 3%, or a number of "
    "instances",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_gate_is_said_in_one_sentence(text: str, comparison: Comparison) -> None:
    """With what is allowed, and the nearest metric."""
    with pytest.raises(UsageError) as caught:
        judge([parse_gate(text)], comparison)
    assert str(caught.value).startswith(BAD[text])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


FIRED = {
    "capacity.slo -3%": "capacity.slo of run-2 went from 240 to 228 (-5.0%), past the -3% allowed; "
    "more than noise: 95% interval -6.2% to -3.8%",
    "capacity.slo -11": "capacity.slo of run-2 went from 240 to 228 (-5.0%), past the -11 allowed; "
    "more than noise: 95% interval -6.2% to -3.8%",
    "capacity.hard -3%": "capacity.hard of run-2 went from 240 to 232 (-3.3%), past the -3% allowed; "
    "could be chance, among so many metrics: 95% interval -6.2% to -0.4%",
    "rate +0%": "rate of run-2 went from 20/s to 21/s (+5.0%), past the +0% allowed; "
    "may be noise: 95% interval -5.0% to +15.0%",
    "web.ready_seconds.p95 +50ms": "web.ready_seconds.p95 of run-2 went from 500 ms to 560 ms (+12.0%), past the +50ms "
    "allowed; whether that is noise is not known (too few launches at equal counts to know the noise)",
    "web.footprint.memory.available +512KiB": "web.footprint.memory.available of run-2 went from 0 B to 1 MiB "
    "(+1 MiB), past the +512KiB allowed; more than noise: 95% interval +512 KiB to +2 MiB",
}
HELD = ["capacity.slo -5%", "capacity.slo -12", "capacity.slo +0%", "rate -0%", "  web.ready_seconds.p95   + 0.07 "]


@pytest.mark.parametrize("text", FIRED)
def test_a_gate_fires_past_the_change(text: str, comparison: Comparison) -> None:
    """On what was measured, in percent or in the metric's unit; whether that is noise is said as the table says it."""
    (found,) = judge([parse_gate(text)], comparison)
    assert found.fired
    assert found.sentence == FIRED[text]


@pytest.mark.parametrize("text", HELD)
def test_a_gate_holds_up_to_the_change(text: str, comparison: Comparison) -> None:
    """Exactly as far as is allowed is not too far, nor is the other way."""
    (found,) = judge([parse_gate(text)], comparison)
    assert not found.fired
    assert "within the" in found.sentence


@pytest.mark.parametrize(
    ("text", "why"),
    [("db.ready_seconds +3%", "no launches"), ("web.footprint.memory.available +3%", "it is 0 in the baseline")],
)
def test_what_cannot_be_judged_has_not_passed(text: str, why: str, comparison: Comparison) -> None:
    """A gate in CI that silently opens is worse than none."""
    (found,) = judge([parse_gate(text)], comparison)
    assert found.fired
    assert found.sentence == f"{parse_gate(text).metric} of run-2 cannot be judged: {why}"


def test_every_gate_is_held_against_every_group(comparison: Comparison, runs: tuple[Run, Run]) -> None:
    """Two gates and two groups are four answers; a group without the metric is one that cannot be judged."""
    third = Against([replace(runs[1])], ROWS[1:], ())
    both = replace(comparison, others=(*comparison.others, third))
    found = judge([parse_gate("capacity.slo -3%"), parse_gate("rate -3%")], both)
    assert [each.fired for each in found] == [True, True, False, False]
    assert found[1].sentence.endswith("cannot be judged: it has none")
