"""A run on a Docker daemon that misbehaves, in each of the ways of `support.lying_docker`.

Whatever it answers: no fault of density's own, counts that add up, and an end within a bound.
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import anyio
import anyio.to_thread
import pytest
from engines.contract import short_directory
from support.fake_docker import Answer, Question, Wire
from support.lied_to import AT_ONCE, PROFILE, WORKLOADS, Ended, faults, run_on, run_on_each
from support.lying_docker import ENDPOINTS, EVENTS, MODES, FakeContainer, HonestDocker, LyingDocker

from density import threads
from density.capacity.capacities import capacities
from density.controller.launcher import STREAK
from density.engines.docker import DockerEngine
from density.engines.docker.log import LogFollower
from density.engines.docker.session import Patience
from density.errors import NO_THREAD
from density.ramp.decide import bounds_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Waits are real and short."""
    return "asyncio"


async def test_an_honest_daemon() -> None:
    """The daemon that the others are told from: all ways to be ready work, nothing is left, all endpoints are asked."""
    daemon = HonestDocker()
    with short_directory() as directory:
        ended = await run_on(daemon, directory, patience=Patience())
    assert (ended.code, ended.left, list(faults(ended))) == (0, 0, [])
    assert {name: tally.ready for name, tally in ended.state.workloads.items()} == {w.name: 3 for w in WORKLOADS}
    assert set(daemon.asked) == set(ENDPOINTS)


async def test_every_kind_of_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fault of density's own, exit code 0, 2, 4 or 5, counts that add up, in time; `make torture` has more."""
    short = [mode for mode in MODES if mode.is_short]
    assert len(short) >= 74
    found = await run_on_each(short, monkeypatch)
    assert len(found) == len(short)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


HELD = replace(
    PROFILE,
    workloads=tuple(replace(each, ready_timeout_seconds=4.0) for each in WORKLOADS),
    ramp=replace(PROFILE.ramp, hold_seconds=1.0),
)


def first(daemon: HonestDocker) -> FakeContainer:
    """A container that runs."""
    return next(each for each in daemon.containers.values() if each.running)


async def in_the_hold(daemon: HonestDocker, act: Callable[[HonestDocker], object]) -> Ended:
    """A run to whose daemon this happens in the hold."""
    with short_directory() as directory:
        ended = await run_on(daemon, directory, patience=Patience(silence=1.0), profile=HELD, in_hold=act)
    assert list(faults(ended)) == []
    return ended


async def test_an_end_is_counted_whatever_comes_of_the_events() -> None:
    """One container is killed from outside: it has died, and the others are removed, in each mode of the stream."""
    ended: dict[str, Ended] = {}

    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def one(name: str) -> None:
        mode = next(mode for mode in MODES if mode.name == f"events: {name}")
        async with limiter:
            ended[name] = await in_the_hold(LyingDocker(mode), lambda daemon: daemon.kill(first(daemon)))

    async with anyio.create_task_group() as group:
        for name in EVENTS:
            group.start_soon(one, name)
    for name, found in ended.items():
        assert sum(tally.lost for tally in found.state.workloads.values()) == 1, name
        assert (found.code, found.left) in {(0, 0), (5, 0)}, name


async def test_what_a_daemon_takes_with_it_is_the_engines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another daemon answers, and everything has ended: exit code 5, no ceiling, and at least what ran."""
    pids = [1]
    monkeypatch.setattr(DockerEngine, "_daemon", lambda _: pids[-1])

    def restart(daemon: HonestDocker) -> None:
        for container in daemon.containers.values():
            container.running = False
        pids.append(2)
        daemon.hang_up()

    daemon = HonestDocker()
    ended = await in_the_hold(daemon, restart)
    outcome = ended.state.outcome
    assert outcome is not None
    assert (ended.code, outcome.outcome, outcome.ceiling, ended.left) == (5, "error", "", 0)
    assert {kind for tally in ended.state.workloads.values() for kind in tally.failures} == {"engine"}
    hard = capacities(ended.state, bounds_of(HELD)).hard
    assert (hard.kind, hard.at_least) == ("observed", True)


class Restarted(HonestDocker):
    """From the first removal on it resets every connection for a second, as a daemon does that is restarted."""

    def __init__(self) -> None:
        super().__init__()
        self.away_until = math.inf

    def truth(self, endpoint: str, question: Question) -> Answer:
        """None while it is away."""
        if endpoint == "remove" and self.away_until == math.inf:
            self.away_until = time.monotonic() + 1.0
        is_away = self.asked.get("remove") and time.monotonic() < self.away_until
        return Wire(()) if is_away else super().truth(endpoint, question)


async def test_a_daemon_that_is_restarted_in_the_teardown_is_waited_for() -> None:
    """It hangs up on the first removal and is away for a while: in the end all containers are removed, exit code 0."""
    with short_directory() as directory:
        ended = await run_on(Restarted(), directory, patience=Patience(farewell=0.2))
    assert list(faults(ended)) == []
    assert (ended.code, ended.left, ended.torn.left) == (0, 0, [])


def raising(*_: object, **__: object) -> NoReturn:
    """A fault of density's own."""
    raise ValueError("not enough values to unpack")


