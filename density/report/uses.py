"""How full each hard ceiling was: before the first instance, and at most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.events import HostSampled

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """One hard ceiling, or several that read the same, such as directories of one disk.

    Attributes:
        subjects: which of several ceilings of this id; one empty word where there is only one.
        first, highest: the first reading, and the fullest of all.
    """

    subjects: tuple[str, ...]
    first: Reading
    highest: Reading

    @property
    def name(self) -> str:
        """The ceiling's id and what it is of."""
        return f"{self.highest.ceiling} {', '.join(self.subjects)}".rstrip()

    @property
    def grown(self) -> bool:
        """Whether the run used more of it than was in use before."""
        return self.highest.used > self.first.used


def uses(samples: Iterable[HostSampled], addresses: Mapping[str, int], bounds: Bounds) -> list[Use]:
    """Every hard ceiling that was read, the fullest first.

    Args:
        samples: every reading of the host.
        addresses: usable addresses of the networks, by their bridges.
        bounds: what the profile set.
    """
    limits = {f"network.bridge.{device}.addresses_count": float(n) for device, n in addresses.items()}
    first: dict[_Key, Reading] = {}
    highest: dict[_Key, Reading] = {}
    for sample in samples:
        for reading in readings({**sample.values, **limits}, bounds):
            if BY_ID[reading.ceiling].soft:
                continue
            first.setdefault(reading.key, reading)
            if reading.key not in highest or reading.ratio > highest[reading.key].ratio:
                highest[reading.key] = reading
    alike: dict[tuple[str, float, float, float], list[_Key]] = {}
    for key, reading in highest.items():
        alike.setdefault((reading.ceiling, first[key].used, reading.used, reading.limit), []).append(key)
    found = [Use(tuple(key[1] for key in keys), first[keys[0]], highest[keys[0]]) for keys in alike.values()]
    return sorted(found, key=lambda use: (-use.highest.ratio, use.name))
