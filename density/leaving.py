"""The end of a process, also where a call in one of its threads never comes back."""

import os
import sys
import threading
from typing import NoReturn

THREAD_SECONDS = 5.0
"""For a thread that still does something when all is done."""


def leave(code: int) -> NoReturn:
    """End this process with an exit code: as Python does, but for threads that do not end, for which it would wait."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(THREAD_SECONDS)
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
    sys.exit(code)
