"""Required capacities: what a run says of them, and when it ends in exit code 3."""

import json
from pathlib import Path
from typing import Any

import pytest

from density.capacity.capacities import Capacities, Capacity
from density.capacity.required import Requirement, requirements
from density.cli import main
from density.cli.missed import missed

NONE = Capacity(0, "observed", 0, 0)
ALIVE = {"all": False, "endings": {}, "last_lines": []}


def document(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 — any JSON
    """A result, as far as it is read here."""
    capacity = {
        "hard": {"count": 520, "kind": "forecast", "low": 480, "high": 560, "at_least": False},
        "slo": {"count": 480, "kind": "observed", "low": 480, "high": 480, "at_least": False},
        "recommended": {"count": 480, "kind": "observed", "low": 480, "high": 480, "at_least": False},
    }
    known = {
        "required": [],
        "holds": [],
        "capacity": capacity,
        "workloads": {"web": {"launched": 500, "ready": 500, "lost": 0, "deaths": ALIVE}},
        "outcome": "ceiling",
    }
    return known | {"reason": "x"} | changes


def test_each_required_capacity_is_held_against_the_one_found() -> None:
    """In the order in which they were asked for; as many as wanted is enough."""
    found = Capacities(Capacity(520, "forecast", 480, 560), Capacity(480, "observed", 480, 480), NONE)
    assert requirements({"slo": 500, "hard": 520}, found) == [
        Requirement("slo", 500, 480, met=False),
        Requirement("hard", 520, 520, met=True),
    ]


def test_too_few_are_said_with_by_how_much() -> None:
    """One sentence each; a forecast says how wide it is."""
    required = [
        {"name": "slo", "wanted": 500, "found": 480, "met": False},
        {"name": "hard", "wanted": 1000, "found": 520, "met": False},
        {"name": "recommended", "wanted": 1, "found": 480, "met": True},
    ]
    assert list(missed(document(required=required))) == [
        "slo = 500 is required, found 480: 20 too few (4.0%)",
        "hard = 1,000 is required, found 520, by a forecast of 480 to 560: 480 too few (48.0%)",
    ]


def test_an_objective_that_ends_the_ramp_is_no_failure() -> None:
    """It is how the slo capacity is found."""
    assert list(missed(document(outcome="ceiling", verdict={"ceiling": "slo.ready"}))) == []


def test_objectives_that_no_count_kept_are_one() -> None:
    """Whatever was asked to be kept never was; where nothing ran, nothing is said of it."""
    none = document()["capacity"] | {"slo": {"count": 0, "kind": "observed", "low": 0, "high": 0, "at_least": False}}
    assert list(missed(document(capacity=none, reason="an objective was missed: slo.ready at 2 s of 1 s"))) == [
        "no count kept every objective; the run ended because an objective was missed: slo.ready at 2 s of 1 s"
    ]
    nothing_ran = {"web": {"launched": 3, "ready": 0, "deaths": ALIVE}}
    assert not any("objective" in said for said in missed(document(capacity=none, workloads=nothing_ran)))


@pytest.mark.parametrize(("ceilings", "said"), [(["slo.probe"], 1), (["memory.available"], 0), (["tester.lag"], 0)])
def test_an_objective_that_no_hold_kept_is_one(ceilings: list[str], said: int) -> None:
    """What is not sustained for want of the host, or because density was late, is no missed objective."""
    none = {
        "count": None,
        "kind": "not sustained",
        "low": None,
        "high": None,
        "at_least": False,
        "why": "the hold failed",
    }
    capacity = document()["capacity"] | {"recommended": none}
    assert len(list(missed(document(capacity=capacity, holds=[{"ceilings": ceilings}])))) == said


@pytest.mark.parametrize("launched", [0, 3])
def test_a_host_without_room_for_one_is_one(launched: int) -> None:
    """Whether one was tried or a reserve was crossed before: that is no success, and the reason is said."""
    nothing = document(
        workloads={"web": {"launched": launched, "ready": 0, "deaths": ALIVE}}, reason="the reserve was touched"
    )
    assert ["the reserve was touched" in sentence for sentence in missed(nothing)] == [True]


SMALL = [
    "--set", "simulated.memory=2GiB", "--set", "simulated.launch=10ms",
    "--set", "ramp.calibrate=0", "--set", "ramp.start=12", "--set", "ramp.settle=1s", "--set", "ramp.hold=1s",
    "--max", "12", "-q", "--json", "--metrics", "off",
]  # fmt: skip


@pytest.mark.parametrize(("least", "code"), [("10", 0), ("5000", 3)])
def test_a_run_that_has_to_reach_a_capacity(
    least: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is the answer; result.json has it, too, and one line on stderr says by how much."""
    assert main(["run", "simulated", *SMALL, "--runs-dir", str(tmp_path), "--require", f"slo={least}"]) == code
    shown = capsys.readouterr()
    (required,) = json.loads(shown.out)["required"]
    assert required == {"name": "slo", "wanted": int(least), "found": required["found"], "met": code == 0}
    last = shown.err.splitlines()[-1:]
    assert [line.startswith("failed: slo = 5,000 is required, found ") for line in last] == [True] * bool(code)


def test_what_was_not_measured_meets_no_requirement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After one instance only typical costs speak of 500, so what ran is all that is known, and the gate fails."""
    one = [*SMALL[:-6], "--max", "1", "-q", "--json", "--metrics", "off"]
    assert main(["run", "simulated", *one, "--runs-dir", str(tmp_path), "--require", "slo=500"]) == 3
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    for kind in ("hard", "slo"):
        assert result["capacity"][kind]["kind"] == "observed"
        assert result["capacity"][kind]["count"] == 1
    assert "failed: slo = 500 is required, found 1, and more was not tried: 499 too few (99.8%)" in shown.err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("slo", "--require 'slo' is not NAME=N, such as slo=500; the names are hard, slo and recommended"),
        ("slo=many", 'require.slo: found "many"; allowed is a whole number, 0 or more'),
        ("slow=3", "require.slow: unknown key; did you mean slo?"),
        ("recommended=99999", "require.recommended: found 99999; allowed is at most ramp.max, which is 10000"),
    ],
)
def test_what_cannot_be_required(text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, exit code 2, before anything is started."""
    assert main(["run", "simulated", "--runs-dir", str(tmp_path), "--require", text]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
