"""The catalogue: every ceiling density knows, one entry each. A new ceiling is a new entry here, and nothing else.

Ids are public: verdicts, metrics and reports use them (docs/ceilings.md lists them).
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from density.ceilings.catalog.engines import ENGINES
from density.ceilings.catalog.entry import Ceiling, Fix
from density.ceilings.catalog.files import FILES
from density.ceilings.catalog.instance import INSTANCE
from density.ceilings.catalog.kernel import KERNEL
from density.ceilings.catalog.memory import MEMORY
from density.ceilings.catalog.network import BRIDGE_PORTS_MAX, NETWORK
from density.ceilings.catalog.objectives import OBJECTIVES
from density.ceilings.catalog.tasks import TASKS
from density.ceilings.reading import Bounds, Reading
from density.evidence import Judged

__all__ = ["BRIDGE_PORTS_MAX", "BY_ID", "CATALOG", "Ceiling", "Fix", "critical_readings", "readings"]

CATALOG: tuple[Ceiling, ...] = (*MEMORY, *TASKS, *FILES, *NETWORK, *KERNEL, *ENGINES, *INSTANCE, *OBJECTIVES)
BY_ID: Mapping[str, Ceiling] = {ceiling.id: ceiling for ceiling in CATALOG}
_CRITICAL = tuple(ceiling for ceiling in CATALOG if ceiling.lethal or ceiling.lethal_for)


def readings(values: Mapping[str, float], bounds: Bounds, ceilings: Sequence[Ceiling] = CATALOG) -> Iterator[Reading]:
    """Every one of these ceilings that the values tell of; a value that is no number tells of none."""
    for ceiling in ceilings:
        for subject, used, limit, reserve in ceiling.read(values, bounds):
            if math.isfinite(used) and math.isfinite(limit):
                level = values.get(f"{ceiling.id}.{subject}.judged_level") if ceiling.soft else None
                yield Reading(
                    ceiling.id, subject, used, limit, reserve, None if level is None else Judged(round(level))
                )


def critical_readings(values: Mapping[str, float], bounds: Bounds) -> list[Reading]:
    """Every critical ceiling, whose reserve no run may cross, that the values tell of."""
    return [each for each in readings(values, bounds, _CRITICAL) if BY_ID[each.ceiling].is_lethal(each.subject)]
