"""Removing what a killed run left goes on until it is gone, or for ten minutes."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from trio.testing import MockClock

from density.controller.aftermath import PATIENCE_SECONDS, remove
from density.controller.clean import CleanReport, Part, Site

RUN = "20260101-000000-0c01"
GONE = CleanReport(parts=(Part(name="docker", removed=("a",)),))
LEFT = CleanReport(parts=(Part(name="docker", left=("a",)),))
DOWN = CleanReport(parts=(Part(name="docker", unavailable="docker: no socket"),))
OPEN = CleanReport(parts=(), open=(RUN,))


def _removed(
    attempts: Sequence[CleanReport | Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[bool, int, float]:
    """Whether it came to an end, attempts, and seconds; the last attempt's outcome repeats itself."""
    made: list[object] = []

    async def clean(*_: object, **__: object) -> CleanReport:
        outcome = attempts[min(len(made), len(attempts) - 1)]
        made.append(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("density.controller.aftermath.clean", clean)
    for name in ("intent.json", "intent.new"):
        (tmp_path / name).touch()

    async def work() -> tuple[bool, float]:
        return await remove(RUN, tmp_path, tmp_path / "intent.json"), anyio.current_time()

    gone, seconds = anyio.run(work, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0.05)})
    return gone, len(made), seconds


@pytest.mark.parametrize("trouble", [LEFT, DOWN, OPEN, RuntimeError("can't start new thread")])
def test_it_tries_again_until_everything_is_gone(
    trouble: CleanReport | Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stood in the way: leftovers, an engine that is down, a fault; then the intent goes as well."""
    assert _removed([trouble, trouble, GONE], tmp_path, monkeypatch)[:2] == (True, 3)
    assert list(tmp_path.iterdir()) == []


def test_it_gives_up_in_the_end_and_keeps_the_intent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that stays away: the pauses grow, and what is left is for `density clean`."""
    gone, attempts, seconds = _removed([DOWN], tmp_path, monkeypatch)
    assert not gone
    assert PATIENCE_SECONDS <= seconds < PATIENCE_SECONDS + 1
    assert 10 < attempts < 40
    assert (tmp_path / "intent.json").exists()


@pytest.mark.anyio
async def test_it_keeps_nobody_from_starting_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever time an engine takes for its answers: the host's lock is not held meanwhile."""
    locks: list[str | None] = []

    async def clean(run_id: str, *, site: Site) -> CleanReport:
        locks.append(site.lock)
        return GONE if run_id == RUN else LEFT

    monkeypatch.setattr("density.controller.aftermath.clean", clean)
    assert await remove(RUN, tmp_path, tmp_path / "intent.json")
    assert locks == [None]


HANGS = """
import sys, time
import anyio
from pathlib import Path
from density import leaving
from density.controller import aftermath

async def clean(*_, **__):
    print(Path("/proc/self/oom_score_adj").read_text().strip(), flush=True)
    with anyio.CancelScope(shield=SHIELD):
        await anyio.to_thread.run_sync(time.sleep, 3600, abandon_on_cancel=True)

aftermath.clean = clean
aftermath.PATIENCE_SECONDS, aftermath.END_SECONDS = 0.2, LATEST
leaving.THREAD_SECONDS = 0.2
aftermath.program(*sys.argv[1:])
"""


def _ended(tmp_path: Path, *, shield: bool, end_seconds: float, badness: int = 0) -> subprocess.CompletedProcess[str]:
    program = HANGS.replace("SHIELD", str(shield)).replace("LATEST", str(end_seconds))
    intent = tmp_path / "intent.json"
    words = [sys.executable, "-c", program, RUN, str(tmp_path), str(intent)]
    begin = ["sh", "-c", 'echo "$0" > /proc/self/oom_score_adj; exec "$@"', str(badness)]
    return subprocess.run([*begin, *words], check=False, timeout=60, capture_output=True, text=True)


def test_it_ends_where_a_call_to_an_engine_never_comes_back(tmp_path: Path) -> None:
    """As what it could not remove everything: the thread that waits for the answer is left behind."""
    assert _ended(tmp_path, shield=False, end_seconds=3600).returncode == 1


def test_the_kernel_ends_it_where_it_cannot_be_cancelled(tmp_path: Path) -> None:
    """A wait that nothing cancels holds it up for some minutes more, and no longer."""
    assert _ended(tmp_path, shield=True, end_seconds=2).returncode == -signal.SIGALRM


@pytest.mark.root
def test_it_may_be_killed_where_memory_runs_out(tmp_path: Path) -> None:
    """The reaper was what the kernel must never kill; the full program, many times as large, is as any other."""
    assert _ended(tmp_path, shield=False, end_seconds=3600, badness=-1000).stdout.split() == ["0"]
