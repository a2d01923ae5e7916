"""`density doctor` as a command: what it prints, its exit codes, and that it leaves the host as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from density.cli import main

SIMULATED = """
name = "sim"
[workloads.web]
engine = "simulated"
[slice]
tasks = 500
[simulated.costs.web]
tasks = 1
"""
REAL = """
name = "real"
[engines]
docker = "unix:///nowhere/docker.sock"
libvirt = "nowhere:///system"
[workloads.web]
engine = "docker"
[slice]
tasks = 500
"""


@pytest.fixture
def simulated(tmp_path: Path) -> str:
    """A profile that asks nothing of this host."""
    file = tmp_path / "sim.toml"
    file.write_text(SIMULATED)
    return str(file)


@pytest.fixture
def real(tmp_path: Path) -> str:
    """A profile of this host, with engines that are not there."""
    file = tmp_path / "real.toml"
    file.write_text(REAL)
    return str(file)


def test_a_count_that_fits(simulated: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The simulated host has the profile's slice as its nearest ceiling: 500 tasks at 1 each."""
    assert main(["doctor", simulated, "--for", "400"]) == 0
    said = capsys.readouterr().out
    assert "400 fit, with more than 10% to spare" in said
    assert "host        simulated, 4 CPUs, 16 GiB\n\n" in "\n".join(line.rstrip() for line in said.splitlines())


def test_a_count_that_does_not_fit_has_its_exit_code(simulated: str, capsys: pytest.CaptureFixture[str]) -> None:
    """3, as where a required capacity is missed; and the reason."""
    assert main(["doctor", simulated, "--for", "501"]) == 3
    said = capsys.readouterr().out
    assert "501 do not fit: one ceiling is nearer" in said
    assert "raise `tasks` in [slice] of the profile" in " ".join(said.split())


