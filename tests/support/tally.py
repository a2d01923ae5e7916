"""What `make torture` counts of each fault: how often it was made, and what became of host and record."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest


@dataclass(slots=True)
class Fault:
    """One row of the table.

    Attributes:
        times: how often the fault was made.
        survived: of these, how often density (or what was left of it) ended as it should.
        leftovers: what stayed on the host, one sentence each.
        lost: what the records lacked, or had wrong.
    """

    times: int = 0
    survived: int = 0
    leftovers: list[str] = field(default_factory=list)
    lost: int = 0

    @property
    def problems(self) -> list[str]:
        """What must not be; empty where everything was as it should."""
        found = [f"survived {self.survived} of {self.times}"] if self.survived < self.times else []
        found += [f"left on the host: {thing}" for thing in self.leftovers]
        found += [f"lost from the record: {self.lost}"] if self.lost else []
        return found


TALLY = pytest.StashKey[dict[str, Fault]]()
"""The rows of this session, by fault."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Takes what happened each time a fault was made; see the fixture `tally`."""

    rows: dict[str, Fault]
    mine: dict[str, Fault] = field(default_factory=dict)

    def add(self, fault: str, survived: bool, leftovers: Sequence[str], lost: int) -> None:  # noqa: FBT001 — a table's row
        """One more time that a fault was made.

        Args:
            fault: the row, in a few words, such as `SIGKILL, native`; the same words are the same row.
            survived: whether density ended as it should for this fault, and the host with it.
            leftovers: what stayed on the host (`support.host_state.settled_leftovers`).
            lost: how much the record lacks (the length of `support.whole_record.flaws`).
        """
        for rows in (self.rows, self.mine):
            row = rows.setdefault(fault, Fault())
            row.times += 1
            row.survived += survived
            row.leftovers += leftovers
            row.lost += lost
