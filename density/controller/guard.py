"""What a run has around it: its lock, its intent on disk, and the reaper that removes what a killed run leaves."""

import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import anyio

import density
from density.controller import reaper
from density.controller.data import data_path
from density.controller.intent import Place, declare, fulfil, intent_of, intent_path
from density.controller.paths import RunLock
from density.controller.reaper import DONE
from density.host.processes import wait_for_end
from density.log import logger
from density.payload.background import background
from density.profile.spec import Profile
from density.threads import in_thread

log = logger(__name__)
NOT_STARTED = "the reaper, which removes what a killed run leaves, could not be started"
ENDED = "the reaper, which removes what a killed run leaves, was killed"
AGAIN = "it is started again; a run that is killed before that leaves everything to: density clean"
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
_END_SECONDS = 5.0


@dataclass(slots=True)
class Guard:
    """What a run has for itself.

    Attributes:
        reaper: watches it.
        directory: its runtime directory.
        data_dir: where it may keep what grows; not made yet.
        all_gone: set once everything that the run made is known to be gone.
        abandoned: set where its teardown was given up, or an engine could not be asked any more, so that the reaper
            carries it through.
    """

    reaper: "Reaper"
    directory: Path
    data_dir: Path
    all_gone: bool = False
    abandoned: bool = False


@asynccontextmanager
async def guarded(
    profile: Profile, *, run_id: str, run_dir: Path, beside: Sequence[Place] = ()
) -> AsyncGenerator[Guard]:
    """For as long as a run may make anything: locked, declared, and with a reaper that survives it.

    Left with `all_gone`, nothing of it stays. Left without, the intent stays for `density clean`. Left with `abandoned`
    or by an exception, or not at all, the reaper removes everything after the lease.

    Args:
        run_dir: where its results go.
        beside: engines that it may ask beside those of the profile.

    Raises:
        UsageError: the run's id is taken, or its intent cannot be kept; nothing was made.
    """
    lock = RunLock(run_id)
    async with Reaper(run_id, lock.directory.parent, lease_seconds=profile.lease_seconds) as watched:
        with lock:
            guard = Guard(watched, lock.directory, data_path(run_id, profile.endpoints.data))
            directories = [guard.directory, guard.data_dir]
            intent = intent_of(profile, run_id=run_id, run_dir=run_dir, directories=directories, beside=beside)
            await in_thread(declare, intent)
            watched.needed = True
            yield guard
        if guard.all_gone and not any(directory.exists() for directory in directories):
            try:
                fulfil(run_id)
            except OSError as error:
                log.warning("intent not removed", run=run_id, error=str(error))
        watched.needed = guard.abandoned


class Reaper:
    """Starts the reaper of a run when entered, and another where that one is killed; see `density.controller.reaper`.

    Attributes:
        pid: of the reaper; 0 while there is none.
        needed: left with this set, the reaper takes it for the run's death.
    """

    def __init__(self, run_id: str, base: Path, *, lease_seconds: float) -> None:
        """`base`: the runtime base."""
        self._words = [run_id, f"{lease_seconds:g}", str(base), str(intent_path(run_id))]
        self._pipe = -1
        self._open = AsyncExitStack()
        self._problems: dict[str, str] = {}
        self._hear: Callable[[str], None] | None = None
        self.pid = 0
        self.needed = False

    @contextmanager
    def telling(self, hear: Callable[[str], None]) -> Generator[None]:
        """Tell of a run that has no reaper, once of each kind of reason; at once of what was before."""
        for problem in self._problems.values():
            hear(problem)
        self._hear = hear
        try:
            yield
        finally:
            self._hear = None

    async def __aenter__(self) -> Self:
        await self._start()
        await self._open.enter_async_context(background(self._keep))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.__aexit__(kind, error, trace)
        with anyio.CancelScope(shield=True):
            if not self.pid:
                return
            if not self.needed:
                with suppress(OSError):
                    os.write(self._pipe, DONE)
            os.close(self._pipe)
            if not self.needed:
                with anyio.move_on_after(_END_SECONDS):
                    await wait_for_end(self.pid)
                self._bury(os.WNOHANG)

    async def _start(self) -> None:
        with anyio.CancelScope(shield=True):  # or nobody would hold the pipe of what was just started
            try:
                self.pid, self._pipe = await in_thread(_spawn, self._words)
            except OSError as error:
                log.warning("reaper not started, tried again", error=str(error))
                self._tell(NOT_STARTED, str(error))

    async def _keep(self) -> NoReturn:
        pause = FIRST_PAUSE_SECONDS
        while True:
            if self.pid:
                await wait_for_end(self.pid)
                status = self._bury(0)
                log.warning("reaper killed, another is started", pid=self.pid, status=status)
                self._tell(ENDED, f"status {status}")
                os.close(self._pipe)
                self.pid = 0
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            await self._start()

    def _tell(self, what: str, why: str) -> None:
        if what not in self._problems:
            self._problems[what] = f"{what} ({why}); {AGAIN}"
            if self._hear:
                self._hear(self._problems[what])

    def _bury(self, options: int) -> int:
        with suppress(ChildProcessError):
            return os.waitpid(self.pid, options)[1]
        return 0


def _spawn(words: Sequence[str]) -> tuple[int, int]:
    """Start a reaper: its pid, and the end of the pipe that it waits on. Every descriptor of Python's is closed in it.

    Raises:
        OSError: no process or descriptor is to be had.
    """
    path = os.pathsep.join(filter(None, [str(Path(density.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    theirs, ours = os.pipe()
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", reaper.__file__, *words],
            {**os.environ, "PYTHONPATH": path},
            file_actions=actions,
            setsid=True,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return pid, ours
