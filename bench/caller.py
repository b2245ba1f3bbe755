"""A caller that costs next to nothing: HTTP/1.1 over kept connections, one request at a time on each.

httpx spends about as much CPU on a request as role api does; a figure of the server must not be half
its caller's.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Heard:
    """Status and JSON body of an answer."""

    status: int
    body: dict[str, Any]


class Caller:
    """Calls one server; as many connections as there are requests at a time."""

    def __init__(self, url: str) -> None:
        """`url`: scheme, host and port."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._idle: list[Line] = []

    async def post(self, path: str, body: object, headers: dict[str, str]) -> Heard:
        """Send JSON, wait for the answer. Raises OSError, IncompleteReadError where the line breaks."""
        line = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        reader, writer = line
        sent = json.dumps(body).encode()
        told = {
            "Host": self._host,
            "Content-Type": "application/json",
            "Content-Length": str(len(sent)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + sent)
        status, length = _read_head(await reader.readuntil(b"\r\n\r\n"))
        answer = json.loads(await reader.readexactly(length))
        self._idle.append(line)
        return Heard(status, answer)

    def close(self) -> None:
        """Let every connection go."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


def _read_head(head: bytes) -> tuple[int, int]:
    """Return status and length of the body; our server tells both in every answer of these routes."""
    first, *rest = head.split(b"\r\n")
    [length] = [line.split(b":")[1] for line in rest if line.lower().startswith(b"content-length:")]
    return int(first.split()[1]), int(length)
