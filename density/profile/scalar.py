"""One kind of value in a profile: how it is read, what is allowed, how it is written back, its JSON Schema."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from density.profile.problems import ExplainedError, found, listed

OFF = "off"
MOST_COUNT = 2**32


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One kind of value, as an annotation of a pydantic field.

    Attributes:
        parse: from a TOML value; what it raises is told as `allowed`, unless it is `ExplainedError`.
        allowed: completes "allowed is ...".
        schema: the JSON Schema of what may be written.
        dump: back to a TOML value that `parse` reads as the same value.
        words: what to look for a misspelt word in.
    """

    parse: Callable[[Any], Any]
    allowed: str
    schema: dict[str, Any]
    dump: Callable[[Any], Any] = lambda value: value
    words: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.dump)
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)

    def read(self, value: object) -> Any:  # noqa: ANN401 — what it returns is the annotated field's own type
        """The value in base units.

        Raises:
            ValueError: a whole sentence: what was found, what is allowed.
        """
        try:
            return self.parse(value)
        except ExplainedError as error:
            raise ValueError(f"found {found(value)}; {error}") from error
        except (ValueError, TypeError, OverflowError) as error:
            near = get_close_matches(value.lower(), self.words, n=1) if isinstance(value, str) else []
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f"found {found(value)}; allowed is {self.allowed}{hint}") from error


def within(parse: Callable[[Any], float], low: float, high: float, *, above: bool = False) -> Callable[[Any], Any]:
    """A parser that also wants a finite number from `low` (`above`: not itself) to `high`, and no truth value."""

    def checked(value: Any) -> float:  # noqa: ANN401 — any TOML value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError(value)
        number = parse(value)
        if not math.isfinite(number) or not low <= number <= high or (above and number == low):
            raise ValueError(value)
        return number + 0  # -0.0 is 0.0, which can be written and read again

    return checked


def number(low: float, high: float, allowed: str, *, above: bool = False) -> Scalar:
    """A number without a unit."""

    def parse(value: object) -> float:
        if not isinstance(value, int | float):
            raise TypeError(value)
        return float(value)

    schema = {"type": "number", "exclusiveMinimum" if above else "minimum": low}
    return Scalar(within(parse, low, high, above=above), allowed, schema)


def whole(value: object) -> int:
    """Only a whole number."""
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def count(least: int) -> Scalar:
    """A whole number."""
    allowed = f"a whole number, {least} or more"
    return Scalar(within(whole, least, MOST_COUNT), allowed, {"type": "integer", "minimum": least})


def text_or_number(pattern: str, **numeric: float) -> dict[str, Any]:
    """The schema of a quantity, with a unit as text or without as a number."""
    return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number", **numeric}]}


def or_off(kind: Scalar) -> Scalar:
    """This kind, or "off" for None."""
    return Scalar(
        lambda value: None if value == OFF else kind.parse(value),
        f'{kind.allowed}, or "off"',
        {"anyOf": [*kind.schema["anyOf"], {"const": OFF}]},
        lambda value: OFF if value is None else kind.dump(value),
        (OFF,),
    )


def one_of(*words: str) -> Scalar:
    """One of these words."""

    def parse(value: object) -> object:
        if value not in words:
            raise ValueError(value)
        return value

    return Scalar(parse, listed([f'"{word}"' for word in words], "or"), {"enum": list(words)}, words=words)


def text(allowed: str, pattern: str = "") -> Scalar:
    """Text, of this form where one is given."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or "\0" in value or (pattern and not re.fullmatch(pattern, value)):
            raise ValueError(value)
        return value

    return Scalar(parse, allowed, {"type": "string"} | ({"pattern": pattern} if pattern else {}))
