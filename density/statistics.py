"""Small statistics that several parts need, the same everywhere."""

from collections.abc import Collection


def quantile(values: Collection[float], q: float) -> float:
    """The `q` quantile (0 to 1) by linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996).

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    position = (len(ordered) - 1) * q
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
