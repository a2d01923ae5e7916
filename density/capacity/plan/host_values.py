"""What the keys of a host may be set to: sizes, counts, prices."""

import math
import re
from fractions import Fraction
from typing import get_args

from density.capacity.plan.resources import INSTANCES
from density.ceilings.catalog import BY_ID
from density.profile.problems import found
from density.profile.scalar import Scalar
from density.profile.scalars import Bytes

PRICE, COUNT = "price", "count"
UNLIMITED = "unlimited"
_BYTES: Scalar = get_args(Bytes)[1]
"""Sizes are written as profiles write them."""
_NUMBER_ALLOWED = f'a number above 0, such as 64, or "{UNLIMITED}"'
_PRICE_ALLOWED = "a number such as 899.90, 0 or more"
_COUNT_ALLOWED = "a whole number, 1 or more"


def read_limit(key: str, resource: str, value: object) -> float:
    """A limit in the resource's unit; `key` is what a person called it.

    Raises:
        ValueError: what was found, and what is allowed.
    """
    if value == UNLIMITED:
        return math.inf
    ceiling = BY_ID.get(resource) or BY_ID.get(resource.rpartition(".")[0])
    if ceiling is not None and ceiling.unit == "bytes":
        try:
            size = float(_BYTES.read(value))
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
        if not size:
            raise ValueError(f"{key}: found {found(value)}; allowed is {_BYTES.allowed}, above 0")
        return size
    number = _number(value)
    if resource == INSTANCES[0] and (number is None or number.denominator != 1 or number < 1):
        raise ValueError(f'{key}: found {found(value)}; allowed is {_COUNT_ALLOWED}, or "{UNLIMITED}"')
    if number is None or number <= 0:
        raise ValueError(f"{key}: found {found(value)}; allowed is {_NUMBER_ALLOWED}")
    return float(number)


def read_price(value: object) -> Fraction:
    """Of one host.

    Raises:
        ValueError: what was found, and what is allowed.
    """
    number = _number(value)
    if number is None:
        raise ValueError(f"{PRICE}: found {found(value)}; allowed is {_PRICE_ALLOWED}")
    return number


def read_count(value: object) -> int:
    """How many hosts there are.

    Raises:
        ValueError: what was found, and what is allowed.
    """
    number = _number(value)
    if number is None or number.denominator != 1 or number < 1:
        raise ValueError(f"{COUNT}: found {found(value)}; allowed is {_COUNT_ALLOWED}")
    return int(number)


def _number(value: object) -> Fraction | None:
    """Exactly as it is written, `0.10` being a tenth; None: no number of 0 or more."""
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,20}(_[0-9]{1,3})*(\.[0-9]{1,12})?", text):
        return None
    return Fraction(text)
