"""One run at a time on a host: who holds the lock, and that nobody holds it after a crash."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from functools import partial
from pathlib import Path

import pytest
from support.users import NOBODY, as_user

from density.cli import main
from density.controller.host_lock import CLEANING, Holder, find_holder, only_run, parse_names, try_lock
from density.errors import UsageError

RUN = "20261130-122346-1b79"
OTHER = "20261130-122400-0001"


@pytest.fixture
def name() -> str:
    """A lock that no other test holds."""
    return f"density-test-{uuid.uuid4().hex[:8]}"


def test_the_second_is_told_who_holds_it(name: str) -> None:
    """Its process, user, run, profile and time; after that it is free again."""
    began = time.time()
    with try_lock(RUN, profile="containers", name=name) as nobody:
        assert nobody is None
        with try_lock(OTHER, profile="vms", name=name) as holder:
            assert holder is not None
            assert (holder.pid, holder.uid) == (os.getpid(), os.geteuid())
            assert (holder.run_id, holder.profile) == (RUN, "containers")
            assert began - 1 <= holder.since <= time.time() + 1
    with try_lock(OTHER, name=name) as holder:
        assert holder is None


def test_a_second_run_is_refused_with_all_of_that(name: str) -> None:
    """Pid, run, since when, profile: one sentence, and exit code 2 (`UsageError`)."""
    with (
        only_run(RUN, profile="containers", name=name),
        pytest.raises(UsageError, match=rf"{RUN} \(containers\), since \S+ UTC, by process {os.getpid()} of "),
        only_run(OTHER, profile="vms", name=name),
    ):
        pytest.fail("there is a run already")


def test_a_run_waits_for_a_clean_up(name: str) -> None:
    """What it launched could be taken for leftovers."""
    with (
        try_lock(CLEANING, name=name),
        pytest.raises(UsageError, match=r"a `density clean`.*is going on; start the run when it is done"),
        only_run(RUN, profile="vms", name=name),
    ):
        pytest.fail("a clean-up is going on")


def test_a_crash_leaves_nothing(name: str) -> None:
    """SIGKILL frees the lock at once."""
    program = f"""
import os, signal
from density.cli import main
from density.controller.host_lock import try_lock
held = try_lock({RUN!r}, name={name!r})
assert held.__enter__() is None
print("held", flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert find_holder(name) == Holder(pid=process.pid, uid=os.geteuid(), run_id=RUN, since=find_holder(name).since)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with try_lock(RUN, name=name) as holder:
        assert holder is None


@pytest.mark.root
def test_other_users_have_the_same_lock(name: str) -> None:
    """Each sees the other's run, whoever was first."""
    with try_lock(RUN, profile="vms", name=name):
        assert as_user(NOBODY, lambda: find_holder(name).words) == find_holder(name).words
        assert as_user(NOBODY, lambda: only_run(OTHER, profile="x", name=name).__enter__()) == "UsageError"


def test_a_stranger_who_holds_it_is_named_by_the_kernel_alone(name: str) -> None:
    """Words of a process that is not the holder count for nothing, nor do words that no density would say."""
    with (
        socket.socket(socket.AF_UNIX) as lock,
        socket.socket(socket.AF_UNIX) as odd,
    ):
        for end, where in ((lock, name), (odd, f"{name}/1/1/\x1b[2Jrun/x")):
            end.bind(f"\0{where}")
            end.listen()
        assert find_holder(name) == Holder(pid=os.getpid(), uid=os.geteuid())


def test_a_name_that_is_long_is_cut(name: str) -> None:
    """The kernel takes 107 bytes; the lock holds all the same."""
    with try_lock(RUN, profile="p" * 200, name=name):
        holder = find_holder(name)
        assert holder.run_id == RUN
        assert set(holder.profile) == {"p"}


TABLE = """\
Num       RefCount Protocol Flags    Type St Inode Path
000000008dd5f5e2: 00000002 00000000 00010000 0001 01  7806 @density
000000008dd5f5e3: 00000002 00000000 00010000 0001 01  7807 @density/12/1764505426/20261130-122346-1b79/vms
000000008dd5f5e4: 00000003 00000000 00000000 0001 03  7808
000000008dd5f5e5: 00000003 00000000 00000000 0001 03  7809 /run/density/channel.sock
000000008dd5f5e6: 00000003 00000000 00000000 0001 02  7810 @density/12/1764505426/20261130-122346-1b79/vms
"""


def test_names_in_the_kernels_table() -> None:
    """Abstract names below the lock's alone, each once."""
    assert parse_names(TABLE, "density") == ("density/12/1764505426/20261130-122346-1b79/vms",)


@pytest.mark.parametrize("command", ["run", "versus"])
def test_a_second_command_starts_nothing(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one sentence with the holder's pid, and no directory of a run is made."""
    module = {"run": "running", "versus": "versus"}[command]
    monkeypatch.setattr(f"density.cli.{module}.only_run", partial(only_run, name=name))
    profile = tmp_path / "few.toml"
    profile.write_text('name = "few"\n[workloads.process]\nengine = "native"\n')
    with try_lock(RUN, profile="containers", name=name):
        assert main([command, str(profile), "-q", "--runs-dir", str(tmp_path / "runs")]) == 2
    assert f"process {os.getpid()} of" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_simulated_run_needs_no_lock(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes nothing of the host, so it goes on beside another run."""
    monkeypatch.setattr("density.cli.running.only_run", partial(only_run, name=name))
    few = ["--set", "ramp.max=2", "--set", "ramp.hold=0s", "--metrics", "off", "-q"]
    with try_lock(RUN, name=name):
        assert main(["run", "simulated", *few, "--runs-dir", str(tmp_path / "runs")]) == 0
