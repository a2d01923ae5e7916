"""What every panel says of itself, and one query of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana.generate import metric


@dataclass(frozen=True, slots=True)
class Query:
    """One query; `legend` names its series, `{{LABEL}}` in it stands for a label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What a panel is of.

    Attributes:
        metrics: of the table; the first gives the unit, all give the description.
        size: width (of 24) and height.
        reading: how to read the panel, where that is not plain.
        unit: instead of the first metric's, for what is computed from it.
    """

    title: str
    metrics: Sequence[str]
    size: tuple[int, int]
    reading: str = ""
    unit: str = ""

    @property
    def shown_unit(self) -> str:
        """Grafana's unit of the values."""
        return self.unit or metric.unit(self.metrics[0])

    @property
    def description(self) -> str:
        """The table's words, then how to read the panel."""
        return f"{metric.helps(*self.metrics)} {self.reading}".strip()
