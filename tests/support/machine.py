"""A model of runs that begin, go on, crash and are cleaned up in any order, and what must hold of their records.

The bus, the fold, the record on disk, locks, intents and the clean-up are the real ones; the engine holds names alone.
"""

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.leftovers import FakeEngine, site
from support.whole_record import flaws

from density.controller.bus import Bus
from density.controller.clean import CleanReport, Site, clean
from density.controller.intent import Place, declare, declared, fulfil, intent_of
from density.controller.paths import RunLock
from density.events import InstanceChanged, RunStarted, StageEntered, TornDown
from density.model import Failure, Phase, Workload, object_name
from density.profile.spec import Profile
from density.record import RecordWriter, replay
from density.state import RunState

DOCKER = Place("docker", "unix:///var/run/docker.sock")
WORKLOADS = (Workload(name="web", engine="docker"), Workload(name="db", engine="docker"))
GONE = (Phase.FAILED, Phase.LOST, Phase.REMOVED)
MOST = 12


@dataclass
class Life:
    """A run that goes on: its parts, and what the host holds for it."""

    run_id: str
    bus: Bus
    writer: RecordWriter
    parts: ExitStack
    held: list[str] = field(default_factory=list)
    at: float = 0.0
    flushed: int = 0


class Runs(RuleBasedStateMachine):
    """At most one run at a time, as on a host; dead ones pile up until they are cleaned."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="density-machine-"))
        self.patch = pytest.MonkeyPatch()
        for module in ("data", "intent"):
            self.patch.setattr(f"density.controller.{module}.state_dir", lambda: self.directory / "state")
        self.patch.setattr("density.controller.clean.cache_dir", lambda: self.directory / "cache")
        self.engine = FakeEngine({})
        self.site: Site = site(self.directory, self.engine)
        self.exits = ExitStack()
        self.portal: BlockingPortal = self.exits.enter_context(start_blocking_portal())
        self.life: Life | None = None
        self.numbers = 0
        self.dead: set[str] = set()
        """Runs whose process is gone, and which left something."""

    def teardown(self) -> None:
        if self.life:
            self._let_go(self.life)
        self.exits.close()
        self.patch.undo()
        shutil.rmtree(self.directory)

    @precondition(lambda self: self.life is None)
    @rule()
    def begin(self) -> None:
        """A lock, an intent on disk, a record with its first event."""
        self.numbers += 1
        run_id = f"20260101-000000-{self.numbers:04x}"
        parts = ExitStack()
        lock = parts.enter_context(RunLock(run_id, base=self.directory / "base"))
        profile = Profile(name="p", workloads=WORKLOADS)
        run_dir = self._run_dir(run_id)
        run_dir.mkdir(parents=True)
        declare(intent_of(profile, run_id=run_id, run_dir=run_dir, directories=[lock.directory], beside=[DOCKER]))
        writer = RecordWriter(run_dir / "run.sqlite", tick_seconds=600)
        parts.enter_context(self.portal.wrap_async_context_manager(writer))
        self.life = Life(run_id, Bus(RunState(), [writer]), writer, parts)
        self._emit(RunStarted(0.0, run_id, 1.7e9, "0", "p", "safe", WORKLOADS, MOST))

    @precondition(lambda self: self.life and len(self.life.bus.state.instances) < MOST)
    @rule(workload=st.sampled_from(WORKLOADS))
    def launch(self, workload: Workload) -> None:
        """The record knows of it before the engine does."""
        assert self.life
        instance_id = f"{workload.name}-{len(self.life.bus.state.instances) + 1:05d}"
        self._change(instance_id, workload.name, Phase.REQUESTED)
        self.life.held.append(object_name(self.life.run_id, instance_id))
        self.engine.held[self.life.run_id] = self.life.held

    @precondition(lambda self: self.life and self.life.bus.state.instances)
    @rule(which=st.integers(0, MOST), phase=st.sampled_from(Phase), why=st.sampled_from(["exited", "timeout", ""]))
    def report(self, which: int, phase: Phase, why: str) -> None:
        """The engine reports anything of any instance: in order, out of it, twice, or after its end."""
        assert self.life
        instances = list(self.life.bus.state.instances.items())
        instance_id, instance = instances[which % len(instances)]
        failure = Failure(why, why) if why and phase in (Phase.FAILED, Phase.LOST) else None
        before = instance.phase
        self._change(instance_id, instance.workload, phase, failure)
        assert before not in GONE or instance.phase is before, "it has ended once, for good"

    @precondition(lambda self: self.life)
    @rule()
    def tick(self) -> None:
        """The record is flushed; what is in it now survives a crash."""
        assert self.life
        self.portal.call(self.life.writer.flush)
        self.life.flushed = sum(self.life.writer._written.values())

    @precondition(lambda self: self.life)
    @rule(carried_through=st.booleans())
    def end(self, *, carried_through: bool) -> None:
        """The run ends in order: everything is removed, or something is left, and it says so."""
        assert self.life
        life, state = self.life, self.life.bus.state
        self._emit(StageEntered(life.at, "teardown"))
        for instance_id, instance in list(state.instances.items()):
            if instance.phase not in GONE and carried_through:
                self._change(instance_id, instance.workload, Phase.REMOVED)
        left = () if carried_through else tuple(life.held)
        if carried_through:
            life.held.clear()
        self._emit(TornDown(life.at, len(state.instances), left, 0.0))
        self._emit(StageEntered(life.at, "done"))
        self._let_go(life)
        run_dir = self._run_dir(life.run_id)
        if carried_through:
            assert flaws(run_dir) == []
            self.engine.held.pop(life.run_id, None)
            fulfil(life.run_id)
        else:
            self.dead.add(life.run_id)
        assert repr(vars(replay(run_dir / "run.sqlite"))) == repr(vars(state)), "what is read is what was"

    @precondition(lambda self: self.life)
    @rule()
    def crash(self) -> None:
        """The process is gone: its record is what was on the disk, its lock is free, and everything else stays."""
        assert self.life
        life, run_dir = self.life, self._run_dir(self.life.run_id)
        kept = run_dir.with_name("kept")
        shutil.copytree(run_dir, kept)
        self._let_go(life)
        (self.directory / "base" / life.run_id).mkdir(exist_ok=True)
        (self.directory / "base" / life.run_id / "lock").touch()
        shutil.rmtree(run_dir)
        kept.rename(run_dir)
        self.dead.add(life.run_id)
        self._reopen(life.run_id, least=life.flushed)

    @rule(of_one=st.booleans(), which=st.integers(0, 9))
    def clean(self, *, of_one: bool, which: int) -> None:
        """It finds what dead runs left, all of it and nothing else; a second one finds nothing."""
        names = sorted(self.dead)
        run_id = names[which % len(names)] if of_one and names else None
        wanted = {run_id} if run_id else set(names)
        expected = sorted(name for run in wanted for name in self.engine.held.get(run, []))
        report = self._clean(run_id)
        engine = next((part for part in report.parts if part.name == "docker"), None)
        assert sorted(engine.removed if engine else ()) == expected
        assert (report.left, report.open) == ((), ())
        assert set(report.spared) <= ({self.life.run_id} if self.life else set())
        for run in wanted:
            self.dead.remove(run)
            assert run not in declared()
            assert not (self.directory / "base" / run).exists()
        if not self.dead:
            assert not any(part.removed for part in self._clean(None).parts)

    @invariant()
    def counts_add_up(self) -> None:
        """Of the run that goes on: launches, ready ones, and what became of them."""
        if self.life is None:
            return
        state = self.life.bus.state
        for workload in state.workloads.values():
            assert workload.launched == workload.ready + workload.failed
            assert workload.ready == workload.alive + workload.lost + workload.stepped_back
            assert min(workload.alive, workload.lost, workload.stepped_back, workload.failed) >= 0
        assert state.in_flight >= 0
        counted = sum(sum(counts.values()) for counts in state.counts.values())
        assert counted == len(state.instances) == len(self.life.held)

    @invariant()
    def live_runs_keep_their_things(self) -> None:
        """Whatever was cleaned meanwhile."""
        if self.life and self.life.held:
            assert self.engine.held[self.life.run_id] == self.life.held
        if self.life:
            assert self.life.run_id in declared()

    def _clean(self, run_id: str | None) -> CleanReport:
        async def work() -> CleanReport:
            return await clean(run_id, where=[DOCKER], site=self.site)

        return anyio.run(work)

    def _change(self, instance_id: str, workload: str, phase: Phase, failure: Failure | None = None) -> None:
        assert self.life
        self.life.at += 1.0
        self._emit(InstanceChanged(self.life.at, instance_id, workload, phase, failure))

    def _emit(self, event: RunStarted | InstanceChanged | StageEntered | TornDown) -> None:
        assert self.life
        self.portal.call(self.life.bus.emit, event)

    def _let_go(self, life: Life) -> None:
        life.parts.close()
        self.life = None

    def _reopen(self, run_id: str, *, least: int) -> None:
        path = self._run_dir(run_id) / "run.sqlite"
        state = replay(path)
        assert bool(state.run_id) is (least > 0)
        for workload in state.workloads.values():
            assert workload.launched == workload.ready + workload.failed
            assert workload.ready == workload.alive + workload.lost + workload.stepped_back
        assert flaws(path.parent) == []

    def _run_dir(self, run_id: str) -> Path:
        return self.directory / "runs" / run_id
