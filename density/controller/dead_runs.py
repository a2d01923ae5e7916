"""Which runs are dead: of what is found on a host, only that may be removed, or called a leftover.

What is found says by its label or name which run made it. A run is alive while its lock is held, which is looked at
after its things were found: they came after its lock. So is one for which a process of ours holds the host's lock, as
the kernel says. A label, a slice, a directory or an intent of density's proves that a run was one; names and command
lines alone prove nothing, because anybody can choose them.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from density.controller.data import kept_data
from density.controller.host_lock import Holder
from density.controller.intent import Intent, declared, read_intent
from density.controller.paths import is_alive, known_runs
from density.errors import DensityError
from density.model import RUN_ID


class Judge:
    """Says which runs are dead, and remembers those that it kept.

    Attributes:
        run_id: the one run that is asked about, dead or alive; None: all of them.
        holder: who else runs something on this host; None where nobody does.
        intents: what runs declared: id -> intent.
        unread: runs that declared something which cannot be read.
        on_record: runs of this user with an intent or a directory.
        proven: runs that were density's for sure; grows with what is found.
        spared: runs that are alive.
        unproven: runs of which names alone say that they were density's.
        unsure: runs that may be alive for another user.
    """

    def __init__(
        self, base: Path, run_id: str | None = None, *, everything: bool = False, holder: Holder | None = None
    ) -> None:
        """`everything`: take live runs for dead ones."""
        self._base = base
        self._everything = everything
        self.run_id = run_id
        self.holder = holder
        self.intents, self.unread = _intents()
        self.on_record = {*self.intents, *self.unread, *known_runs(base), *kept_data()}
        self.proven = set(self.on_record)
        self.spared: set[str] = set()
        self.unproven: set[str] = set()
        self.unsure: set[str] = set()

    def alive(self) -> set[str]:
        """The runs that go on now, of this user."""
        found = {name for name, each in self.intents.items() if any(map(is_alive, each.directories))}
        if self.holder and self.holder.uid == os.geteuid() and RUN_ID.fullmatch(self.holder.run_id):
            found.add(self.holder.run_id)
        return found | {name for name, held in known_runs(self._base).items() if held}

    def dead(self, found: Iterable[str], *, by_name: bool = False) -> list[str]:
        """Those of the runs of which something was found just now that are dead, sorted. Blocks.

        Args:
            found: their ids.
            by_name: they were found by names alone; else by something that only density makes.
        """
        if self.run_id is not None:
            return [self.run_id]
        ids, alive = set(found), self.alive()
        if not by_name:
            self.proven |= ids
        if not self._everything:
            # Another user's process says for which run it holds the host's lock; our record knows better of ours.
            spared = ids & (alive | ({self.holder.run_id} - self.on_record if self.holder else set()))
            self.spared |= spared
            ids -= spared
        self.unproven |= ids - self.proven
        # Another user's runs have their locks where we cannot look: while one is alive, records alone say who is dead.
        if self.holder is None or self.holder.run_id in alive or self._everything:
            return sorted(ids & self.proven)
        self.unsure |= ids & self.proven - self.on_record
        return sorted(ids & self.on_record)


def _intents() -> tuple[Mapping[str, Intent], set[str]]:
    """What runs declared, and which of them cannot be read; an intent that goes meanwhile is of a run that ended."""
    found, unread = {}, set()
    for run_id, path in declared().items():
        try:
            found[run_id] = read_intent(path)
        except DensityError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                unread.add(run_id)
    return found, unread
