"""Free TCP ports on loopback, for servers that are started here."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

LOWEST = 15_000
"""Below it, ports are more often somebody's by custom."""

TRIES = 100
"""Many more than a busy machine needs; then the kernel chooses."""

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OUTGOING_FROM = 32_768
"""Linux's own default, where it does not say."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now; nobody promises that it stays free.

    It lies below the ports that the kernel gives to outgoing connections: one of those could be taken by
    any connection of this machine between this call and the server's start.
    """
    below = _outgoing_from()
    for _ in range(TRIES if below > LOWEST else 0):
        port = LOWEST + secrets.randbelow(below - LOWEST)
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _outgoing_from() -> int:
    """The lowest port that the kernel gives to outgoing connections."""
    try:
        return int(_OUTGOING.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _OUTGOING_FROM
