"""One run at a time on a host: a lock that the kernel lets go of when its holder ends, and who holds it.

Two runs would measure each other. The lock is a name in the kernel's abstract namespace of unix sockets, which is the
same for every user of the host, can be taken once, has no file that a crash leaves or another user removes, and tells
by the kernel's own word which process took it. A host's network namespaces have a lock each, as containers do.
"""

import errno
import os
import pwd
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from density.errors import UsageError
from density.model import RUN_ID

NAME = "density"
CLEANING = "clean"
"""What a clean-up holds the lock for, in place of a run's id."""
_TABLE = Path("/proc/net/unix")
_CREDENTIALS = struct.Struct("3i")
"""`struct ucred`: pid, uid, gid."""
_SAID = re.compile(rf"\d+/(\d{{1,12}})/({RUN_ID.pattern}|{CLEANING})/([a-z0-9-]*)", re.ASCII)
"""What the holder says of itself: `PID/SINCE/RUN/PROFILE`; anything else is a stranger's, and not repeated."""
_MOST_BYTES = 100
"""Of a name; the kernel takes 107."""
_QUEUE = 4096
"""Connections are looked at by the kernel alone and never accepted: so many may ask who holds the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock.

    Attributes:
        pid, uid: of the process that took it, as the kernel says; 0 and -1 where it does not say.
        run_id: of its run, or `clean`; empty where it does not say, such as because it is no density.
        profile: of its run.
        since: UNIX seconds.
    """

    pid: int = 0
    uid: int = -1
    run_id: str = ""
    profile: str = ""
    since: float = 0.0

    @property
    def words(self) -> str:
        """`run 20261130-122346-1b79 (containers), since 12:23:46 UTC, by process 1234 of root`."""
        what = "a `density clean`" if self.run_id == CLEANING else f"run {self.run_id}" if self.run_id else "something"
        profile = f" ({self.profile})" if self.profile else ""
        since = f", since {time.strftime('%H:%M:%S', time.gmtime(self.since))} UTC" if self.since else ""
        by = f", by process {self.pid} of {_user(self.uid)}" if self.pid else ""
        return f"{what}{profile}{since}{by}"


@contextmanager
def try_lock(run_id: str, *, profile: str = "", name: str = NAME) -> Iterator[Holder | None]:
    """Hold the lock until left, if nobody else does.

    Args:
        run_id: what to say it is held for; a run's id, or `CLEANING`.
        profile: of that run.
        name: of the lock.

    Yields:
        None where it is held now; else who holds it.
    """
    with ExitStack() as stack:
        lock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        holder: Holder | None = None
        try:
            _bind(lock, name)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            holder = find_holder(name)
        else:
            said = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            words = f"{name}/{os.getpid()}/{time.time():.0f}/{run_id}/{profile}"
            with suppress(OSError):  # taken by a stranger: the lock holds, and says less
                _bind(said, words.encode()[:_MOST_BYTES].decode(errors="ignore"))
        yield holder


@contextmanager
def only_run(run_id: str, *, profile: str, name: str = NAME) -> Iterator[None]:
    """Hold the lock for a run until left.

    Raises:
        UsageError: somebody else holds it; says who.
    """
    with try_lock(run_id, profile=profile, name=name) as holder:
        if holder and holder.run_id == CLEANING:
            raise UsageError(f"{holder.words}, is going on; start the run when it is done")
        if holder:
            raise UsageError(
                f"one run at a time on a host, or they would measure each other: {holder.words}, is going on;"
                " wait until it is over, or end it"
            )
        yield


def find_holder(name: str = NAME, *, table: Path = _TABLE) -> Holder:
    """Who holds the lock; what it says of itself counts only where it is the process that the kernel names."""
    pid, uid = _listener(name)
    for said in parse_names(_read(table), name):
        found = _SAID.fullmatch(said.removeprefix(f"{name}/"))
        if pid and found and _listener(said) == (pid, uid):
            since, run_id, profile = found.groups()
            return Holder(pid=pid, uid=uid, run_id=run_id, profile=profile, since=float(since))
    return Holder(pid=pid, uid=uid)


def parse_names(text: str, name: str) -> tuple[str, ...]:
    """The abstract names below this one in the kernel's table of unix sockets (`/proc/net/unix`), each once."""
    fields = (line.split(maxsplit=7) for line in text.splitlines())
    found = (words[7] for words in fields if len(words) == 8 and words[7].startswith(f"@{name}/"))
    return tuple(dict.fromkeys(each.removeprefix("@").rstrip() for each in found))


def _bind(lock: socket.socket, name: str) -> None:
    lock.bind(f"\0{name}")
    lock.listen(_QUEUE)


def _listener(name: str) -> tuple[int, int]:
    """Pid and uid of the process that listens at an abstract name; 0 and -1 where the kernel does not say."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(0)
            asking.connect(f"\0{name}")
            pid, uid, _ = _CREDENTIALS.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError:
        return 0, -1
    return pid, uid


def _read(table: Path) -> str:
    try:
        return table.read_text(errors="replace")
    except OSError:
        return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"
