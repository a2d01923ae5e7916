"""A process whose calendar clock jumps: `jumping.py SECONDS:BY,... RUNS_DIR PYTHON -m density ARGUMENT...`.

Each jump comes so many seconds after the first record in RUNS_DIR was begun, and moves the clock by so much. No other
process sees it, and no clock of the host is touched.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path


def jumping(jumps: Sequence[tuple[float, float]], runs_dir: Path) -> tuple[str, ...]:
    """What to put before a command of density (`support.running.started(within=...)`)."""
    said = ",".join(f"{after}:{by}" for after, by in jumps)
    return sys.executable, __file__, said, str(runs_dir)


def main() -> int:
    """Run the command line in this process."""
    really = time.time
    jumps = [(float(after), float(by)) for after, by in (each.split(":") for each in sys.argv[1].split(","))]
    runs_dir, began = Path(sys.argv[2]), [0.0]

    def jumped() -> float:
        if not began[0] and any(runs_dir.glob("*/run.sqlite")):
            began[0] = time.monotonic()
        return really() + sum(by for after, by in jumps if began[0] and time.monotonic() - began[0] > after)

    time.time = jumped
    from density.cli import main as density  # noqa: PLC0415 — with this clock from its first import on

    return density(sys.argv[6:])


if __name__ == "__main__":
    sys.exit(main())
