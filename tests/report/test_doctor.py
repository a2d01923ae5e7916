"""`density doctor`: which ceilings there are, how far each reaches, and what is shown of that."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.examined import BRIDGED, CONTAINERS, HOST, VALUES

from density.capacity.footprint import Line
from density.ceilings.catalog import CATALOG
from density.ceilings.reading import Reading
from density.controller.doctor import Examination
from density.model import EngineName, Workload
from density.profile.spec import Profile
from density.report.doctor import Cost, Diagnosis, Prospect, _cost, diagnose
from density.report.doctor_document import document
from density.report.doctor_view import print_diagnosis

GOLDEN = Path(__file__).parent / "golden"


def diagnosis(host: Examination = HOST, profile: Profile = CONTAINERS, *, wanted: int = 0) -> Diagnosis:
    """Of the recorded host."""
    return diagnose(profile, host, title="containers: web (docker)", wanted=wanted)


def shown(found: Diagnosis, *, width: int = 80) -> str:
    """As a terminal of this width would have it, without colours."""
    file = io.StringIO()
    print_diagnosis(found, Console(file=file, width=width, highlight=False))
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def on(values: Mapping[str, float]) -> Examination:
    """The recorded host with other values."""
    return replace(HOST, values={**VALUES, **values})


@pytest.mark.parametrize(("name", "wanted"), [("doctor.txt", 0), ("doctor-for-5000.txt", 5000)])
def test_what_is_shown_at_80_columns(name: str, wanted: int) -> None:
    """The host, the ceilings with the nearest first, how to raise them, and what cannot be read."""
    assert shown(diagnosis(profile=BRIDGED, wanted=wanted)) == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Also with a bridge whose name is long."""
    host = on({"network.bridge.br-5000017e4bb4.ports_count": 3.0})
    assert max(map(len, shown(diagnosis(host, BRIDGED), width=width).splitlines())) <= width


@pytest.mark.parametrize("values", [VALUES, {}])
def test_every_ceiling_of_the_catalogue_is_told_of(values: Mapping[str, float]) -> None:
    """Either with use and limit, or with the reason why not; also on a host of which nothing can be read."""
    found = diagnosis(replace(HOST, values=values))
    told = {prospect.reading.ceiling for prospect in found.prospects} | {reading.ceiling for reading in found.soft}
    missing = {each.name for each in found.absent}
    assert {ceiling.id for ceiling in CATALOG} == told | (missing & {ceiling.id for ceiling in CATALOG})
    assert not told & missing
    assert shown(found)


def test_a_sensor_that_fails_gives_the_reason() -> None:
    """A ceiling that is missing for want of a sensor is unavailable; one without a limit has nothing to say."""
    found = {each.name: each for each in diagnosis().absent}
    assert found["network.conntrack"].unavailable
    assert "No such file" in found["network.conntrack"].why
    assert not found["memory.commit"].unavailable


def test_what_a_user_may_not_see_is_said() -> None:
    """A daemon's files are closed to others; the tester's own are still told of."""
    host = on({"tester.fds": 20.0, "tester.fds_limit": 1024.0})
    host = replace(host, unavailable={"daemon.dockerd": "/proc/7/fd: Permission denied"})
    assert "daemon.dockerd: unavailable: /proc/7/fd: Permission denied" in shown(diagnosis(host)).replace("\n", " ")


def test_the_nearest_ceiling_comes_first() -> None:
    """By the count of further instances, those that none of them takes from at the end."""
    counts = [prospect.forecast.count for prospect in diagnosis().prospects]
    assert counts == sorted(counts)
    assert counts[-1] == math.inf


def test_the_count_is_what_fits_below_the_reserve() -> None:
    """Typical cost of a container: 13 tasks; of the free ones 1,600 are kept."""
    found = {prospect.reading.key: prospect for prospect in diagnosis().prospects}["tasks.pid_max", ""]
    assert math.floor(found.forecast.count) == (32768 - 1600 - 312) // 13
    assert not found.cost.measured


LIMITED = replace(
    CONTAINERS,
    workloads=(Workload(name="web", engine="docker", image="shop", memory_bytes=20 * 2**20, network="none"),),
)
"""A program of the user's that nobody has measured, with a limit of memory."""


def test_a_count_that_typical_costs_may_not_leave_room_for_is_not_known_to_fit() -> None:
    """At 12 tasks of containerd an instance 400 fit, at the 18 that it may take 267: 300 are in doubt, 267 are not."""
    found = diagnosis(wanted=300)
    assert (found.fits, [each.reading.key for each in found.in_doubt]) == (None, [("tasks.cgroup", "containerd")])
    assert diagnosis(wanted=267).fits is True
    assert diagnosis(wanted=401).fits is False
    assert not found.too_near
    assert not found.unknown


def test_what_a_program_may_take_without_bound_is_in_doubt_at_every_count() -> None:
    """Its memory is limited, its tasks and files are not; limits that stand for none are in nobody's way."""
    found = diagnosis(profile=LIMITED, wanted=1)
    assert found.fits is None
    assert found.unknown == ()
    assert {each.reading.key for each in found.in_doubt} == {("tasks.pid_max", ""), ("tasks.threads_max", "")}
    files = on({"files.max": 100_000.0})
    assert ("files.file_max", "") in {each.reading.key for each in diagnosis(files, LIMITED, wanted=1).in_doubt}


