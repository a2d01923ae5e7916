"""Addresses for servers that tests start."""

import socket


def free_address() -> str:
    """A `HOST:PORT` of this machine's loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
