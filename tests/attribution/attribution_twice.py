"""Two `safe` runs of one profile on a quiet host come to the same numbers."""

from pathlib import Path

import pytest
from support.running import timed_run

PROFILE = """
name = "twice"

[ramp]
start = 8
factor = 2.0
until = "safe"
settle = "2s"
hold = "3s"

[slice]
{slice}

[workloads.one]
{workload}
"""
SUBJECTS = {
    "containers": ('memory = "1GiB"', 'engine = "docker"\ntouch = "4MiB"'),
    "null-guests": ('memory = "2GiB"', 'engine = "libvirt"\nguest = "null"'),
    "native": ("tasks = 400", 'engine = "native"'),
}


@pytest.mark.docker
@pytest.mark.libvirt
@pytest.mark.root
@pytest.mark.parametrize("subject", SUBJECTS)
def test_two_safe_runs_agree(subject: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What fits and what is recommended differ by 1 % or one instance at most; both name the same ceiling."""
    table, workload = SUBJECTS[subject]
    profile = tmp_path / "twice.toml"
    profile.write_text(PROFILE.format(slice=table, workload=workload))
    first, second = (timed_run(profile, tmp_path / f"runs{number}").document for number in (1, 2))
    with capsys.disabled():
        print(f"\n{subject}: {[_told(document) for document in (first, second)]}")
    assert first["verdict"]["ceiling"] == second["verdict"]["ceiling"]
    for capacity in ("hard", "recommended"):
        counts = [document["capacity"][capacity]["count"] for document in (first, second)]
        assert counts[0] > 20
        assert abs(counts[0] - counts[1]) <= max(1, 0.01 * max(counts)), capacity


def _told(document: dict[str, object]) -> str:
    capacity, verdict = document["capacity"], document["verdict"]
    assert isinstance(capacity, dict)
    assert isinstance(verdict, dict)
    return f"{capacity['hard']['count']} fit, {capacity['recommended']['count']} recommended, by {verdict['ceiling']}"
