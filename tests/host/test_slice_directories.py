"""Killing what lives in a cgroup, where not all of it may be killed."""

import errno
import os
from pathlib import Path

import pytest

from density.host.slice_directories import end_processes


def test_a_process_of_someone_else_s_spares_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cgroup that was delegated to a user; one that has ended meanwhile neither. Only what was killed counts."""
    refused = {11: errno.EPERM, 13: errno.ESRCH}
    asked: list[int] = []

    def kill(pid: int, _: int) -> None:
        asked.append(pid)
        if pid in refused:
            raise OSError(refused[pid], os.strerror(refused[pid]))

    monkeypatch.setattr("os.kill", kill)
    below = tmp_path / "slice" / "processes"
    below.mkdir(parents=True)
    (below.parent / "cgroup.procs").write_text("11\n12\n")
    (below / "cgroup.procs").write_text("13\n14\n")
    assert end_processes([tmp_path / "slice"]) == 2
    assert asked == [11, 12, 13, 14]
