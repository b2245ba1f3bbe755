"""Runs the application under uvicorn, inside an event loop that somebody else owns."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

GRACE_S = 5  # long polls answer within this on stop: they watch the same flag


class PortTakenError(Exception):
    """Somebody else listens there; the message names the cure."""


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Open the listening socket; port 0 picks a free one. Raises PortTakenError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another port"
        ) from error
    listener.listen(1024)
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the role's runner owns the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(app: FastAPI, listener: socket.socket) -> AsyncIterator[str]:
    """Serve until the block ends, then stop gracefully; gives the base URL."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # paths hold invite tokens
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=75,
        lifespan="on",
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the HTTP server ended before it started")
            await asyncio.sleep(0.01)
        host, port = listener.getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        if hasattr(app.state, "services"):  # other applications hold no long polls
            app.state.services.stopping.set()
        server.should_exit = True
        await task
