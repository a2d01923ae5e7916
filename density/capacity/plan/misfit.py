"""Why no host on offer holds a demand."""

from collections.abc import Iterator, Mapping, Sequence

from density.capacity.plan.basis import Basis
from density.capacity.plan.limits import HostType
from density.capacity.plan.resources import End, Key, name_of, unit_of
from density.errors import DensityError
from density.profile.problems import listed
from density.units import format_count, format_value


class NoHostFits(DensityError):
    """The demand fits on no hosts on offer: a capacity that was asked for is missed."""

    exit_code = 3


def misfit(
    hosts: Sequence[HostType], basis: Basis, demand: Mapping[str, int], end: End, *, spare: int, proved: bool
) -> NoHostFits:
    """The error with its reason, in one sentence for each workload that fits nowhere."""
    alone = [f"no host holds one {name}: {reason}" for name in demand if (reason := _nowhere(hosts, basis, name, end))]
    if alone:
        return NoHostFits("\n".join(alone))
    wanted = listed([f"{format_count(count)} {name}" for name, count in demand.items()], "and")
    wanted += f" with {format_count(spare)} to spare" if spare else ""
    most = listed([f"{format_count(host.most)} × {host.name}" for host in hosts if host.most is not None], "and")
    if proved:
        return NoHostFits(f"at most {most} are on offer, and they do not hold {wanted}; raise count=")
    return NoHostFits(f"no hosts were found in time that hold {wanted}; --time-limit gives the search more")


def _nowhere(hosts: Sequence[HostType], basis: Basis, name: str, end: End) -> str:
    """Why not even one instance fits on any host; empty where one does."""
    reasons = []
    for host in hosts:
        short = list(_short(host, basis, name, end))
        if not short:
            return ""
        reasons.append(f"on {host.name} it takes {short[0]}")
    return "; ".join(reasons)


def _short(host: HostType, basis: Basis, name: str, end: End) -> Iterator[str]:
    for key, limit in host.limits.items():
        takes = basis.costs[name][key].at(end)
        if takes > 0 and takes > limit.room:
            left = _written(max(0.0, limit.room), key)
            used = f", {_written(limit.base, key)} used by the host itself" if limit.base else ""
            kept = f", {_written(limit.reserve, key)} kept as reserve" if limit.reserve else ""
            all_of_it = _written(limit.limit, key)
            yield f"{_written(takes, key)} of {name_of(key)}, where {left} are free ({all_of_it}{used}{kept})"


def _written(value: float, key: Key) -> str:
    unit = unit_of(key)
    return format_value(value, unit) + ("" if unit == "bytes" else f" {unit}")
