"""The profile that a run keeps says all that the run used."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from density.model import Readiness, Workload
from density.profile.kinds import kind_of
from density.profile.load import load_profile, profile_to_toml
from density.profile.source import shipped_profiles
from density.profile.spec import Endpoints, Objectives, Profile, Ramp, Require, Reserve, SimulatedHost, Slice

MIB = 2**20


def back(profile: Profile) -> Profile:
    """The profile after it was written and read."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "profile.toml"
        path.write_text(profile_to_toml(profile), encoding="utf-8")
        return load_profile(path)


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profiles_come_back_as_they_were(name: str) -> None:
    """Written with every default, and read again, nothing has changed."""
    profile = load_profile(name)
    assert back(profile) == profile


names = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
words = st.from_regex(r"[!-~]{1,20}", fullmatch=True)
sizes = st.integers(0, 2**50)
counts = st.integers(0, 10**6)
positive = st.integers(1, 10**6)
seconds = st.floats(0, 10**6)
periods = st.floats(1e-9, 10**6)
shares = st.floats(0, 1)
ratios = st.floats(0, 100)
goals = {"ready_p95_seconds": periods, "probe_p99_seconds": periods, "tester_lag_seconds": periods} | dict.fromkeys(
    ("failures_share", "cpu_busy_share", "cpu_pressure_share", "memory_pressure_share", "io_pressure_share"), shares
)


@st.composite
def workloads(draw: st.DrawFn, name: str) -> Workload:
    """Any workload that a profile can ask for."""
    kind = draw(st.sampled_from(["payload", "other", "vm", "null", "disk", "native", "simulated"]))
    given: dict[str, Any] = {
        "name": name,
        "share": draw(st.floats(0.001, 1000)),
        "ready_timeout_seconds": draw(periods),
    }
    if kind in ("payload", "native", "simulated"):
        given |= {"engine": "docker" if kind == "payload" else kind, "burn": draw(shares), "touch_bytes": draw(sizes)}
    if kind in ("payload", "other"):
        given |= {"engine": "docker", "network": draw(words)}
    if kind == "other":
        ready = draw(
            st.sampled_from([Readiness("running"), Readiness("log", "a b[0-9]+"), Readiness("http", "80/a/b")])
        )
        given |= {
            "image": "n:1",
            "ready": ready,
            "command": tuple(draw(st.lists(texts))),
            "cpus": draw(st.floats(1, 9)),
        }
        given |= {"environment": draw(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]*", fullmatch=True), texts))}
    if kind in ("vm", "null", "disk"):
        given |= {
            "engine": "libvirt",
            "memory_bytes": draw(st.integers(96 * MIB, 2**40)),
            "cpus": draw(st.integers(1, 9)),
        }
        given |= {"accelerator": draw(st.sampled_from(["auto", "kvm", "tcg"]))}
    if kind == "null":
        given |= {"guest": "null"}
    if kind == "disk":
        given |= {"guest": "disk", "image": "/a b/c.qcow2", "ready": Readiness("guest-agent")}
        given |= {"disk_io": draw(st.sampled_from(["threads", "native", "io_uring"]))}
    return Workload(**given)


@st.composite
def ramps(draw: st.DrawFn) -> Ramp:
    """Any ramp; each shape with its own keys."""
    growth: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"shape": "linear", "start": draw(positive), "step": draw(positive)},
                {"shape": "geometric", "start": draw(positive), "factor": draw(st.floats(1.001, 100))},
                {"shape": "list", "waves": tuple(draw(st.lists(positive, min_size=1)))},
            ]
        )
    )
    return Ramp(
        **growth,
        max_instances=draw(positive),
        max_seconds=draw(seconds),
        until=draw(st.sampled_from(["safe", "failure", "forecast"])),
        settle_seconds=draw(seconds),
        hold_seconds=draw(seconds),
        concurrency=draw(st.integers(0, 10_000)),
        calibrate=draw(counts),
    )


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Any profile that can be asked for."""
    used = tuple(draw(workloads(name)) for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)))
    simulated = SimulatedHost()
    if any(workload.engine == "simulated" for workload in used):
        costs = st.fixed_dictionaries(
            {}, optional={"memory_bytes": sizes, "tasks": ratios, "files": ratios, "cpus": ratios}
        )
        chosen = {workload.name: draw(costs) for workload in used if workload.engine == "simulated"}
        simulated = SimulatedHost(
            cpus=draw(positive),
            memory_bytes=draw(st.integers(2**31, 2**40)),
            launch_seconds=draw(periods),
            failure_share=draw(shares),
            noise=draw(ratios),
            seed=draw(counts),
            costs=chosen,
        )
        used = tuple(replace(workload, stated_costs=chosen.get(workload.name, {})) for workload in used)
    ramp = draw(ramps())
    most, held = ramp.max_instances, ramp.hold_seconds > 0
    kinds = filter(None, map(kind_of, used))
    wanted = goals if any(kind.answers_pings for kind in kinds) else goals | {"probe_p99_seconds": st.none()}
    return Profile(
        name=draw(names),
        description=draw(texts),
        workloads=used,
        ramp=ramp,
        slice=Slice(memory_bytes=draw(st.just(0) | st.integers(2**51, 2**53)), tasks=draw(counts), cpus=draw(ratios)),
        reserve=Reserve(
            memory_bytes=draw(st.none() | st.integers(256 * MIB, 2**50)),
            tasks=draw(st.integers(500, 10**6)),
            files=draw(counts),
        ),
        objectives=Objectives(**{name: draw(st.none() | goal) for name, goal in wanted.items()}),
        require=Require(hard=draw(counts), slo=draw(counts), recommended=draw(st.integers(0, most)) if held else 0),
        endpoints=Endpoints(
            docker=draw(texts),
            libvirt=draw(texts),
            data=draw(st.sampled_from(["", "/big disk/a'b"])),
            missing=draw(st.sampled_from(["fail", "skip"])),
        ),
        simulated=simulated,
    )


@settings(deadline=None)
@given(profile=profiles())
def test_any_profile_comes_back_as_it_was(profile: Profile) -> None:
    """Whatever a profile says, its TOML says the same, to the last bit of every number."""
    assert back(profile) == profile
