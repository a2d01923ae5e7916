"""Connections that have not said hello: few of them, and not for long."""

from collections import OrderedDict

from density.payload.connection import Connection

MOST = 256
"""Payloads say hello as soon as they are connected, so that hardly any of them is ever among these."""
HELLO_SECONDS = 30.0
"""How long a connection may be open without a hello; a host at its limit may stop a payload for a while in between."""


class Strangers:
    """Every open connection without a hello, by the user who made it.

    Where there are too many, the user with the most of them loses the oldest: whoever floods the socket drives out
    nobody else.
    """

    def __init__(self) -> None:
        self._by_user: dict[int, OrderedDict[Connection, float]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_user.values()))

    def add(self, connection: Connection, now: float) -> None:
        """Count in a connection that was opened now."""
        self._by_user.setdefault(connection.user, OrderedDict())[connection] = now

    def remove(self, connection: Connection) -> None:
        """It said hello, or is closed; one that is not counted in is fine."""
        if theirs := self._by_user.get(connection.user):
            theirs.pop(connection, None)
            if not theirs:
                del self._by_user[connection.user]

    def surplus(self) -> Connection | None:
        """The one that has to go because there are too many; None where there are not."""
        if len(self) <= MOST:
            return None
        most: OrderedDict[Connection, float] = max(self._by_user.values(), key=len)
        return next(iter(most))

    def overdue(self, now: float) -> list[Connection]:
        """Those that have been open without a hello for too long."""
        return [
            connection
            for theirs in self._by_user.values()
            for connection, since in theirs.items()
            if now - since > HELLO_SECONDS
        ]

    def all(self) -> list[Connection]:
        """Every one of them."""
        return [connection for theirs in self._by_user.values() for connection in theirs]
