"""Whole hosts from hosts in parts, and spare ones added: good choices for cases too large to try them all."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from density.capacity.plan.choose import Choice, Loss, choose, losses
from density.capacity.plan.patterns import Bin, Counts
from density.capacity.plan.relaxed import Pool, Relaxed
from density.capacity.plan.spread import Group, grouped, spread, trimmed

ROUNDING = 1e-6


def price_of(bins: Sequence[Bin], hosts: Sequence[int]) -> Fraction:
    """Of so many hosts of each bin."""
    return sum((count * each.price for count, each in zip(hosts, bins, strict=True)), Fraction(0))


def rounded(pool: Pool, relaxed: Relaxed, demand: Counts, *, quantum: Fraction, seconds: float) -> Choice | None:
    """The whole hosts among those in parts, and for what is left the best that HiGHS finds."""
    whole = [(index, counts, int(count + ROUNDING)) for index, counts, count in relaxed.uses]
    filled = [(index, counts) for index, counts, count in whole for _ in range(count)]
    held = np.sum([np.array(counts) for _, counts in filled], axis=0) if filled else np.zeros(len(demand))
    rest = tuple(int(left) for left in np.maximum(0, np.array(demand) - held))
    if any(rest):
        taken = [sum(count for bin_, _, count in whole if bin_ == index) for index in range(len(pool.bins))]
        answer = choose(_for_the_rest(pool, rest, taken), rest, spare=0, quantum=quantum, seconds=seconds)
        if answer.choice is None:
            return None
        (groups,) = answer.choice.after_loss.values()
        filled += [(group.bin, group.counts) for group in groups for _ in range(group.hosts)]
    arranged = trimmed(filled, demand)
    assert arranged is not None, "what is left of the demand was added"
    return Choice(_hosts(arranged, len(pool.bins)), {(0,) * len(pool.bins): arranged})


def _for_the_rest(pool: Pool, rest: Counts, taken: Sequence[int]) -> Pool:
    """The same patterns, cut to what is left and filled up again."""
    bins = [
        replace(each, demand=rest, most=None if each.most is None else each.most - used)
        for each, used in zip(pool.bins, taken, strict=True)
    ]
    found = Pool.begun(bins, rest)
    order = range(len(rest))
    for index, counts in pool.columns:
        found.add(index, bins[index].filled(np.minimum(counts, rest).tolist(), order))
    return found


def thinned(bins: Sequence[Bin], choice: Choice, demand: Counts, spare: int, *, deadline: float) -> Choice | None:
    """A choice that needs all its hosts, with spare ones; then every host is taken away that can be spared after all.

    Args:
        deadline: by `time.monotonic`; past it no more hosts are taken away.

    Returns:
        None where there are not enough hosts to add.
    """
    hosts, after = choice.hosts, dict(choice.after_loss)
    if spare:
        (groups,) = choice.after_loss.values()
        starts = [more for more in _with_more(bins, hosts, groups, spare) if _are_there(bins, more)]
        if not starts:
            return None
        hosts = min(starts, key=lambda hosts: price_of(bins, hosts))
        after = _survives(bins, hosts, demand, spare) or _replaced(groups, choice.hosts, hosts, spare)
    better = True
    while better and time.monotonic() < deadline:
        better = False
        for fewer in sorted(_smaller(bins, hosts), key=lambda hosts: price_of(bins, hosts)):
            if found := _survives(bins, fewer, demand, spare):
                hosts, after, better = fewer, found, True
                break
    return Choice(hosts, after)


def _with_more(
    bins: Sequence[Bin], hosts: tuple[int, ...], groups: Sequence[Group], spare: int
) -> Iterator[tuple[int, ...]]:
    """Hosts of one type that can take over from any other, or of each type that is used."""
    for index, each in enumerate(bins):
        if all(each.fits(group.counts) for group in groups):
            yield tuple(count + spare * (place == index) for place, count in enumerate(hosts))
    yield tuple(count + spare * bool(count) for count in hosts)


def _are_there(bins: Sequence[Bin], hosts: Sequence[int]) -> bool:
    return all(each.most is None or count <= each.most for each, count in zip(bins, hosts, strict=True))


def _smaller(bins: Sequence[Bin], hosts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """One host less, or a cheaper one in its place."""
    for out, count in enumerate(hosts):
        if count:
            fewer = tuple(each - (place == out) for place, each in enumerate(hosts))
            yield fewer
            for into, each in enumerate(bins):
                swapped = tuple(number + (place == into) for place, number in enumerate(fewer))
                if each.price < bins[out].price and _are_there(bins, swapped):
                    yield swapped


def _survives(
    bins: Sequence[Bin], hosts: Sequence[int], demand: Counts, spare: int
) -> dict[Loss, tuple[Group, ...]] | None:
    """An even arrangement after each loss; None where there is none after some."""
    after: dict[Loss, tuple[Group, ...]] = {}
    for way in losses(len(bins), spare):
        if all(lost <= count for lost, count in zip(way, hosts, strict=True)):
            groups = spread(bins, [count - lost for count, lost in zip(hosts, way, strict=True)], demand)
            if groups is None:
                return None
            after[way] = groups
    return after or None


def _replaced(
    groups: Sequence[Group], before: Sequence[int], hosts: Sequence[int], spare: int
) -> dict[Loss, tuple[Group, ...]]:
    """The hosts that were added take over what lost ones held: those of the same type where there are any."""
    after: dict[Loss, tuple[Group, ...]] = {}
    added = next(index for index, count in enumerate(hosts) if count > before[index])
    for way in losses(len(hosts), spare):
        if all(lost <= count for lost, count in zip(way, hosts, strict=True)):
            filled = [(group.bin, group.counts) for group in groups for _ in range(group.hosts)]
            for index, lost in enumerate(way):
                own = [place for place, (bin_, _) in enumerate(filled) if bin_ == index]
                idle = hosts[index] - len(own)
                for place in own[: max(0, lost - idle)]:
                    filled[place] = (added, filled[place][1])
            after[way] = grouped(filled)
    return after


def _hosts(groups: Sequence[Group], bins: int) -> tuple[int, ...]:
    return tuple(sum(group.hosts for group in groups if group.bin == index) for index in range(bins))
