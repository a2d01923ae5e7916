"""What has to be raised for a count: which parameter, which unit, and what no setting can do."""

import pytest
from support.examined import CONTAINERS, HOST

from density.ceilings.reading import Reading
from density.report.doctor import Cost, Diagnosis, Prospect
from density.report.doctor_raise import Step, rounded_up, steps


def found(ceiling: str, subject: str = "", *, limit: float = 1000.0, wanted: int = 2000) -> list[Step]:
    """The steps for one ceiling of which an instance takes one."""
    prospect = Prospect(Reading(ceiling, subject, 100.0, limit, 50.0), Cost(1.0, 1.0, 1.0, "measured"))
    return list(steps(Diagnosis("t", CONTAINERS, HOST, (prospect,), (), (), wanted)))


def test_what_is_needed_is_use_reserve_cost_and_a_tenth_of_that() -> None:
    """100 + 50 + 1.1 × 2,000, with three digits."""
    (step,) = found("tasks.pid_max")
    assert (step.kind, step.name, step.value) == ("sysctl", "kernel.pid_max", 2350)


@pytest.mark.parametrize(("limit", "steps_"), [(2350.0, 0), (2349.0, 1)])
def test_what_is_high_enough_is_left_alone(limit: float, steps_: int) -> None:
    """Only what is below is raised."""
    assert len(found("tasks.pid_max", limit=limit)) == steps_


PARAMETERS = [
    ("namespaces.user", "net", ["user.max_net_namespaces 2350"]),
    (
        "network.neighbours",
        "v6",
        ["net.ipv6.neigh.default.gc_thresh3 2350", "net.ipv6.neigh.default.gc_thresh2 1175"],
    ),
    ("keys.user", "uid0", ["kernel.keys.root_maxkeys 2350"]),
    ("keys.user", "uid1000", ["kernel.keys.maxkeys 2350"]),
    ("keys.bytes", "uid1000", ["kernel.keys.maxbytes 2350"]),
    ("ptys", "", ["kernel.pty.max 3374"]),
    ("mounts.namespace", "host", ["fs.mount-max 2350"]),
    ("inotify.instances", "uid0", ["fs.inotify.max_user_instances 2350"]),
    ("files.process", "dockerd", ["docker.service LimitNOFILE 2350"]),
    ("files.process", "virtlogd", ["virtlogd.service LimitNOFILE 2350"]),
    ("tasks.cgroup", "containerd", ["containerd.service TasksMax 2350"]),
    ("libvirt.processes", "", ["libvirtd.service LimitNPROC 2350"]),
]


@pytest.mark.parametrize(("ceiling", "subject", "expected"), PARAMETERS)
def test_each_subject_has_its_own_knob(ceiling: str, subject: str, expected: list[str]) -> None:
    """A kind of namespace, a family of addresses, a user, a daemon."""
    assert [f"{step.name} {step.value}" for step in found(ceiling, subject)] == expected


BY_HAND = [
    ("memory.available", "", "give instances less memory"),
    ("network.bridge_ports", "docker0", "several networks"),
    ("files.process", "tester", "`ulimit -n`"),
    ("tasks.cgroup", "", "raise `tasks` in [slice]"),
    ("memory.cgroup", "", "raise `memory` in [slice]"),
    ("cgroups.memcg", "", "fewer instances"),
    ("disk.space", "docker", "disk space"),
]


@pytest.mark.parametrize(("ceiling", "subject", "words"), BY_HAND)
def test_what_no_setting_can_do_is_for_a_person(ceiling: str, subject: str, words: str) -> None:
    """Memory, disks, a bridge's ports, the profile's slice."""
    (step,) = found(ceiling, subject)
    assert step.kind == "hand"
    assert words in step.name


def test_a_parameter_is_not_set_past_what_the_kernel_takes() -> None:
    """There are at most 4,194,304 process ids: a script cannot make more."""
    (step,) = found("tasks.pid_max", wanted=5_000_000)
    assert step.kind == "hand"


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, 1), (7, 7), (1234, 1240), (72_301.2, 72_400), (999_001, 1_000_000), (1000, 1000)]
)
def test_rounding_is_up_to_three_digits(value: float, expected: int) -> None:
    """Never down."""
    assert rounded_up(value) == expected
