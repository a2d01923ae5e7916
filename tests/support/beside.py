"""A loop beside a run that forks and starts a program again and again: whether the host can still be worked on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

EVERY_SECONDS = 0.05
LOGIN_EVERY = 40
"""Of so many turns one is a login shell instead: what a person needs who comes to look."""
PROGRAM = """
import json, os, select, sys, time
every, login_every = float(sys.argv[1]), int(sys.argv[2])
forks, logins, refused = [], [], []
print("ready", flush=True)
turn = 0
due = time.monotonic()
while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
    turn += 1
    words = ["/bin/bash", "-lc", "true"] if turn % login_every == 0 else ["/bin/true"]
    began = time.monotonic()
    try:
        pid = os.fork()
        if pid == 0:
            os.execv(words[0], words)
        status = os.waitpid(pid, 0)[1]
        if status:
            refused.append(f"{words[0]} ended with {status}")
    except OSError as error:
        refused.append(str(error))
    (logins if len(words) > 1 else forks).append(time.monotonic() - began)
    due = max(due + every, time.monotonic())
print(json.dumps([forks, logins, refused]))
"""


@dataclass(slots=True)
class Beside:
    """What the loop met with, once it is over.

    Attributes:
        forks, logins: seconds that each took, from before the fork until its end was known.
        refused: forks that the kernel refused, and programs that failed.
    """

    forks: list[float] = field(default_factory=list)
    logins: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def p99(self) -> float:
        """Of the forks, in seconds."""
        ordered = sorted(self.forks)
        return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]

    def __str__(self) -> str:
        worst = max(self.logins, default=0.0)
        return (
            f"{len(self.forks):,} forks, p99 {self.p99() * 1e3:.1f} ms, worst {max(self.forks) * 1e3:.0f} ms;"
            f" {len(self.logins):,} logins, worst {worst * 1e3:.0f} ms; {len(self.refused):,} refused"
        )


@contextmanager
def forking() -> Iterator[Beside]:
    """Fork and start a program every 50 ms from a process of its own, until this is left."""
    found = Beside()
    command = [sys.executable, "-S", "-c", PROGRAM, str(EVERY_SECONDS), str(LOGIN_EVERY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield found
        finally:
            out, _ = process.communicate("end\n")
            found.forks, found.logins, found.refused = json.loads(out)
