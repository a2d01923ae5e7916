"""Whole instances in the workloads' shares."""

from collections.abc import Mapping, Sequence
from math import floor

from density.model import Workload


def split(total: int, workloads: Sequence[Workload], alive: Mapping[str, int]) -> dict[str, int]:
    """Which workloads a wave of `total` is made of, so that all alive come as near to the shares as whole numbers can.

    Each instance goes to the workload that is furthest below its share (the highest averages method, which never takes
    an instance away again as the total grows).
    """
    counts = {workload.name: alive.get(workload.name, 0) for workload in workloads}
    sizes = dict.fromkeys(counts, 0)
    for _ in range(total):
        chosen = min(workloads, key=lambda workload: (counts[workload.name] + 1) / workload.share)
        counts[chosen.name] += 1
        sizes[chosen.name] += 1
    return sizes


def share_out(total: int, workloads: Sequence[Workload]) -> dict[str, int]:
    """What `split` makes of `total` where nothing is alive yet, in the same time for any total.

    The method gives nobody less than the whole part of his share (it stays within the lower quota: M. L. Balinski,
    H. P. Young, Fair Representation, 1982), so only the last few are dealt out. One less is sure, for floats' sake.
    """
    shares = sum(workload.share for workload in workloads)
    sure = {each.name: max(0, floor(total * each.share / shares) - 1) for each in workloads}
    last = split(total - sum(sure.values()), workloads, sure)
    return {name: count + last[name] for name, count in sure.items()}
