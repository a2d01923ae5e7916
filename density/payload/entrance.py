"""The socket at which processes and containers come in, and how a lack of descriptors is borne there."""

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from density.payload.poller import Poller
from density.payload.sockets import Peer, discard, is_in_slice, listen, may_speak, peer

BACKLOG = 4096
SHORTAGE_SECONDS = 5.0
"""A shortage of descriptors that lasts so long fails those who wait to be heard; a shorter one delays them."""
_ACCEPTS_AT_ONCE = 64
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class _Shortage:
    """Why no connection can be accepted, and since when."""

    error: OSError
    since: float


class Entrance:
    """A listening socket that rests while there is no descriptor for another connection.

    Whoever has no business here is hung up on at once, and costs neither a descriptor nor a place.

    Args:
        welcome: takes each connection.
    """

    def __init__(self, path: Path, poller: Poller, welcome: Callable[[socket.socket], None]) -> None:
        self.path = path
        self._poller = poller
        self._welcome = welcome
        self._listener: socket.socket | None = None
        self._others: str | None = None
        self._shortage: _Shortage | None = None
        self.rests = False

    def open(self) -> None:
        """Listen.

        Raises:
            DensityError: the path is too long for a socket.
            OSError: it cannot be made.
        """
        # A container's root has no capabilities, so that as another user's it would be kept out.
        self._listener = listen(self.path, BACKLOG, owner=None if os.geteuid() == 0 else (0, 0))
        if self._others is not None:
            self.path.chmod(0o666)
        self._poller.add(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Listen no more; may be called where it was never open."""
        if self._listener is not None:
            discard(self._listener, self.path)
            self._listener = None

    def admit_others(self, slice_name: str) -> None:
        """Let processes of other users in that are in this slice (empty: every process), also before it is open."""
        self._others = slice_name
        if self._listener is not None:
            # Which numbers a daemon's mapping has is not known, so the mode cannot tell them apart; `_admits` does.
            self.path.chmod(0o666)

    def go_on(self) -> None:
        """A descriptor may be free again."""
        if self.rests and self._listener is not None:
            self.rests = False
            self._poller.add(self._listener.fileno(), self._accept)

    def problem(self) -> OSError | None:
        """Why no connection can be accepted, where it has been so for long; tries once more."""
        self.go_on()
        if self._shortage:
            self._accept()
        if self._shortage and anyio.current_time() - self._shortage.since >= SHORTAGE_SECONDS:
            return self._shortage.error
        return None

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                stream, _peer = self._listener.accept()
            except BlockingIOError:
                self._shortage = None  # the kernel looks for a descriptor before it looks for a connection
                return
            except OSError as error:
                # Rest until a descriptor is free, or a while; who waits stays in the backlog.
                if error.errno in _SHORT:
                    self._poller.remove(self._listener.fileno())
                    self.rests = True
                    self._shortage = self._shortage or _Shortage(error, anyio.current_time())
                return
            self._shortage = None
            if self._admits(peer(stream)):
                self._welcome(stream)
            else:
                stream.close()

    def _admits(self, who: Peer) -> bool:
        """Whether this is ourselves, root, or may be an instance of a user that is not known beforehand."""
        if may_speak(who.user, None):
            return True
        if self._others is None:
            return False
        return not (self._others and who.pid) or is_in_slice(who.pid, self._others)
