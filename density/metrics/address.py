"""Where metrics are served: the value of `--metrics`."""

import re
from typing import NamedTuple

from density.errors import UsageError

ALLOWED = '--metrics takes HOST:PORT such as "127.0.0.1:9095", ":0" for any free port of this machine, or "off"'
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^:\s\[\]]*)):(?P<port>[0-9]{1,5})")


class Address(NamedTuple):
    """A host and a port to listen on; port 0 takes any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


DEFAULT = Address("127.0.0.1", 9095)


def parse_address(text: str) -> Address | None:
    """The address of `HOST:PORT`, `:PORT` (this machine only) or `[IPv6]:PORT`; None for `off`.

    Raises:
        UsageError: none of these.
    """
    if text == "off":
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise UsageError(f"{ALLOWED}, not {text!r}")
    return Address(match["six"] or match["host"] or DEFAULT.host, int(match["port"]))
