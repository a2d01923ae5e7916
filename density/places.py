"""Directories that nobody else can put theirs in place of, wherever they are: in /tmp too, and in a home of others."""

import os
import stat
from pathlib import Path

from density.errors import UsageError

_WHO = "move it, or name another place"


def own_directory(path: Path, mode: int) -> None:
    """Make a directory of this user's with this mode, or make sure that it is one, and set its mode.

    The directory is looked at once it is open, so that a link which somebody puts there in between leads nowhere.

    Raises:
        UsageError: it is someone else's, no directory, or in a place where others could replace it.
        OSError: it cannot be made.
    """
    refuse_shared(path.parent)
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError as error:  # what the kernel says of a link, too
        raise UsageError(f"{path} is no directory of its own; {_WHO}") from error
    try:
        if os.fstat(directory).st_uid != os.geteuid():
            raise UsageError(f"{path} belongs to someone else; {_WHO}")
        if stat.S_IMODE(os.fstat(directory).st_mode) != mode:
            os.fchmod(directory, mode)
    finally:
        os.close(directory)


def refuse_shared(path: Path) -> None:
    """Make sure that nobody else can put something else where this path leads; what is not there yet is fine.

    Where everybody may write, such as in /tmp, what has a name has to be ours, root's, or of who became root by sudo;
    and nobody may give another's things new names there.

    Raises:
        UsageError: somebody could; it says where.
        OSError: it cannot be looked at.
    """
    trusted = {0, os.geteuid(), *invoker()[:1]}
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 — of a path that may have links, which are to be seen
    open_to_all = False
    for each in (*reversed(absolute.parents), absolute):
        try:
            found = each.lstat()
        except FileNotFoundError:
            return
        if open_to_all and found.st_uid not in trusted:
            raise UsageError(f"{each} is someone else's, in a directory that everybody may write to; {_WHO}")
        mode = each.stat().st_mode
        open_to_all = bool(mode & stat.S_IWOTH)
        if open_to_all and not mode & stat.S_ISVTX:
            raise UsageError(f"everybody may replace what is in {each}; {_WHO}, or: chmod +t {each}")


def invoker() -> tuple[int, int] | tuple[()]:
    """User and group of who became root by sudo; nothing where nobody did."""
    try:
        return (int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])) if os.geteuid() == 0 else ()
    except (KeyError, ValueError):
        return ()


def hand_over(directory: Path) -> None:
    """Give a directory with all that is in it to who became root by sudo, so that they need no root to read it.

    Raises:
        OSError: it cannot be given away.
    """
    owner = invoker()
    if not owner:
        return
    for _, names, files, opened in os.fwalk(directory, topdown=False, follow_symlinks=False):
        for name in (*names, *files):
            os.chown(name, *owner, dir_fd=opened, follow_symlinks=False)
    os.chown(directory, *owner, follow_symlinks=False)
