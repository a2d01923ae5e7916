"""Doing something as another user of this host."""

import os
from collections.abc import Callable

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
