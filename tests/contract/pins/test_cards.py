"""Cards read in at the lock: one slot for who held the key; taken cards are found; a report serves once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from firmware_sim.core.events import Sign
from lockserver.app import take_captures
from lockserver.domain.slot import Capture
from lockserver.protocol.access import Operation
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.curve import sha256
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App
from tests.support.keypad_house import KeypadHouse
from tests.support.people import fresh

pytestmark = pytest.mark.contract
CARD = bytes.fromhex("04a1b2c3d4e5f6")


async def capture(house: KeypadHouse, app: App, uid: bytes = CARD) -> None:
    """He asks the lock to read in, holds his card to it, and the report is heard."""
    kit = await house.party.at(app, house.room)
    assert kit is not None
    assert await house.visit_with(app, house.room, kit, Operation.CAPTURE) == "granted"
    assert house.present(house.room, uid) is Sign.CAPTURED
    await house.hear(house.room)


async def notices(app: App) -> list[tuple[str, Any]]:
    return [(one["kind"], one["detail"].get("code")) for one in await app.ok("GET", "/notices")]


async def test_a_card_opens_once_the_lock_has_said_that_it_holds_it(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    await capture(house, tenant)
    assert house.present(room, CARD) is Sign.DENIED, "captured is not given"
    await house.converge(room)
    [card] = [one for one in await house.slots(tenant, room) if one["kind"] == "card"]
    assert (card["state"], card["class"], card["whose"]) == ("set", "tenant", "mine")
    assert house.present(room, CARD) is Sign.OPEN
    assert (await house.remove(house.party.landlord, card["id"])).json()["code"] == "tenant_protected"
    assert (await house.remove(tenant, card["id"])).status_code == 202
    await house.converge(room)
    assert house.present(room, CARD) is Sign.DENIED


async def test_a_card_enrolled_twice_is_found_and_who_tried_is_told(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    await capture(house, tenant)
    await house.converge(room)
    assert await notices(tenant) == []
    await capture(house, tenant)
    await house.converge(room)
    assert await notices(tenant) == [("card_refused", "card_taken")]
    found = await house.party.landlord.ok("GET", f"/locks/{house.lock(room)}/findings")
    assert [one["kind"] for one in found] == ["card_taken"]
    assert len([one for one in await house.slots(tenant, room) if one["kind"] == "card"]) == 1


_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def as_it_was(report: bytes) -> tuple[bytes, bytes]:
    """(what a hostile bridge writes as its digest, the report)."""
    return sha256(report), report


def under_another_digest(report: bytes) -> tuple[bytes, bytes]:
    """The digest is a column that the bridge fills in."""
    return secrets.token_bytes(32), report


def with_its_twin(report: bytes) -> tuple[bytes, bytes]:
    """The same report under the other signature that holds for it: (r, n − s)."""
    signed = decode(report)
    assert isinstance(signed, list)
    s = int.from_bytes(signed[3][32:], "big")
    signed[3] = signed[3][:32] + (_ORDER - s).to_bytes(32, "big")
    other = encode(signed)
    assert other != report
    return sha256(other), other


async def put_again(house: KeypadHouse, told: Callable[[bytes], tuple[bytes, bytes]] = as_it_was) -> int:
    """A hostile bridge brings the report of a card that was taken out since; cards that are wanted then."""
    tenant, room, execute = house.party.tenant, house.room, house.door.database.execute
    await capture(house, tenant)
    await house.converge(room)
    [card] = [one for one in await house.slots(tenant, room) if one["kind"] == "card"]
    await house.remove(tenant, card["id"])
    await house.converge(room)
    [(report,)] = execute("SELECT report FROM captures")
    lock_id = house.party.locks[room]
    async with house.bridges[room].transactions.begin() as work:
        again = Capture(lock_id, lock_id, *told(bytes(report)))
        await work.captures.bring(again)
    await house.converge(room)
    [(wanted,)] = execute("SELECT count(*) FROM slots WHERE kind = 'card' AND state IN ('setting', 'set')")
    return int(wanted)


@pytest.mark.parametrize("told", [as_it_was, under_another_digest, with_its_twin])
async def test_a_kept_report_enrols_no_card_again(
    house: KeypadHouse, told: Callable[[bytes], tuple[bytes, bytes]]
) -> None:
    assert await put_again(house, told) == 0


async def by_a_lost_phone(house: KeypadHouse) -> int:
    """A thief reads his card in with a stolen phone that was declared lost since; cards that are wanted then.

    The lock is offline and does not know, so it takes the key; its report comes back some day.
    """
    tenant, room = house.party.tenant, house.room
    kit = await house.party.at(tenant, room)
    assert kit is not None
    house.unplug(room)
    lose = {"wish": tenant.wish(WishOperation.REMOVE_PHONE, tenant.phone_id)}
    assert (await tenant.send("DELETE", f"/phones/{tenant.phone_id}", lose)).status_code < 300
    assert await house.visit_with(tenant, room, kit, Operation.CAPTURE) == "granted"
    assert house.present(room, CARD) is Sign.CAPTURED
    house.airs[room].online = True
    await house.connect(room)
    await house.converge(room)
    [(wanted,)] = house.door.database.execute("SELECT count(*) FROM slots WHERE kind = 'card'")
    return int(wanted)


async def test_L08_a_lost_phone_reads_in_no_card_that_would_outlive_its_key(house: KeypadHouse) -> None:
    assert await by_a_lost_phone(house) == 0
    rows = house.door.database.execute("SELECT state, code FROM captures")
    assert rows == [("refused", "grant_missing")], "the report came, and was judged"


async def test_L08_mutant_a_card_by_whatever_key_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serves(*_: Any) -> bool:
        return True

    monkeypatch.setattr(take_captures, "_serves", serves)
    assert await by_a_lost_phone(house) == 1


async def test_mutant_reports_that_serve_twice_are_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.door.database.execute("ALTER TABLE captures DROP CONSTRAINT captures_digest_key")
    house.door.database.execute("CREATE UNIQUE INDEX ON captures (digest) WHERE state = 'new'")
    from lockserver.db.repositories.slots import Captures

    honest = Captures.bring

    async def bring(self: Any, capture: Capture) -> None:
        await self.add(capture)

    async def taken(*_: Any) -> list[Capture]:
        return []

    monkeypatch.setattr(Captures, "taken", taken)
    Captures.bring = bring  # type: ignore[method-assign]
    try:
        assert await put_again(house) == 1
    finally:
        Captures.bring = honest  # type: ignore[method-assign]


async def test_a_report_that_the_lock_did_not_sign_is_no_card(house: KeypadHouse) -> None:
    room, lock_id = house.room, house.party.locks[house.room]
    for forged in (b"not a report", house.desk(house.gate).lock.published[0]):
        async with house.bridges[room].transactions.begin() as work:
            capture = Capture(fresh(), lock_id, sha256(forged), forged)
            await work.captures.bring(capture)
    await house.converge(room)
    rows = house.door.database.execute("SELECT state, code IS NOT NULL FROM captures")
    assert rows == [("refused", True), ("refused", True)]
