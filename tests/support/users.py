"""Doing something as another user of this host."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534
"""A user without any rights."""


def as_user(user: int, work: Callable[[], object]) -> str:
    """What `work` gives when that user does it in a process of its own, as text; for an error, its class' name."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of ours may run here but the work: no clean-up, no test.
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            said = str(work())
        except BaseException as error:  # noqa: BLE001 — it is what comes back
            said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


_OPENED = """
set -e
closed="$1" python="$2" held="$3" user="$4"; shift 4
if [ -n "$closed" ]; then
    mount --make-rprivate /
    mkdir "$held"
    mount --bind "$python" "$held"
    mount -t tmpfs -o mode=755 opened "$closed"
    mkdir -p "$python"
    mount --bind "$held" "$python"
    umount "$held"
    rmdir "$held"
fi
exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
"""
"""Where Python is in a directory that is closed to others, such as root's home, a mount namespace opens it."""


def within_user(user: int, home: Path) -> list[str]:
    """A command that runs another one as this user, who has everything of their own below `home` (made here).

    Python itself can be run there, wherever it is installed.
    """
    runtime = home / "run"
    runtime.mkdir(mode=0o700, parents=True)
    for path in (home, runtime):
        os.chown(path, user, user)
    python = Path(sys.base_prefix)
    closed = next((each for each in reversed(python.parents) if not each.stat().st_mode & stat.S_IXOTH), None)
    surroundings = {"HOME": home, "XDG_RUNTIME_DIR": runtime, "PYTHONDONTWRITEBYTECODE": "1"}
    unset = [word for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "DENSITY_RUNS_DIR") for word in ("-u", name)]
    entered = ["unshare", "--mount", "sh", "-c", _OPENED, "opened", str(closed or ""), str(python)]
    environment = [f"{name}={value}" for name, value in surroundings.items()]
    return [*entered, f"{home}/.held", str(user), "env", *unset, *environment]
