"""Runs the mock province alone: its calls on one listener, the control door on loopback on another."""

import argparse
import asyncio
import contextlib
import ipaddress
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from police_sync.mock_province.app import province_app
from police_sync.mock_province.clerks import checking, messaging
from police_sync.mock_province.control import control_app
from police_sync.mock_province.desk import Desk, DeskSettings
from police_sync.mock_province.faults import FaultPlan
from police_sync.mock_province.gate import Application
from police_sync.mock_province.keys import control_token, load_client, open_ring
from police_sync.mock_province.population import people
from police_sync.mock_province.store import Store


class _Listener(uvicorn.Server):
    """A server that leaves signals to `serve`: two of them share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def port(self) -> int:
        """The port bound, also when 0 was asked for."""
        return int(self.servers[0].sockets[0].getsockname()[1])


def _listener(app: Application, host: str, port: int, **tls: str) -> _Listener:
    return _Listener(
        uvicorn.Config(
            app, host=host, port=port, access_log=False, log_level="warning", lifespan="off",
            server_header=False, timeout_graceful_shutdown=2, **tls,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    found = argparse.ArgumentParser(
        prog="province", description="A mock of a provincial residence register (not a real one)."
    )
    found.add_argument("--data", type=Path, required=True, help="folder of its store and keys")
    found.add_argument("--host", default="127.0.0.1", help="of the province's calls")
    found.add_argument("--port", type=int, default=8801, help="of the province's calls; 0: any")
    found.add_argument("--control-port", type=int, default=8802, help="control door, loopback; 0: any")
    found.add_argument("--check-seconds", type=float, default=1.0, help="until a check speaks")
    found.add_argument("--callback-url", help="where verdicts are sent")
    found.add_argument(
        "--client", type=Path, action="append", default=[], help="public key (PEM) of a client"
    )
    found.add_argument("--tls-cert", type=Path)
    found.add_argument("--tls-key", type=Path)
    found.add_argument("--population", type=int, default=0, help="invented people to begin with")
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--init-only", action="store_true", help="make keys and token, then end")
    return found


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM; prints one JSON line when ready."""
    data: Path = options.data
    ring = open_ring(data, datetime.now(UTC))
    store = Store(data / "province.sqlite3")
    settings = DeskSettings(options.check_seconds, options.callback_url)
    desk, plan = Desk(store, ring, settings), FaultPlan()
    for path in options.client:
        store.put_client(*load_client(path.read_bytes()))
    with store.transaction():
        store.put_people(people(options.seed, options.population))
    token = control_token(data)
    tls = {}
    if options.tls_cert is not None:
        tls = {"ssl_certfile": str(options.tls_cert), "ssl_keyfile": str(options.tls_key)}
    calls = _listener(province_app(desk, plan), options.host, options.port, **tls)
    control = _listener(control_app(desk, plan, token), "127.0.0.1", options.control_port)
    try:
        await _run(desk, calls, control, "https" if tls else "http", options)
    finally:
        store.close()


async def _run(
    desk: Desk, calls: _Listener, control: _Listener, scheme: str, options: argparse.Namespace
) -> None:
    def leave() -> None:
        calls.should_exit = control.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, leave)
    listening = [asyncio.create_task(server.serve()) for server in (calls, control)]
    clerks = [asyncio.create_task(clerk(desk)) for clerk in (checking, messaging)]
    try:
        while not (calls.started and control.started):
            if any(task.done() for task in listening):
                leave()  # a port is taken; uvicorn has said which
                break
            await asyncio.sleep(0.01)
        else:
            _say_ready(calls, control, scheme, options)
        done, _ = await asyncio.wait({*listening, *clerks}, return_when=asyncio.FIRST_COMPLETED)
        leave()
        for task in done:
            task.result()  # a clerk that ends has failed: that must not look like a clean stop
        await asyncio.gather(*listening)
    finally:
        for clerk_task in clerks:
            clerk_task.cancel()
        await asyncio.gather(*clerks, return_exceptions=True)


def _say_ready(calls: _Listener, control: _Listener, scheme: str, options: argparse.Namespace) -> None:
    control_url = f"http://127.0.0.1:{control.port}"
    line = {
        "event": "province.ready",
        "url": f"{scheme}://{options.host}:{calls.port}",
        "control": control_url,
        "ledger": f"{control_url}/ledger",
        "keys": str(options.data / "province_keys.json"),
        "token_file": str(options.data / "control.token"),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = parser().parse_args(argv)
    if (options.tls_cert is None) != (options.tls_key is None):
        parser().error("--tls-cert and --tls-key go together")
    open_ring(options.data, datetime.now(UTC))
    control_token(options.data)
    if options.init_only:
        return 0
    if options.tls_cert is None and not ipaddress.ip_address(options.host).is_loopback:
        parser().error("without TLS the province listens on loopback only")
    try:
        asyncio.run(serve(options))
    except SystemExit as ended:  # uvicorn's way of saying that a port is taken
        return int(ended.code or 1)
    return 0
