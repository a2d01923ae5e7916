"""Readiness as a profile writes it: `running`, `log:REGEX`, `tcp:PORT`, `http:PORT/PATH`, ..."""

import re
import warnings
from typing import Any, cast

from density.model import Readiness
from density.profile.problems import ExplainedError

READY_ALLOWED = (
    '"payload", "running", "healthy", "log:REGEX", "tcp:PORT", "http:PORT/PATH", "console:REGEX" or "guest-agent"'
)
READY_PATTERN = r"^(payload|running|healthy|guest-agent|(log|console):.+|tcp:[0-9]{1,5}|http:[0-9]{1,5}(/.*)?)$"
WAYS = ("payload", "running", "healthy", "guest-agent")
"""The ways that are single words."""
_FORM = re.compile(READY_PATTERN, re.DOTALL)


def parse_ready(text: str) -> Readiness:
    """Readiness from its text.

    Raises:
        ValueError: no such way, not a regular expression, or not a port from 1 to 65535.
    """
    if not _FORM.fullmatch(text):
        raise ValueError(text)
    by, _, argument = text.partition(":")
    if by in ("log", "console"):
        try:
            with warnings.catch_warnings(action="ignore"):  # of what a later Python may read otherwise
                re.compile(argument)
        except re.error as error:
            raise ExplainedError(f"{argument!r} is no regular expression: {error}") from error
        except RecursionError as error:
            raise ExplainedError("the regular expression is nested too deeply") from error
    if by in ("tcp", "http"):
        port, _, path = argument.partition("/")
        if not 1 <= int(port) <= 65535:
            raise ExplainedError(f"{port} is no port; allowed is 1 to 65535")
        argument = port if by == "tcp" else f"{port}/{path}"
    return Readiness(cast("Any", by), argument)


def format_ready(ready: Readiness) -> str:
    """The text that `parse_ready` reads as this."""
    return f"{ready.by}:{ready.argument}" if ready.argument else ready.by
