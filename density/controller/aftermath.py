"""What becomes of the reaper once its run is dead: it removes everything of that run, again and again until it is gone.

A program of its own: `python -m density.controller.aftermath RUN BASE INTENT`. What it does is in the run's log. It
is no longer the few MiB that the kernel must never kill (`density.controller.reaper`), so it is protected no more.
"""

import signal
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

import anyio

from density.controller.clean import CleanReport, Site, clean
from density.controller.intent import NEW, Intent, read_intent
from density.errors import DensityError
from density.host.protection import unprotect
from density.leaving import leave
from density.log import NAME as LOG
from density.log import LogFile, logger
from density.threads import in_thread

log = logger("density.controller.aftermath")
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 600.0
"""An engine that was down when the run died may be back by then; what is left after that is for `density clean`."""

END_SECONDS = 300.0
"""After that, for whatever waits for an answer in spite of it; then the kernel ends the process."""


async def remove(run_id: str, base: Path, intent: Path) -> bool:
    """Remove everything of a run that died, asking the engines that its intent names; whether all of it is gone.

    Args:
        base: the runtime base.
        intent: the file that names what the run may have made; it goes once all of that is gone.
    """
    pause = FIRST_PAUSE_SECONDS
    with anyio.move_on_after(PATIENCE_SECONDS):
        while True:
            if await _cleaned(run_id, base):
                for path in (intent, intent.with_suffix(NEW)):
                    await in_thread(partial(path.unlink, missing_ok=True))
                return True
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return False


async def _cleaned(run_id: str, base: Path) -> bool:
    """One attempt, which keeps nobody from starting a run; whether everything of this one is gone."""
    try:
        report = await clean(run_id, site=Site(base=base, lock=None))
    except Exception:
        log.exception("not removed after density died, tried again")
        return False
    _tell(report)
    return not (report.left or report.open or any(part.unavailable for part in report.parts))


def _read(path: Path) -> Intent | None:
    try:
        return read_intent(path) if path.exists() else None
    except DensityError as error:
        log.warning("intent not read", error=str(error))
        return None


def _tell(report: CleanReport) -> None:
    for part in report.parts:
        if part.removed or part.left or part.unavailable:
            log.warning(
                "removed after density died", part=part.name, removed=" ".join(part.removed), left=" ".join(part.left),
                unavailable=part.unavailable, problem=part.problem,
            )  # fmt: skip


def main(run_id: str, base: str, intent: str) -> int:
    """What the program does; its exit code."""
    found = _read(Path(intent))
    with LogFile((found.run_dir if found else Path(base, run_id)) / LOG):
        return 0 if anyio.run(remove, run_id, Path(base), Path(intent)) else 1


def program(run_id: str, base: str, intent: str) -> NoReturn:
    """`main`, and the end of the process, also where a call to an engine never comes back."""
    unprotect()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS + END_SECONDS)
    code = 1
    try:
        code = main(run_id, base, intent)
    finally:
        leave(code)


if __name__ == "__main__":
    program(*sys.argv[1:])
