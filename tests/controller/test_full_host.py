"""A run until something fails leaves the host able to fork; `make torture` has the long form (torture_host.py)."""

import json
from pathlib import Path

import pytest
from attribution.lowering import lowered
from support.beside import forking
from support.running import RUN_SECONDS, started

ABOVE_USE, RESERVE = 2_400, 1_600
P99_SECONDS = 0.1
PROFILE = f"""
name = "full"
[reserve]
tasks = {RESERVE}
[ramp]
until = "failure"
max = 20000
settle = "300ms"
hold = "500ms"
[workloads.web]
engine = "native"
"""


@pytest.mark.root
def test_a_host_whose_task_ids_run_out_can_be_worked_on(tmp_path: Path) -> None:
    """The ramp ends at the reserve; a loop beside it forks every 50 ms, 99 % within 0.1 s, and is never refused."""
    profile = tmp_path / "full.toml"
    profile.write_text(PROFILE)
    used = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    with lowered("kernel.pid_max", used + ABOVE_USE), forking() as beside, started(profile, tmp_path / "runs") as run:
        out, said = run.communicate(timeout=RUN_SECONDS)
    assert run.returncode == 0, said
    document = json.loads(out)
    assert (document["outcome"], document["verdict"]["ceiling"]) == ("ceiling", "tasks.pid_max")
    assert document["teardown"]["left"] == []
    assert beside.refused == []
    assert len(beside.forks) > 50
    assert beside.p99() < P99_SECONDS, str(beside)
