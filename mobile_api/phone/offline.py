"""A phone in a process of its own, without a network, opens a door.

    python -m mobile_api.phone.offline --bundle FILE --radio tcp:HOST:PORT --lock ID

Prints one JSON object: what the lock said, how long it took, how many HCI packets went between this
phone and its radio, which sockets the process holds and every network act since its start. Exit code 0
if the lock granted, 1 if it refused, 2 if there was no door, no key, or not the pinned lock.
"""

from __future__ import annotations

from mobile_api.phone.sockets import open_sockets, watch

_WITNESS = watch()  # before the imports below: nothing may go by unseen

import argparse  # noqa: E402
import asyncio  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from lockserver.protocol.access import Operation  # noqa: E402
from lockserver.protocol.errors import RemoteError  # noqa: E402
from mobile_api.phone.errors import PhoneError  # noqa: E402
from mobile_api.phone.phone import Phone  # noqa: E402
from mobile_api.phone.radio import PhoneRadio  # noqa: E402

GRANTED, REFUSED, FAILED = 0, 1, 2


def main(argv: list[str] | None = None) -> int:
    """Open a door and say how it went. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="mobile_api.phone.offline", description="Open a door offline.")
    parser.add_argument("--bundle", type=Path, required=True, help="the phone's key bundle")
    parser.add_argument("--radio", required=True, help="tcp:HOST:PORT of the radio")
    parser.add_argument("--lock", required=True, help="the lock's id (hex or UUID)")
    parser.add_argument("--operation", choices=[o.name.lower() for o in Operation], default="unlock")
    parser.add_argument(
        "--carry-nothing", action="store_true", help="bring the lock no documents, only the key"
    )
    arguments = parser.parse_args(argv)
    code, answer = asyncio.run(_run(arguments))
    sys.stdout.write(json.dumps(answer) + "\n")
    return code


async def _run(arguments: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    answer: dict[str, Any] = {"radio": arguments.radio}
    lock_id = bytes.fromhex(arguments.lock.replace("-", ""))
    try:
        phone = Phone.load(arguments.bundle)
        radio = await PhoneRadio.open(arguments.radio)
    except (OSError, ValueError, KeyError) as error:
        return FAILED, answer | {"ok": False, "code": "no_radio_or_bundle", "detail": str(error)}
    started = time.perf_counter()
    try:
        operation = Operation[arguments.operation.upper()]
        visit = await phone.open(radio, lock_id, operation=operation, carry=not arguments.carry_nothing)
        answer |= {
            "ok": visit.opened,
            "code": visit.answer.code.word,
            "bolt": visit.answer.bolt.name.lower(),
            "lock_time": visit.answer.time,
            "journal": visit.answer.journal.number,
            "reports_carried": len(visit.reports),
        }
        code = GRANTED if visit.opened else REFUSED
    except PhoneError as error:
        answer |= {"ok": False, "code": error.code, "detail": str(error)}
        code = REFUSED if error.code == "refused" else FAILED
    except RemoteError as error:
        answer |= {"ok": False, "code": error.code.word, "detail": "not the pinned lock"}
        code = FAILED
    answer |= {
        "ms": round((time.perf_counter() - started) * 1000, 1),
        "hci_packets": radio.count.total,
        "hci_sent": radio.count.sent,
        "hci_received": radio.count.received,
        "sockets": open_sockets(),
        "network_acts": list(_WITNESS.acts),
    }
    await radio.close()
    return code, answer


if __name__ == "__main__":
    raise SystemExit(main())
