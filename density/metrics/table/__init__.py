"""The table of metrics: every one that density serves, one entry each. A new metric is a new entry, and nothing else.

Names are public. No series stands for a single instance, unless it is asked for (`instances`), so a scrape costs the
same at ten and at ten thousand.
"""

from density.metrics.table.ceilings import CEILINGS
from density.metrics.table.entry import INFO, Metric, Row, Seen
from density.metrics.table.host import ENGINES, HOST, SLICE, TESTER
from density.metrics.table.run import RUN

__all__ = ["CEILINGS", "ENGINES", "HOST", "INFO", "RUN", "SLICE", "TABLE", "TESTER", "Metric", "Row", "Seen"]

TABLE: tuple[Metric, ...] = (*RUN, *CEILINGS, *HOST, *SLICE, *ENGINES, *TESTER)
