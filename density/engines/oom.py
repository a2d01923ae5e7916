"""Whether the kernel killed for want of memory: in the slice where there is one, else anywhere on the host."""

from contextlib import suppress
from pathlib import Path

from density.host.hierarchies import find_hierarchies
from density.host.oom import OomCounter, parse_oom_kills
from density.host.reading import Unavailable
from density.model import Placement

_HOST = Path("/proc/vmstat")


class OomKills:
    """Kills since this was made; each explains one death, so that what a person killed is not put down to memory."""

    def __init__(self, placement: Placement | None, *, root: Path = Path("/")) -> None:
        self._counter: OomCounter | None = None
        self._file = root / _HOST.relative_to("/")
        directory = _memory_directory(placement, root) if placement else None
        if directory and (directory / "memory.events").exists():
            self._file = directory / "memory.events"
        elif directory:
            with suppress(Unavailable):  # the host's count it is, then
                self._counter = OomCounter(directory)
        self._spent = self._read()

    def spend(self) -> bool:
        """Whether there was a kill that no death has been put down to yet; it is now."""
        if self._read() <= self._spent:
            return False
        self._spent += 1
        return True

    def _read(self) -> int:
        if self._counter:
            return self._counter.read()
        try:
            return parse_oom_kills(self._file.read_text())
        except OSError:
            return 0


def _memory_directory(placement: Placement, root: Path) -> Path | None:
    """The slice's own directory in the hierarchy that accounts memory."""
    hierarchies = find_hierarchies(root)
    if not hierarchies or "memory" not in hierarchies[0].controllers:
        return None
    home = hierarchies[0].directory
    for file in map(Path, placement.procs_files):
        if home in file.parents:
            return home / file.relative_to(home).parts[0]
    return None
