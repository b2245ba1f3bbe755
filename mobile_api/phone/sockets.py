"""What this process holds and did on the network, as the kernel and the interpreter saw it.

Two witnesses: the open sockets by `/proc/self/fd`, and an audit hook (PEP 578) that, once set, notes
every connection, name look-up and datagram for the rest of the process's life. It cannot be taken out.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WATCHED = {
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.sendmsg",
}


@dataclass
class Witness:
    """Notes of network acts, from `watch` on."""

    acts: list[dict[str, str]] = field(default_factory=list)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if event in _WATCHED:
            where = (
                arguments[1] if event in {"socket.connect", "socket.bind", "socket.sendto"} else arguments[0]
            )
            self.acts.append({"act": event.removeprefix("socket."), "where": _address(where)})


def watch() -> Witness:
    """Start to note. Call it before anything else is imported that could open a socket."""
    witness = Witness()
    sys.addaudithook(witness.note)
    return witness


def open_sockets() -> list[dict[str, str]]:
    """The sockets that this process holds now: family, own address and peer."""
    found = []
    for entry in sorted(Path("/proc/self/fd").iterdir(), key=lambda e: int(e.name)):
        try:
            if not str(entry.readlink()).startswith("socket:"):
                continue
            number = os.dup(int(entry.name))
        except OSError:
            continue  # closed since it was listed
        with socket.socket(fileno=number) as sock:
            found.append(
                {
                    "family": socket.AddressFamily(sock.family).name,
                    "own": _address(sock.getsockname()),
                    "peer": _peer(sock),
                }
            )
    return found


def _peer(sock: socket.socket) -> str:
    try:
        return _address(sock.getpeername())
    except OSError:
        return ""


def _address(where: object) -> str:
    """host:port; an unnamed local pair (the event loop's own wake-up) is `(unnamed)`."""
    if isinstance(where, tuple) and len(where) >= 2:  # noqa: PLR2004 - host and port
        return f"{where[0]}:{where[1]}"
    return str(where) if where else "(unnamed)"
