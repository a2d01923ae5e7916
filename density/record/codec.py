"""Events to JSON and back, so that what comes back is equal to what went in.

JSON has no infinity, and SQLite's JSON functions refuse what most encoders write for it. `9e999` is a JSON number
that every reader (SQLite, Python, pydantic) takes as infinity; NaN is the text `"NaN"`, which the reader turns back
wherever a number is due (in `HostFound.facts`, where text is as good, it stays a text).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from density.events import Event

_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
_STRING_OR_CONSTANT = re.compile(rb'"(?:[^"\\]|\\.)*"|Infinity|NaN')
_CONSTANTS = {b"Infinity": b"9e999", b"NaN": b'"NaN"'}


def encode(event: Event) -> str:
    """One event as one JSON object. Lone surrogates in texts (undecodable bytes of an engine) become `?`.

    Raises:
        ValueError, TypeError: something in the event is of no type that events have.
    """
    try:
        body = to_json(event, inf_nan_mode="constants", fallback=_plain)
    except PydanticSerializationError:
        body = json.dumps(event, default=_plain, ensure_ascii=False).encode(errors="replace")
    if b"Infinity" in body or b"NaN" in body:
        body = _STRING_OR_CONSTANT.sub(lambda match: _CONSTANTS.get(match[0], match[0]), body)
    return body.decode()


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 — called with whatever an encoder does not know
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in fields(value)}


def decode(body: str) -> Event:
    """The event that `encode` was given.

    Raises:
        ValueError: not an event that this version knows; the message says what is odd about it.
    """
    try:
        return _EVENT.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from error
