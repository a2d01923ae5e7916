"""The reaper: a small process beside a run that outlives a density that was killed, to remove what it had made.

It is run as a script, by a bare interpreter (`python -I -S`), and imports nothing but what such a one has loaded
anyway: 9 MiB resident, of which 4 MiB are its own. It sleeps in a read of a pipe whose other end only
the run holds. `done` on it is the end of a run that removed everything by itself. The end of the pipe without that is
the run's death: then what it made may live on for the lease, and after it `density.controller.aftermath` takes this
process's place, which needs no fork, and removes the rest.

It has a session of its own, so that Ctrl-C and a closed terminal do not reach it, holds no lock, terminal or
directory, is in no cgroup of the run, and is the last that the kernel kills for want of memory where that is allowed.
"""

import os
import signal
import sys
import time

DONE = b"done"
_INPUT = 0
_PAUSE_SECONDS = 5.0


def watch(run_id: str, lease: str, base: str, intent: str) -> None:
    """Wait for the end of a run, and remove what it leaves where it dies.

    Args:
        run_id: of the run.
        lease: seconds that what it made may live on.
        base: the runtime base; intent: the file that names what the run makes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")
    os.closerange(_INPUT + 3, os.sysconf("SC_OPEN_MAX"))  # what whoever started density had open
    _protect()
    if _last_words() == DONE:
        return
    time.sleep(float(lease))
    while os.path.lexists(intent) or any(run_id in name for name in _names(base)):
        _become(run_id, base, intent)
        time.sleep(_PAUSE_SECONDS)


def _become(*words: str) -> None:
    """Be the full program from now on; comes back where the host has no memory or descriptor for it."""
    try:
        os.execv(sys.executable, [sys.executable, "-P", "-m", "density.controller.aftermath", *words])  # noqa: S606
    except OSError:
        return


def _protect() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 — pathlib is not loaded here
            file.write("-1000")
    except OSError:
        return  # for root alone; what is this small is seldom picked


def _last_words() -> bytes:
    words = b""
    while said := os.read(_INPUT, len(DONE)):
        words += said
    return words


def _names(base: str) -> list[str]:
    try:
        return os.listdir(base)  # noqa: PTH208 — pathlib is not loaded here
    except OSError:
        return []


if __name__ == "__main__":
    watch(*sys.argv[1:])