def test_the_ceilings_in_doubt_are_named() -> None:
    """On the terminal and in the document, with the count at the high end where there is one."""
    found = diagnosis(profile=LIMITED, wanted=300)
    asked = json.loads(json.dumps(document(found), allow_nan=False))["wanted"]
    assert asked["fits"] is None
    assert {"ceiling": "tasks.cgroup", "subject": "containerd"} in asked["in_doubt"]
    rows = [line.split() for line in shown(found).partition("300 fit")[2].splitlines()]
    assert ["tasks.cgroup", "containerd", "267", "of", "300"] in [row[:5] for row in rows]
    assert "tasks.pid_max" in [row[0] for row in rows if row]


def test_a_mix_costs_what_its_shares_cost() -> None:
    """Three containers and one process: (3 × 13 + 1 × 1) / 4 tasks for one more instance."""
    names: tuple[tuple[EngineName, float], ...] = (("docker", 3.0), ("native", 1.0))
    mixed = Profile(name="mixed", workloads=tuple(Workload(name=e, engine=e, share=share) for e, share in names))
    found = {prospect.reading.key: prospect for prospect in diagnosis(profile=mixed).prospects}
    assert found["tasks.pid_max", ""].cost.value == 10


def test_a_limit_that_stands_for_none_is_never_reached() -> None:
    """The kernel writes 2^63 - 1 where files are not limited."""
    found = {prospect.reading.key: prospect for prospect in diagnosis().prospects}["files.file_max", ""]
    assert (found.cost.value, found.forecast.count) == (39, math.inf)
    assert "files.file_max 1,283 of unlimited" in shown(diagnosis())


def test_a_crossed_reserve_leaves_room_for_none() -> None:
    """Not for a negative number of instances."""
    found = {prospect.reading.key: prospect for prospect in diagnosis(on({"tasks.count": 32000.0})).prospects}
    assert found["tasks.pid_max", ""].forecast.count == 0


def line(slope: float, margin: float) -> Line:
    """A line whose slope has this half interval."""
    covariance = np.diag([0.0, margin**2])
    return Line(("web",), 300.0, np.array([slope]), covariance, 0.0, 1.0)


@pytest.mark.parametrize(
    ("slope", "margin", "expected", "measured"),
    [
        (12.4, 0.3, 12.4, True),  # plainly measured
        (0.0, 0.0, 0.0, True),  # plainly nothing
        (0.1, 2.0, 0.0, True),  # the interval holds nothing, but not the typical 13
        (4.0, 20.0, 13.0, False),  # it holds both: nothing was learnt
        (-8.3, 1288.0, 13.0, False),
    ],
)
def test_a_measured_cost_counts_where_it_says_something(
    slope: float, margin: float, expected: float, *, measured: bool
) -> None:
    """A short run on a busy host must not hide a ceiling that is known to be there."""
    reading = Reading("tasks.pid_max", "", 300.0, 32768.0, 1600.0)
    found = _cost(reading, CONTAINERS, line(slope, margin), 2)
    assert (found.value, found.measured) == (expected, measured)


@given(used=st.floats(0, 1e9), limit=st.floats(1, 1e9), cost=st.floats(0.01, 1e6), count=st.integers(1, 10_000))
def test_a_limit_that_was_raised_to_what_is_needed_suffices(used: float, limit: float, cost: float, count: int) -> None:
    """Whatever is in use: with the limit that `needed` asks for, the count fits."""
    prospect = Prospect(Reading("tasks.pid_max", "", used, limit, 1600.0), Cost(cost, cost, cost, "measured"))
    raised = replace(prospect, reading=replace(prospect.reading, limit=prospect.needed(count)))
    assert raised.forecast.count >= count


def test_the_document_is_json_with_everything_in_it() -> None:
    """Strict JSON: what is never reached has no count; each ceiling has its fix."""
    found = json.loads(json.dumps(document(diagnosis(wanted=5000)), allow_nan=False))
    by_key = {(each["ceiling"], each["subject"]): each for each in found["ceilings"]}
    assert by_key["tasks.pid_max", ""]["count"] == 2373
    assert by_key["tasks.pid_max", ""]["cost"] == {"value": 13, "low": 6.5, "high": 19.5, "basis": "typical"}
    assert by_key["ptys", ""]["count"] is None
    assert all(each["fix"] for each in found["ceilings"])
    assert found["engines"]["libvirt"]["remedy"] == "pip install 'density[libvirt]'"
    assert found["accelerator"] == {
        "kvm": "usable",
        "booted": "tcg",
        "run_id": "20260101-000000-0000",
        "why": "not ready under KVM",
    }
    assert found["runs"] == {"alive": [], "left": ["20260102-000000-0000"]}
    assert found["wanted"]["fits"] is False
    assert found["wanted"]["steps"][0] == {
        "ceiling": "tasks.cgroup",
        "subject": "containerd",
        "needed": 66200,
        "kind": "unit",
        "what": "containerd.service TasksMax",
        "value": 66200,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"booted": None}, "/dev/kvm opens; not proven: no run here has booted a VM"),
        ({"booted": replace(HOST.booted, accelerator="kvm")}, "/dev/kvm opens, and booted VMs in run 2026"),  # type: ignore[type-var]
        ({"booted": None, "facts": {"kvm": "no /dev/kvm"}}, "no /dev/kvm; VMs are emulated, unless"),
        ({"runs": {"r1": True}}, "running     r1: what it uses now is taken as used"),
        ({"runs": {}}, "left        nothing by earlier runs"),
    ],
)
def test_what_is_said_of_the_host(changes: Mapping[str, object], said: str) -> None:
    """That KVM opens proves nothing; only a VM that came up does."""
    assert said in shown(diagnosis(replace(HOST, **changes)))  # type: ignore[arg-type]
