"""Looking at a host: what earlier runs have found out, and what a run could have here."""

import json
import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from support.simulation import Simulated, simulate

from density.controller.doctor import kernel_answer, nearest, payload_answer, slice_answer, slice_values
from density.controller.doctor_runs import last_booted, last_measured
from density.model import Workload
from density.payload.guests.kernel import VARIABLE
from density.profile.spec import Profile, Ramp, Slice
from density.record.writer import RecordWriter
from density.report.doctor import diagnose

PROFILE = Profile(
    name="sim",
    workloads=(Workload(name="web", engine="simulated"),),
    ramp=Ramp(shape="list", waves=(5, 5, 5), hold_seconds=0.0),
)


@pytest.fixture(scope="module")
def run() -> Simulated:
    """A run of the profile."""
    return simulate(PROFILE)


def record(run: Simulated, directory: Path) -> None:
    """Keep a run's events where `density run` would."""
    directory.mkdir(parents=True)

    async def work() -> None:
        async with RecordWriter(directory / "run.sqlite") as writer:
            for event in run.events:
                writer.handle(event)

    anyio.run(work)


def test_the_last_run_of_the_profile_has_measured(run: Simulated, tmp_path: Path) -> None:
    """The newest one by its id; damaged records, other profiles and other files are passed over."""
    record(run, tmp_path / "20260101-000000-0000")
    record(run, tmp_path / "20260102-000000-0000")
    (tmp_path / "20260103-000000-0000").mkdir()
    (tmp_path / "20260103-000000-0000/run.sqlite").write_text("damaged")
    (tmp_path / "notes").touch()
    found = last_measured(PROFILE, tmp_path)
    assert found is not None
    assert found.run_id == "20260102-000000-0000"
    assert len(found.state.rests) >= 3
    assert last_measured(replace(PROFILE, name="other"), tmp_path) is None
    assert last_measured(PROFILE, tmp_path / "nowhere") is None


def test_what_was_measured_of_other_instances_does_not_count(run: Simulated, tmp_path: Path) -> None:
    """A profile that was changed since has other costs; its shares and patience are not among them."""
    record(run, tmp_path / "20260101-000000-0000")
    (web,) = PROFILE.workloads
    for workload, alike in (
        (replace(web, touch_bytes=2**20), False),
        (replace(web, share=3.0, ready_timeout_seconds=5.0), True),
    ):
        assert (last_measured(replace(PROFILE, workloads=(workload,)), tmp_path) is not None) is alike


def test_a_runs_costs_are_what_doctor_counts_with(run: Simulated, tmp_path: Path) -> None:
    """The truth of the simulated host is one task an instance; the run is named."""
    from support.examined import HOST  # noqa: PLC0415 — not needed by the other tests

    record(run, tmp_path / "20260101-000000-0000")
    found = diagnose(PROFILE, replace(HOST, earlier=last_measured(PROFILE, tmp_path)), title="t")
    tasks = next(each for each in found.prospects if each.reading.ceiling == "tasks.pid_max")
    assert (round(tasks.cost.value, 6), tasks.cost.measured) == (1.0, True)
    assert found.measured_by == "20260101-000000-0000"


def result(accelerator: str, *warnings: str) -> str:
    """A result document, as far as it is read here."""
    named = {"run_id": "r", "profile": "p", "started": 1.7e9, "outcome": "max", "verdict": None}
    measured = {"capacity": {"hard": {"count": 1}}, "host": {"accelerator": accelerator}}
    return json.dumps(named | measured | {"warnings": warnings})


def test_how_vms_boot_is_known_from_the_last_run_with_any(tmp_path: Path) -> None:
    """Runs of containers say nothing of it, nor do damaged results."""
    results = [result("kvm"), result("tcg", "slow", "KVM did not bring it up"), result(""), "[]", "{"]
    for number, text in enumerate(results):
        directory = tmp_path / f"2026010{number}-000000-0000"
        directory.mkdir()
        (directory / "run.sqlite").touch()
        (directory / "result.json").write_text(text)
    found = last_booted(tmp_path)
    assert found is not None
    assert (found.run_id, found.accelerator, found.why) == ("20260101-000000-0000", "tcg", "KVM did not bring it up")
    assert last_booted(tmp_path / "nowhere") is None


def cgroups(root: Path) -> Path:
    """A root with cgroup v2, writable or not as the files are; its top directory."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text("29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    top = root / "sys/fs/cgroup"
    top.mkdir(parents=True)
    (top / "cgroup.controllers").write_text("cpu memory pids\n")
    return top


def test_a_slice_needs_cgroups_and_the_right_to_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made to find out."""
    assert not slice_answer(tmp_path).ok
    top = cgroups(tmp_path)
    assert slice_answer(tmp_path).ok
    assert [path.name for path in top.iterdir()] == ["cgroup.controllers"]
    monkeypatch.setattr(os, "access", lambda path, _: path != top)
    assert slice_answer(tmp_path).words == f"{top} cannot be written; a slice needs root"


@pytest.mark.parametrize(("user", "ok"), [(0, True), (1000, False)])
def test_only_root_may_start_a_slice_of_systemd(
    user: int, *, ok: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would ask for a password, and a run does not."""
    cgroups(tmp_path)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert slice_answer(tmp_path).ok is ok


def test_a_guest_kernel_is_found_or_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the cache, in /boot, or where the variable says."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert kernel_answer(tmp_path / "cache", tmp_path).words.startswith("none yet")
    kernel = tmp_path / "boot/vmlinuz-6.1"
    kernel.parent.mkdir()
    kernel.write_bytes(bytes(0x202) + b"HdrS")
    assert kernel_answer(tmp_path / "cache", tmp_path).words == str(kernel)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    assert not kernel_answer(tmp_path / "cache", tmp_path).ok


def test_the_payload_is_there_or_can_be_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no C compiler" in payload_answer(tmp_path / "cache").words
    (tmp_path / "gcc").touch(mode=0o755)
    assert payload_answer(tmp_path / "cache").words == f"a run compiles it with {tmp_path / 'gcc'}"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/payload-0123").touch(mode=0o755)
    assert payload_answer(tmp_path / "cache").words == "compiled"


def test_the_disk_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    """Is that of its nearest parent."""
    assert nearest(tmp_path / "a/b") == tmp_path
    assert nearest(tmp_path) == tmp_path


def test_the_profiles_slice_is_empty_before_a_run() -> None:
    """And only what it limits is a ceiling."""
    assert slice_values(Slice(tasks=500)) == {"slice.tasks": 0.0, "slice.tasks_limit": 500.0}
    assert slice_values(Slice()) == {}
