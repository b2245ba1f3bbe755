"""`lockserver sim`: some locks, a radio that other processes can join, and a control door.

When everything is up, one JSON line goes to stdout:

    {"ready": true, "radio": "tcp:127.0.0.1:4711", "control": "127.0.0.1:4712",
     "locks": [{"serial": …, "qr": …, "claim_code": …, "lock_id": …}, …]}

SIGTERM and Ctrl-C end it in good order; the locks' flash stays in the data folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from firmware_sim.control import Control
from firmware_sim.core.core import Settings
from firmware_sim.fleet import Fleet
from firmware_sim.links.mqtt import BrokerAddress


def main(argv: list[str] | None = None) -> int:
    """Run until told to stop. Returns the exit code."""
    arguments = _parse(argv)
    # bumble calls it an error when somebody leaves while a packet is on its way to him: on a radio it is not
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    try:
        asyncio.run(_run(arguments))
    except (OSError, ValueError) as error:
        print(f"sim: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lockserver sim", description=__doc__.splitlines()[0])
    parser.add_argument("--locks", type=int, default=3, help="how many locks (default 3)")
    parser.add_argument("--data", type=Path, required=True, help="folder of flash and factory files")
    parser.add_argument(
        "--radio", default="tcp:127.0.0.1:0", help="where phones reach the radio (tcp:HOST:PORT)"
    )
    parser.add_argument("--control", type=int, default=0, help="port of the control door (default: any)")
    parser.add_argument("--broker", help="HOST:PORT of the MQTT broker (default: none)")
    parser.add_argument("--broker-ca", type=Path, help="CA certificate: speak TLS to the broker")
    parser.add_argument("--auto-lock", type=int, default=5, help="seconds until the bolt goes back")
    parser.add_argument(
        "--network-enrolment", action="store_true", help="locks that nobody owns wait at the broker"
    )
    parser.add_argument("--gateways", type=int, default=0, help="how many BLE gateways (default 0)")
    return parser.parse_args(argv)


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    fleet = Fleet(arguments.data)
    control = Control(fleet)
    try:
        host, port = _address(arguments.radio.removeprefix("tcp:"))
        radio = await fleet.ether.listen(host, port)
        door = await control.listen(arguments.control)
        settings = Settings(auto_lock=arguments.auto_lock, network_enrolment=arguments.network_enrolment)
        await fleet.start(arguments.locks, _broker(arguments), settings)
        await fleet.start_gateways(arguments.gateways, _broker(arguments))
        ready = {
            "ready": True,
            "radio": f"tcp:{radio[0]}:{radio[1]}",
            "control": f"{door[0]}:{door[1]}",
            "locks": [
                {key: lock.state()[key] for key in ("serial", "qr", "claim_code", "lock_id")}
                for lock in fleet.locks
            ],
            "gateways": [{key: one.state()[key] for key in ("name", "gateway_id")} for one in fleet.gateways],
        }
        print(json.dumps(ready), flush=True)
        await stop.wait()
    finally:
        await control.close()
        await fleet.stop()


def _broker(arguments: argparse.Namespace) -> BrokerAddress | None:
    if arguments.broker is None:
        return None
    host, port = _address(arguments.broker)
    return BrokerAddress(host, port, arguments.broker_ca)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        message = f"an address is HOST:PORT, not {text!r}"
        raise ValueError(message)
    return host, int(port)


if __name__ == "__main__":
    raise SystemExit(main())
