"""How full a person wants hosts to get."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from density.capacity.plan.basis import Basis
from density.errors import UsageError
from density.profile.problems import found, listed

BUSY = 0.8
"""How busy the CPUs of a planned host may be, where neither a person nor a run's objective says it."""
OVERCOMMIT = ("cpus", "memory")
_ALLOWED = "a number above 0, such as 1.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How full hosts may get.

    Attributes:
        cpu_busy: share of the CPUs that may be busy; None: the runs' objective, else BUSY.
        overcommit_cpus, overcommit_memory: how many times what a host has instances may be given; None: no bound.
    """

    cpu_busy: float | None = None
    overcommit_cpus: float | None = None
    overcommit_memory: float | None = None


def busy_share(basis: Basis, policy: Policy) -> float:
    """How busy CPUs may be."""
    if policy.cpu_busy is not None:
        return policy.cpu_busy
    asked = [run.bounds.objectives.cpu_busy_share for run in basis.runs]
    return min((share for share in asked if share is not None), default=BUSY)


def parse_overcommit(texts: Sequence[str]) -> dict[str, float]:
    """From `cpus=4,memory=1.5`, each key once in all of them.

    Raises:
        UsageError: one sentence.
    """
    factors: dict[str, float] = {}
    for text, part in [(whole, part) for whole in texts for part in whole.split(",")]:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise UsageError(f"--overcommit {text}: {found(part.strip())} is not KEY=NUMBER, such as cpus=4,memory=1.5")
        if name not in OVERCOMMIT:
            near = get_close_matches(name.lower(), OVERCOMMIT, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed are {listed(OVERCOMMIT, 'and')}"
            raise UsageError(f"--overcommit {text}: unknown key {name}; {hint}")
        if name in factors:
            raise UsageError(f"--overcommit {text}: {name} is there twice")
        factors[name] = _factor(text, name, value)
    return factors


def _factor(text: str, name: str, value: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not 0 < factor < 1e6:
        raise UsageError(f"--overcommit {text}: {name}: found {found(value)}; allowed is {_ALLOWED}")
    return factor
