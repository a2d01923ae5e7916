"""How the kernel is told whom to kill first and last, and what stays in memory."""

import subprocess
from pathlib import Path

import pytest

from density.host.protection import OWN_BADNESS, VICTIMS_BADNESS, expose, protected


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def _badness() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


@pytest.mark.root
def test_pages_are_locked_while_it_lasts_and_no_more_than_there_were() -> None:
    """Everything is locked as it comes to be used: at most a few MiB come in at once, and nothing stays locked."""
    before = _status("VmRSS")
    with protected():
        assert _status("VmLck") > before
        assert _status("VmRSS") < before + 8 * 1024
    assert _status("VmLck") == 0


def test_the_badness_comes_back() -> None:
    """Lowered where that is allowed, and as before afterwards; where it is not allowed, nothing happens."""
    before = _badness()
    with protected():
        assert _badness() in {OWN_BADNESS, before}
    assert _badness() == before


def test_without_the_right_to_lock_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit, what needs memory later would fail at it: an ordinary user's pages stay as they are."""
    monkeypatch.setattr("density.host.protection._may_lock", lambda: False)
    with protected():
        assert _status("VmLck") == 0


def test_an_ordinary_user_needs_no_right_to_expose_what_is_his() -> None:
    """A child of any user's can be made the first to be killed."""
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            assert expose(child.pid)
            assert Path(f"/proc/{child.pid}/oom_score_adj").read_text().strip() == str(VICTIMS_BADNESS)
        finally:
            child.kill()
    assert not expose(child.pid)
