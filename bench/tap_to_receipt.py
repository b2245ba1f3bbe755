"""`tap_to_receipt`: from the tap on "declare" to the province's receipt in the tenant's hand.

    python -m bench.tap_to_receipt [--tenants N]

Healthy province, capture excluded: every tenant is approved (by the staff route) beforehand. Roles api,
verify and relay, PostgreSQL and the mock province are processes of their own. Beside it, in turns with
the taps: three bare commits on the same server (what api, verify and relay must each write before they
may go on) and one HTTP round trip to the province.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bench.report import Figure, emit, p50, percentile, table
from lockserver.db.connection import driver_url
from lockserver.domain.phone_code import phone_code
from lockserver.ports import free_port
from lockserver.protocol.curve import public_bytes
from lockserver.run.installation import Wanted, open_installation
from lockserver.settings import Role
from tests.support.app_door import STAY, App, fields
from tests.support.served import Served

COMMITS = 3
WARM = 3
A_ROOM = 20
"""As many as one lease takes."""


async def approved(served: Served, count: int) -> list[tuple[App, str, dict[str, str]]]:
    """Tenants whose case staff have settled: app, case, card."""
    landlord, staff = await served.person(), await served.person()
    house = await landlord.house(rooms=-(-count // A_ROOM), capacity=A_ROOM)
    await landlord.ok("POST", f"/houses/{house['id']}/staff", landlord.staff_body(house["id"], staff.number))
    tenants = [await served.person() for _ in range(count)]
    ready = []
    for number, room in enumerate(house["rooms"]):
        here = tenants[number * A_ROOM : (number + 1) * A_ROOM]
        signed = await landlord.ok("POST", "/tenancies", landlord.lease(room, *(one.number for one in here)))
        for tenant in here:
            await tenant.enrol_phone()
            [duty] = (await tenant.ok("GET", f"/tenancies/{signed['id']}"))["duties"]
            case_id = (await tenant.open_case(duty["id"], route="staff"))["id"]
            card = fields()
            sealed = await staff.seal(case_id, {"fields": card, "outcome": "same_person"})
            code = phone_code(public_bytes(tenant.sign_key))
            await staff.ok("POST", f"/cases/{case_id}/staff-check", {"sealed": sealed, "phone_code": code})
            case = await tenant.case(case_id, wait=20)
            if case["state"] != "approved":
                raise RuntimeError(f"the case is {case['state']}")
            ready.append((tenant, case_id, card))
    return ready


async def tap(tenant: App, case_id: str, card: dict[str, str]) -> float:
    """Milliseconds from the declaration's POST until the app holds a receipt number."""
    sealed = await tenant.seal(case_id, {"fields": card, "stay": STAY})
    begun = time.perf_counter()
    await tenant.ok("POST", f"/cases/{case_id}/declaration", {"sealed": sealed})
    case = await tenant.case(case_id, wait=20)
    found: dict[str, Any] = {"receipt_no": None}
    while found["receipt_no"] is None:
        path = f"/registrations/{case['registration_id']}"
        found = await tenant.ok("GET", path, params={"wait": 20, "seen": "submitted"})
    return (time.perf_counter() - begun) * 1000


async def bare(connection: psycopg.AsyncConnection[Any], province: httpx.AsyncClient) -> float:
    """Milliseconds of three commits and one round trip, with nothing in between."""
    begun = time.perf_counter()
    for _ in range(COMMITS):
        async with connection.transaction():
            await connection.execute("INSERT INTO bare VALUES (%s)", (secrets.token_bytes(1024),))
    await province.get("/")
    return (time.perf_counter() - begun) * 1000


async def measure(count: int) -> list[Figure]:
    """Set everything up, tap and measure in turns, tear everything down."""
    folder = Path(tempfile.mkdtemp(prefix="lockserver-bench-"))
    installation = open_installation(Wanted(folder, port=free_port(), locks=0))
    taps: list[float] = []
    beside: list[float] = []
    try:
        await installation.make_keys()
        await installation.start_database()
        await installation.start_broker()
        await installation.start_province()
        await installation.start_roles((Role.VERIFY, Role.RELAY, Role.API))
        url = driver_url(installation.superuser_url)
        async with (
            httpx.AsyncClient(base_url=installation.api_url, timeout=40, trust_env=False) as http,
            httpx.AsyncClient(base_url=installation.province_url, trust_env=False) as province,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
        ):
            await connection.execute("CREATE TABLE bare (body bytea)")
            for number, one in enumerate(await approved(Served(installation, http), count + WARM)):
                took, raw = await tap(*one), await bare(connection, province)
                if number >= WARM:
                    taps.append(took)
                    beside.append(raw)
    finally:
        await installation.close()
        shutil.rmtree(folder, ignore_errors=True)
    return tell(taps, beside)


def tell(taps: list[float], beside: list[float]) -> list[Figure]:
    """p50 and p99, each beside the same percentile of the bare sequence."""
    return [
        emit(Figure("tap_to_receipt.p50", p50(taps), "ms", beside=p50(beside), n=len(taps))),
        emit(
            Figure(
                "tap_to_receipt.p99",
                percentile(taps, 0.99),
                "ms",
                beside=percentile(beside, 0.99),
                n=len(taps),
            )
        ),
    ]


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tenants", type=int, default=60)
    given = parser.parse_args()
    table(asyncio.run(measure(given.tenants)))


if __name__ == "__main__":
    main()
