"""Which process listens on a unix socket: the daemon that an endpoint leads to, where there may be several."""

import socket
import struct

_CONNECT_SECONDS = 5.0
_CREDENTIALS = struct.Struct("3i")
"""`struct ucred`: pid, uid, gid."""


def listener(socket_path: str) -> int:
    """Pid of the process that listens on a unix socket; 0 where that cannot be told. Blocks, and connects once.

    Where systemd listens for a daemon, it is systemd's pid.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_CONNECT_SECONDS)
            connection.connect(socket_path)
            said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return 0
    pid: int = _CREDENTIALS.unpack(said)[0]
    return pid
