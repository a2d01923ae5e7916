"""What engines do not list of a dead run's containers: shims that outlived them, and mounts that stayed.

Which containers those were is in the run's record and in its slice. Engines are asked first, and remove what they list
with all that belongs to it: only what is there after that, of a run of which no engine lists anything any more, has
lost its engine. Mounts are named and never unmounted, because the engine that made them may still count on them.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from density.controller.intent import Intent
from density.controller.paths import RECORD
from density.errors import RecordError
from density.host.container_mounts import SHORT, in_slice, mounted, names_of
from density.threads import in_thread

MOUNT_SECONDS = 5.0
"""For mounts to go, a moment after what was mounted there."""
_LOOK_SECONDS = 0.25
_SHORT = re.compile(rf"[0-9a-f]{{{SHORT}}}")


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers that a dead run had.

    Attributes:
        ids: the first 12 letters of each.
        names: what their mounts are named after.
    """

    ids: Collection[str]
    names: Collection[str]


def containers_of(runs: Iterable[str], intents: Mapping[str, Intent], root: Path) -> dict[str, Containers]:
    """Those that these runs had, as far as it can be known. Blocks."""
    found = {}
    for run_id in runs:
        intent = intents.get(run_id)
        if ids := in_slice(run_id, root) | (_on_record(intent) if intent else set()):
            found[run_id] = Containers(ids, names_of(ids, root))
    return found


async def end_shims_of(containers: Mapping[str, Containers], *, root: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """End the shims of these runs' containers, once they had time to end by themselves.

    Returns:
        Which there were and are no more; and which are left: words -> run.
    """
    # Here, because it imports Docker's SDK, of which a run without containers needs nothing.
    from density.engines.docker.shims import end_shims, find_shims, in_words  # noqa: PLC0415

    proc = root / "proc"
    runs = {each: run_id for run_id, those in containers.items() for each in those.ids}
    shims = await in_thread(partial(find_shims, runs, proc=proc))
    names = {each: f"container {each[:SHORT]} of run {runs[each[:SHORT]]}" for each in shims.values()}
    left = await end_shims(names, proc=proc)
    words = {in_words(pid, names[each]): runs[each[:SHORT]] for pid, each in sorted(shims.items())}
    return tuple(each for each in words if each not in left), {each: words[each] for each in left if each in words}


async def mounts_of(containers: Mapping[str, Containers], *, root: Path) -> dict[str, str]:
    """Mounts of these runs' containers that do not go: words -> run."""
    runs = {name: run_id for run_id, those in containers.items() for name in those.names}
    found: Mapping[str, str] = {}
    with anyio.move_on_after(MOUNT_SECONDS):
        while found := await in_thread(mounted, runs, root):  # noqa: ASYNC110 — nobody tells
            await anyio.sleep(_LOOK_SECONDS)
    return {f"mount {point} of run {runs[name]}": runs[name] for point, name in found.items()}


def _on_record(intent: Intent) -> set[str]:
    """Those in a run's record, where it can be read and is this user's own: others would name what is not the run's."""
    if not any(place.engine == "docker" for place in intent.places):
        return set()
    path = intent.run_dir / RECORD
    with suppress(OSError, RecordError):
        if path.lstat().st_uid == os.geteuid():
            # Here, because it takes 30 MiB, and the aftermath of a run without containers none of them.
            from density.record.reader import read_details  # noqa: PLC0415

            return {each for each in read_details(path, "container") if _SHORT.fullmatch(each)}
    return set()