def test_a_count_that_fits_barely(simulated: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It fits now, but not with the margin that a script would give it."""
    assert main(["doctor", simulated, "--for", "490"]) == 0
    assert "490 fit, with less than 10% to spare" in capsys.readouterr().out


def test_a_count_that_may_not_fit_has_the_exit_code_of_what_does_not(tmp_path: Path) -> None:
    """500 tasks of the slice at 1 each by typical costs, which may be 1.5: 333 fit whatever they take."""
    file = tmp_path / "typical.toml"
    file.write_text(SIMULATED.partition("[simulated")[0])
    assert [main(["doctor", str(file), "--for", count]) for count in ("333", "334")] == [0, 3]


def test_json_is_one_document(simulated: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the same answer, and the same exit code."""
    assert main(["doctor", simulated, "--json", "--for", "501"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["profile"], found["costs"]["from"]) == (1, "sim", "expected")
    assert (found["ceilings"][0]["ceiling"], found["ceilings"][0]["count"]) == ("tasks.cgroup", 500)
    assert found["wanted"]["fits"] is False


def test_a_script_is_what_was_asked_for(simulated: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So that it is needed is no failure: `density doctor … --script > raise.sh && sh raise.sh`."""
    assert main(["doctor", simulated, "--for", "100000", "--script"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("#!/bin/sh\n# Raises the limits of this host so that 100,000 instances fit: sim: web")
    assert "    raise_sysctl kernel.pid_max 11" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("doctor --script", "error: --script needs --for N, and goes without --json\n"),
        ("doctor --script --json --for 3", "error: --script needs --for N, and goes without --json\n"),
        ("doctor --set a=1", "error: --set needs a PROFILE\n"),
        (
            "doctor --for 0",
            "error: invalid value for '--for': 0 is not in the range 1<=x<=4294967296 (see density doctor --help)\n",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, one sentence."""
    assert main(line.split()) == 2
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("digits", [11, 400, 5000])
def test_a_number_beyond_any_host_is_refused(digits: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that no float holds, and one that Python itself reads no more."""
    assert main(["doctor", "simulated", "--for", "9" * digits]) == 2
    assert "--for" in capsys.readouterr().err


def test_this_host_without_engines(
    real: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to get them, reads what can be read, and makes nothing: no directory of runs, cache or sockets."""
    for name in ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(["doctor", real, "--json", "--runs-dir", str(tmp_path / "runs")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert {name: engine["answers"] for name, engine in found["engines"].items()} == {
        "docker": False,
        "libvirt": False,
        "native": True,
    }
    assert found["engines"]["docker"]["remedy"]
    known = {(each["ceiling"], each["subject"]): each for each in found["ceilings"]}
    assert known["tasks.cgroup", ""]["limit"] == 500
    assert known["tasks.pid_max", ""]["used"] > 0
    # The disk of runs goes by the first of its names, where VMs' disks are on it too.
    assert {subject for ceiling, subject in known if ceiling == "disk.space"} & {"data", "runs"}


@pytest.fixture
def shop(tmp_path: Path) -> Callable[[str], str]:
    """A profile of a user's image on engines that are not there, with these lines in its workload."""

    def write(lines: str) -> str:
        file = tmp_path / "shop.toml"
        engines = '[engines]\ndocker = "unix:///nowhere/docker.sock"\nlibvirt = "nowhere:///system"'
        file.write_text(f'name = "shop"\n{engines}\n[workloads.web]\nengine = "docker"\nimage = "shop"\n{lines}\n')
        return str(file)

    return write


def test_a_users_image_is_counted_by_its_declared_memory(
    shop: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing was measured 100,000 containers of 2 GiB do not fit, however small the payload is."""
    line = ["doctor", shop('memory = "2GiB"'), "--json", "--for", "100000", "--runs-dir", str(tmp_path)]
    assert main(line) == 3
    found = json.loads(capsys.readouterr().out)
    memory = next(each for each in found["ceilings"] if each["ceiling"] == "memory.available")
    assert memory["cost"]["basis"] == "stated"
    assert memory["cost"]["value"] >= 2 * 2**30
    room = memory["limit"] - memory["reserve"] - memory["used"]
    assert memory["count"] == int(max(room, 0) // memory["cost"]["value"])
    assert found["wanted"]["fits"] is False


def test_memory_that_nobody_knows_promises_nothing(
    shop: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image without a limit that no run has measured: whether ten fit is not known, which is no success."""
    assert main(["doctor", shop(""), "--json", "--for", "10", "--runs-dir", str(tmp_path)]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["wanted"]["fits"], found["wanted"]["unknown"]) == (None, ["web"])
    costs = {each["ceiling"]: each["cost"] for each in found["ceilings"] if not each["subject"]}
    assert (costs["memory.available"]["basis"], costs["memory.available"]["high"]) == ("at least", None)
    assert costs["tasks.pid_max"]["basis"] == "at least"


def test_workloads_that_an_objective_does_not_judge_are_named(
    shop: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a run, by doctor and by a dry run: an image answers no pings, the payload beside it does."""
    profile = shop('[workloads.ours]\nengine = "native"\n[objectives]\nprobe_p99 = "50ms"')
    for line in (["doctor", profile], ["run", profile, "--dry-run"]):
        assert main([*line, "--json", "--runs-dir", str(tmp_path)]) == 0
        (warning,) = json.loads(capsys.readouterr().out)["warnings"]
        assert "probe_p99 does not judge web:" in warning
        assert main([*line, "--runs-dir", str(tmp_path)]) == 0
        assert "probe_p99 does not judge web:" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("memory", ["", 'memory = "2GiB"'])
def test_a_dry_run_and_doctor_make_one_forecast(
    memory: str, shop: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same ceilings in the same order with the same costs; only what is in use may differ by the moment."""
    found = []
    for line in (["doctor", shop(memory)], ["run", shop(memory), "--dry-run"]):
        assert main([*line, "--json", "--runs-dir", str(tmp_path)]) == 0
        document = json.loads(capsys.readouterr().out)
        hard = [each for each in document["ceilings"] if not each["soft"] and each["count"] is not None]
        found.append([(each["ceiling"], each["subject"], each["cost"]) for each in hard])
    assert found[0][:3] == found[1][:3]
    assert sorted(map(str, found[0])) == sorted(map(str, found[1]))
