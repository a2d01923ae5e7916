"""psutil, pointed at the /proc of a host that may be a recorded one.

`psutil.PROCFS_PATH` is state of the module: it is set under a lock, for the length of one call, and put back. Only
files that the kernel answers at once are read under the lock; what may hang (`statvfs`) needs no /proc.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from density.host.reading import Unavailable

_LOCK = threading.RLock()

# psutil warns on standard error, at every call, of fields that an old kernel lacks; it reads them as 0, none is used.
warnings.filterwarnings("ignore", message=".* stats couldn't be determined", category=RuntimeWarning)


@contextmanager
def procfs(root: Path) -> Iterator[None]:
    """Within this, psutil reads the /proc below `root`; what it cannot read there is `Unavailable`.

    Raises:
        Unavailable: a file is missing, may not be read, or the process ended.
    """
    with _LOCK:
        before = psutil.PROCFS_PATH
        psutil.PROCFS_PATH = str(root / "proc")
        try:
            yield
        except psutil.NoSuchProcess as error:
            raise Unavailable(f"{root / 'proc' / str(error.pid)}: No such process") from error
        except psutil.AccessDenied as error:
            raise Unavailable(f"{root / 'proc' / str(error.pid)}: {os.strerror(13)}") from error
        except OSError as error:
            raise Unavailable(f"{error.filename or root / 'proc'}: {error.strerror}") from error
        finally:
            psutil.PROCFS_PATH = before


def process_id(pid: int | str, root: Path) -> int:
    """The number of a process; `self` is this one, or the one that recorded the host.

    Raises:
        Unavailable: nothing was recorded.
    """
    if pid != "self":
        return int(pid)
    try:
        return int((root / "proc/self").readlink().name)
    except OSError as error:
        raise Unavailable(f"{root / 'proc/self'}: {error.strerror}") from error
