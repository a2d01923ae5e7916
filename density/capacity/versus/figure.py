"""What was measured of one subject, or why it was not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from density.model import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One column of the comparison.

    Attributes:
        name: its workload's.
        accelerator: of VMs, `kvm` or `tcg`; empty where it was not found out.
        missing: why nothing of it can be measured; empty where it runs.
    """

    workload: Workload
    accelerator: str = ""
    missing: str = ""

    @property
    def name(self) -> str:
        """The workload's."""
        return self.workload.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured of one subject.

    Attributes:
        row: the row of the comparison that it belongs to, such as `start`.
        name: what it is, such as `alone.ready`.
        subject: whose it is.
        unit: as in `density.units.format_value`; empty where the figure is words.
        samples: what was measured each time, in the unit; one entry where it is not something to repeat.
        low, high: 95 % interval, where it comes from a fit and not from samples.
        words: what it is where it is no number, or what has to be said with the number.
        why: why it was not measured; empty where it was.
    """

    row: str
    name: str
    subject: str
    unit: str = ""
    samples: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    words: str = ""
    why: str = ""


@dataclass(slots=True)
class Figures:
    """Everything that was measured so far, in the order in which it was."""

    found: list[Figure] = field(default_factory=list)

    def add(self, row: str, name: str, subject: str, samples: Sequence[float], *, unit: str, words: str = "") -> None:
        """Something that was measured."""
        self.found.append(Figure(row=row, name=name, subject=subject, unit=unit, samples=tuple(samples), words=words))

    def miss(self, row: str, name: str, subject: str, why: str) -> None:
        """Something that was not; an empty name is for the whole row."""
        self.found.append(Figure(row=row, name=name, subject=subject, why=why))

    def get(self, row: str, name: str, subject: str) -> Figure | None:
        """The last of this name; where there is none, what was said of the whole row."""
        for wanted in (name, ""):
            for figure in reversed(self.found):
                if (figure.row, figure.name, figure.subject) == (row, wanted, subject):
                    return figure
        return None

    def of(self, row: str) -> Iterator[Figure]:
        """Those of a row."""
        return (figure for figure in self.found if figure.row == row)
