"""`safe` runs of one profile on a quiet host come to the same numbers."""

from itertools import combinations
from pathlib import Path

import pytest
from support.running import Document, timed_run

RUNS = 3
"""Of each subject: each agrees with each other one."""
PROFILE = """
name = "twice"

[ramp]
start = 8
factor = 2.0
until = "safe"
settle = "2s"
hold = "2s"

[slice]
{slice}

[workloads.one]
{workload}
"""
SUBJECTS = {
    "containers": ('memory = "1GiB"', 'engine = "docker"\ntouch = "4MiB"'),
    "null-guests": ('memory = "1GiB"', 'engine = "libvirt"\nguest = "null"'),
    "native": ('memory = "1GiB"', 'engine = "native"\ntouch = "16MiB"'),
}
"""All are bound by memory, which moves by itself; whole things such as tasks would agree whatever density does."""


@pytest.mark.docker
@pytest.mark.libvirt
@pytest.mark.root
@pytest.mark.parametrize("subject", SUBJECTS)
def test_safe_runs_agree(subject: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What fits and what is recommended differ by 1 % or one instance at most; all name the slice's memory."""
    table, workload = SUBJECTS[subject]
    profile = tmp_path / "twice.toml"
    profile.write_text(PROFILE.format(slice=table, workload=workload))
    runs = [timed_run(profile, tmp_path / f"runs{number}") for number in range(RUNS)]
    with capsys.disabled():
        print(f"\n{subject}, {sum(run.seconds for run in runs):.0f} s: {[_told(run.document) for run in runs]}")
    assert {run.document["verdict"]["ceiling"] for run in runs} == {"memory.cgroup"}
    for capacity in ("hard", "recommended"):
        counts = [run.document["capacity"][capacity]["count"] for run in runs]
        assert min(counts) > 20
        for one, other in combinations(counts, 2):
            assert abs(one - other) <= max(1, 0.01 * max(one, other)), capacity


def _told(document: Document) -> str:
    capacity, verdict = document["capacity"], document["verdict"]
    return f"{capacity['hard']['count']} fit, {capacity['recommended']['count']} recommended, by {verdict['ceiling']}"