async def test_an_end_that_cannot_be_read_is_one_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault amid the reading of how it ended takes no more than that: it has died and is removed, the run goes on."""
    monkeypatch.setattr("density.engines.docker.engine.ending_failure", raising)
    ended = await in_the_hold(HonestDocker(), lambda daemon: daemon.kill(first(daemon)))
    assert [list(tally.failures) for tally in ended.state.workloads.values() if tally.lost] == [["exited"]]
    assert (ended.code, ended.left) == (0, 0)


async def test_an_unhandled_event_is_looked_for_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault while the events are read ends the listening, not the run: what died meanwhile has died."""
    monkeypatch.setattr("density.engines.docker.engine.LISTEN_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("density.engines.docker.feed.meaning_of", raising)
    ended = await in_the_hold(HonestDocker(), lambda daemon: daemon.kill(first(daemon)))
    assert sum(tally.lost for tally in ended.state.workloads.values()) == 1
    assert (ended.code, ended.left) == (0, 0)


@pytest.mark.parametrize("work", ["_look_for_missed", "_note_limits"])
async def test_a_fault_beside_the_launches_ends_no_run(monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    """Neither where events were missed, nor where a limit of an instance is noted."""
    calls: list[str] = []

    async def fail(*_: object) -> NoReturn:
        calls.append(work)
        raising()

    monkeypatch.setattr(DockerEngine, work, fail)
    ended = await in_the_hold(HonestDocker(), HonestDocker.hang_up)
    assert calls
    assert (ended.code, ended.left) == (0, 0)


async def test_launches_without_a_thread_have_failed_by_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses threads that follow logs, but for one: these launches fail as `try_again`, and are gone."""
    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.1)
    really, asked = anyio.to_thread.run_sync, itertools.count()

    async def run_sync(function: Callable[..., object], *arguments: object, **options: Any) -> object:  # noqa: ANN401 — the library's own
        if isinstance(getattr(function, "__self__", None), LogFollower) and next(asked):
            raise RuntimeError(NO_THREAD)
        return await really(function, *arguments, **options)

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_sync)
    log = next(each for each in WORKLOADS if each.ready.by == "log")
    ramp = replace(PROFILE.ramp, start=2 * STREAK, max_instances=20)
    daemon = HonestDocker()
    with short_directory() as directory:
        ended = await run_on(daemon, directory, profile=replace(PROFILE, workloads=(log,), ramp=ramp))
    assert list(faults(ended)) == []
    assert set(ended.state.workloads[log.name].failures) == {"try_again"}
    assert (ended.code, ended.left) == (0, 0)


async def test_what_is_paused_from_outside_has_died() -> None:
    """It works no more, so it is not counted as alive; and it is removed like all others."""
    ended = await in_the_hold(HonestDocker(), lambda daemon: daemon.happened("pause", first(daemon)))
    assert [dict(tally.endings) for tally in ended.state.workloads.values() if tally.lost] == [{"ended (paused)": 1}]
    assert (ended.code, ended.left) == (0, 0)


async def test_what_is_removed_from_outside_has_died() -> None:
    """Nobody can say how it ended, so its exit code is the one of the event."""

    def remove(daemon: HonestDocker) -> None:
        gone = first(daemon)
        del daemon.containers[gone.id]
        daemon.kill(gone)

    ended = await in_the_hold(HonestDocker(), remove)
    assert [dict(tally.endings) for tally in ended.state.workloads.values() if tally.lost] == [{"ended by SIGKILL": 1}]
    assert (ended.code, ended.left) == (0, 0)
