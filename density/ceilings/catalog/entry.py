"""What an entry of the catalogue says."""

from dataclasses import dataclass

from density.ceilings.reading import Reader


@dataclass(frozen=True, slots=True)
class Fix:
    """How a ceiling is raised.

    Attributes:
        text: the command, or what to change, for a person.
        sysctls: kernel parameters that raise it; a script can set them to what a count needs.
        directive: the systemd directive that raises it for a daemon's unit, such as `LimitNOFILE`.
        of_workload: the text with `{workload}` in it, for a limit of a workload's instances.
    """

    text: str
    sysctls: tuple[str, ...] = ()
    directive: str = ""
    of_workload: str = ""

    def of(self, subject: str) -> str:
        """The text for this subject."""
        return self.of_workload.format(workload=subject) if self.of_workload and subject else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """One entry.

    Attributes:
        resource: what runs out, in words.
        unit: of use and limit: `bytes`, `seconds`, `ratio`, or the plural noun of a count.
        read: finds use and limit among the host's values.
        lethal: running into it takes the host down, so no run goes past the reserve.
        lethal_for: the subjects of which it takes down what it is of, where it does not do so for all.
        soft: never forecast; an objective of the profile, or something that can be full without anything failing.
        own: a limit of each instance itself, with the workload as its subject: not the host's, so never forecast.
        errors: kinds of failure (`density.ceilings.errors`) that it can cause.
        to_start: what each launch by itself takes for a moment, beyond what a running instance keeps.
        fix: how to raise it.
    """

    id: str
    resource: str
    unit: str
    read: Reader
    lethal: bool = False
    lethal_for: frozenset[str] = frozenset()
    soft: bool = False
    own: bool = False
    errors: frozenset[str] = frozenset()
    to_start: float = 0.0
    fix: Fix

    def is_lethal(self, subject: str) -> bool:
        """Whether no run goes past the reserve of this subject."""
        return self.lethal or subject in self.lethal_for


def errors(*kinds: str) -> frozenset[str]:
    """Kinds of failure."""
    return frozenset(kinds)
