"""`density run --dry-run`: the plan and the ceilings, without starting anything."""

import json
from pathlib import Path

import pytest

from density.cli import main

PROFILE = """
name = "sim"
[ramp]
shape = "list"
waves = [100, 300, 300]
[workloads.web]
engine = "simulated"
[slice]
tasks = 500
"""


@pytest.fixture
def profile(tmp_path: Path) -> str:
    """With a slice that ends the second wave early."""
    file = tmp_path / "sim.toml"
    file.write_text(PROFILE)
    return str(file)


def test_the_plan_is_shown(profile: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Waves up to the nearest ceiling, and only ceilings that are in the way, nearest first; in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["run", profile, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    said = [" ".join(line.split()) for line in lines]
    assert said[:6] == [
        "sim: nothing is started; costs not measured yet",
        "workloads web (simulated, share 1)",
        "calibration 4 of each workload alone",
        "waves 100, 300, 100",
        "until safe, at most 10,000",
        "",
    ]
    assert said[6:8] == ["ceiling used limit reserve each reached at", "tasks.cgroup 0 500 - ~1 ~500"]


def test_the_plan_as_json(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Waves and ceilings, nearest first."""
    assert main(["run", profile, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["waves"] == [100, 300, 100]
    assert (found["ceilings"][0]["ceiling"], found["ceilings"][0]["count"]) == ("tasks.cgroup", 500)


def test_costs_that_a_simulated_host_states_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """13 GiB of free memory at 1 GiB an instance are 13 instances, not the thousands of the payload's typical cost."""
    file = tmp_path / "stated.toml"
    costs = '[simulated]\nmemory = "16GiB"\nused_memory = "1GiB"\n[simulated.costs.web]\nmemory = "1GiB"\n'
    file.write_text(f'name = "stated"\n[workloads.web]\nengine = "simulated"\n[reserve]\nmemory = "2GiB"\n{costs}')
    assert main(["run", str(file), "--dry-run", "--json"]) == 0
    nearest = json.loads(capsys.readouterr().out)["ceilings"][0]
    assert (nearest["ceiling"], nearest["count"], nearest["cost"]["basis"]) == ("memory.available", 13, "stated")
