"""From TOML to a profile: defaults, overrides, where profiles are found."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from density.model import Readiness, Workload
from density.profile.kinds import kind_of
from density.profile.load import load_profile
from density.profile.source import shipped_directory, shipped_profiles
from density.profile.spec import Endpoints, Objectives, Profile, Ramp, Reserve, SimulatedHost, Slice

MIB = 2**20


def load(tmp_path: Path, text: str) -> Profile:
    """A profile of this text."""
    path = tmp_path / "my.toml"
    path.write_text(text)
    return load_profile(path)


def test_what_is_not_said_is_as_the_spec_says(tmp_path: Path) -> None:
    """A profile of three lines has every default of `density.profile.spec`."""
    profile = load(tmp_path, 'name = "x"\n[workloads.web]\nengine = "docker"\n')
    assert profile == Profile(
        name="x",
        workloads=(Workload(name="web", engine="docker"),),
        ramp=Ramp(),
        slice=Slice(),
        reserve=Reserve(),
        objectives=Objectives(),
        endpoints=Endpoints(),
        simulated=SimulatedHost(),
    )


DEFAULTS: dict[str, dict[str, Any]] = {
    'engine = "docker"\nimage = "nginx"': {"image": "nginx", "ready": Readiness("running")},
    'engine = "libvirt"': {"memory_bytes": 128 * MIB, "cpus": 1.0},
    'engine = "libvirt"\nguest = "null"': {"guest": "null", "memory_bytes": 16 * MIB, "cpus": 1.0},
    'engine = "libvirt"\nguest = "disk"\nimage = "/d.qcow2"\nready = "console:login:"': {
        "guest": "disk",
        "image": "/d.qcow2",
        "memory_bytes": 512 * MIB,
        "cpus": 1.0,
        "ready": Readiness("console", "login:"),
    },
    'engine = "native"\nburn = "5%"': {"burn": 0.05},
    'engine = "simulated"': {},
}


@pytest.mark.parametrize("text", DEFAULTS)
def test_each_kind_of_workload_has_its_defaults(text: str, tmp_path: Path) -> None:
    """Memory, CPUs and readiness depend on what is run."""
    (workload,) = load(tmp_path, f'name = "x"\n[workloads.w]\n{text}\n').workloads
    plain = Workload(name="w", engine=workload.engine)
    assert workload == dataclasses.replace(plain, **DEFAULTS[text])


@pytest.mark.parametrize("text", DEFAULTS)
def test_what_answers_pings_is_one_thing_for_rules_and_for_runs(text: str, tmp_path: Path) -> None:
    """A profile whose objective of pings is accepted has a workload of which a run asks for them."""
    (workload,) = load(tmp_path, f'name = "x"\n[workloads.w]\n{text}\n').workloads
    kind = kind_of(workload)
    assert kind is not None
    assert workload.answers_pings is kind.answers_pings


def test_every_unit_becomes_the_base_unit(tmp_path: Path) -> None:
    """Bytes, seconds and shares from 0 to 1, whatever was written."""
    profile = load(
        tmp_path,
        """
        name = "x"
        [ramp]
        max = 50
        max_time = "10m"
        settle = "250ms"
        hold = 0
        concurrency = 8
        [slice]
        memory = "1.5GiB"
        cpus = 1.5
        [objectives]
        failures = "1%"
        cpu_busy = 0.9
        tester_lag = "off"
        [workloads.web]
        engine = "docker"
        image = "nginx"
        ready = "http:80"
        ready_timeout = "2m"
        command = ["a", "b"]
        environment = { A = "1" }
        """,
    )
    ramp = profile.ramp
    assert (ramp.max_instances, ramp.max_seconds, ramp.settle_seconds, ramp.hold_seconds) == (50, 600, 0.25, 0)
    assert ramp.concurrency == 8
    assert profile.slice == Slice(memory_bytes=1536 * MIB, cpus=1.5)
    assert profile.objectives == Objectives(failures_share=0.01, cpu_busy_share=0.9, tester_lag_seconds=None)
    (web,) = profile.workloads
    assert (web.ready, web.ready_timeout_seconds) == (Readiness("http", "80/"), 120)
    assert (web.command, web.environment) == (("a", "b"), {"A": "1"})


def test_overrides_take_the_place_of_values() -> None:
    """A value is TOML, or else text, so that units need no quotes in a shell; the last one of a key counts."""
    profile = load_profile(
        "quickstart",
        overrides=[
            "ramp.max=50",
            "ramp.max=60",
            "workloads.web.memory=64MiB",
            'ramp.until="safe"',
            "slice.memory= 1GiB",
        ],
    )
    assert profile.ramp.max_instances == 60
    assert profile.ramp.until == "safe"
    assert profile.workloads[0].memory_bytes == 64 * MIB
    assert profile.slice.memory_bytes == 1024 * MIB


def test_another_shape_leaves_the_old_ones_keys() -> None:
    """`--set ramp.shape=linear` works on a profile that says how its own geometric shape grows."""
    ramp = load_profile("quickstart", overrides=["ramp.shape=linear", "ramp.step=7"]).ramp
    assert (ramp.shape, ramp.step, ramp.factor) == ("linear", 7, Ramp().factor)
    assert load_profile("quickstart", overrides=["ramp.shape=list", "ramp.waves=[1, 2]"]).ramp.waves == (1, 2)


def test_a_value_cannot_bring_in_other_keys() -> None:
    """What looks like more TOML after a value is text."""
    profile = load_profile("quickstart", overrides=["description=1\nname = 'other'"])
    assert profile.name == "quickstart"
    assert profile.description == "1\nname = 'other'"


def test_a_disk_image_is_found_from_elsewhere_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path counts from where density is started, and is absolute in the profile that the run keeps."""
    monkeypatch.chdir(tmp_path)
    text = 'name = "x"\n[workloads.v]\nengine = "libvirt"\nguest = "disk"\nimage = "a b.qcow2"\nready = "running"\n'
    assert load(tmp_path, text).workloads[0].image == str(tmp_path / "a b.qcow2")


def test_a_plain_name_is_a_shipped_profile_else_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file called `quickstart` is reached as `./quickstart`; `mine` finds `mine.toml`."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.toml", "quickstart"):
        Path(name).write_text('name = "mine"\n[workloads.w]\nengine = "native"\n')
    assert load_profile("quickstart").name == "quickstart"
    assert load_profile("./quickstart").name == "mine"
    assert load_profile("mine").name == "mine"


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    """Some editors write one."""
    path = tmp_path / "bom.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "x"\n[workloads.w]\nengine = "native"\n')
    assert load_profile(path).name == "x"


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profiles_are_called_as_their_files(name: str) -> None:
    """Every one loads, has a description, and its name is the one to run it by."""
    profile = load_profile(name)
    assert profile.name == name
    assert profile.description.endswith(".")


@pytest.mark.parametrize("name", ["containers", "vms"])
def test_the_examples_in_comments_are_right(name: str, tmp_path: Path) -> None:
    """What a shipped profile shows for images of one's own can be used as it stands."""
    lines = (shipped_directory() / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    example = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    assert example[0].startswith("[workloads.")
    assert load(tmp_path, "\n".join(['name = "x"', *example])).workloads
