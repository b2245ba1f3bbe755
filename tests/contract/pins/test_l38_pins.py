"""L-38: a stolen session, a swapped SIM, a wish for something else: no PIN is read, set or removed by them."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from firmware_sim.core.events import Sign
from lockserver.app import find_standing
from lockserver.domain.canonical import b64url
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App
from tests.support.keypad_house import BETTER, GOOD, KeypadHouse

pytestmark = pytest.mark.contract


def asks(house: KeypadHouse, slot: str) -> dict[str, tuple[str, WishOperation, str, dict[str, Any]]]:
    """Route, operation, target, arguments of each thing that is asked about PINs."""
    room, lock = house.room, house.lock(house.room)
    start = int(house.door.clock.now().timestamp()) + 7200
    box = {"pin": house.pin_box(room, BETTER)}
    return {
        "offline": (f"/locks/{lock}/pins/offline", WishOperation.READ_PIN, lock, {"code": 1, "start": start}),
        "backup": (f"/locks/{lock}/pins/backup", WishOperation.READ_PIN, lock, {"backup": 1}),
        "set": (f"/locks/{lock}/pins", WishOperation.SET_PIN, lock, box),
        "remove": (f"/slots/{slot}/remove", WishOperation.REMOVE_SLOT, slot, {}),
    }


async def with_a_pin(house: KeypadHouse) -> str:
    slot = (await house.choose(house.party.tenant, house.room, GOOD)).json()["id"]
    await house.converge(house.room)
    return str(slot)


def nothing_happened(house: KeypadHouse) -> bool:
    [(pins,)] = house.door.database.execute("SELECT count(*) FROM offline_pins")
    [(changed,)] = house.door.database.execute(
        "SELECT count(*) FROM slots WHERE state NOT IN ('set', 'unset')"
        " OR (purpose = 'backup' AND holder_id IS NOT NULL)"
    )
    return bool(pins == 0 and changed == 0)


async def test_L38_a_stolen_session_reads_sets_and_removes_no_pin(house: KeypadHouse) -> None:
    tenant, slot = house.party.tenant, await with_a_pin(house)
    thief = EcdsaSigner(private_key(secrets.token_bytes))
    for path, operation, target, args in asks(house, slot).values():
        other = next(one for one in (WishOperation.UNLOCK, WishOperation.REVOKE) if one is not operation)
        spoilt = {
            "another key": tenant.wish(operation, target, args=args, signer=thief),
            "another operation": tenant.wish(other, target, args=args),
            "another lock": tenant.wish(operation, house.lock(house.gate), args=args),
            "expired": tenant.wish(operation, target, args=args, life=0),
            "for next week": tenant.wish(operation, target, args=args, life=7 * 86400),
            "noise": b64url(secrets.token_bytes(200)),
        }
        for name, wish in spoilt.items():
            answer = await tenant.send("POST", path, {"wish": wish})
            assert answer.json()["code"] in {"wish_invalid", "wish_expired"}, (path, name, answer.text)
    assert nothing_happened(house)
    assert house.key_in(house.room, GOOD) is Sign.OPEN


async def by_a_phone_of(house: KeypadHouse, proof: str, slot: str) -> dict[str, str]:
    """The codes that a thief gets with the tenant's number and a phone of his own, proved elsewhere."""
    thief = App(house.door, house.party.tenant.number)
    await thief.log_in()
    await thief.enrol_phone()
    if proof != "pending":
        sql = "UPDATE phones SET state = 'active', proved_by = %s WHERE id = %s"
        house.door.database.execute(sql, proof, thief.phone_id)
    said = {}
    for name, (path, operation, target, args) in asks(house, slot).items():
        answer = await thief.send("POST", path, {"wish": thief.wish(operation, target, args=args)})
        said[name] = answer.json().get("code", "done") if answer.status_code >= 300 else "done"
    return said


@pytest.mark.parametrize("proof", ["pending", "button", "staff", "face"])
async def test_L38_a_swapped_sims_phone_proved_elsewhere_gets_no_pin(house: KeypadHouse, proof: str) -> None:
    slot = await with_a_pin(house)
    assert set((await by_a_phone_of(house, proof, slot)).values()) == {"phone_unknown"}
    assert nothing_happened(house)


async def test_L38_mutant_any_active_phone_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = await with_a_pin(house)

    async def any_phone(*_: Any) -> None:
        """Asks for no proof that belongs to this lease."""

    async def allows(*_: Any) -> Any:
        return None

    monkeypatch.setattr(find_standing, "check_signs", any_phone)
    monkeypatch.setattr(find_standing, "may_hold", allows)
    said = await by_a_phone_of(house, "staff", slot)
    assert "done" in said.values()
    assert not nothing_happened(house)


async def test_L38_mutant_a_session_that_needs_no_signature_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wish is read, whoever signed it."""
    slot = await with_a_pin(house)
    from lockserver.app import spend_wish
    from lockserver.protocol.cose import peek_kid

    monkeypatch.setattr(spend_wish, "read_wish", lambda raw, _public: read_anybodys(raw))
    monkeypatch.setattr(spend_wish, "key_id", lambda _public: peek_kid(wish_of["raw"], limit=512))
    tenant = house.party.tenant
    path, operation, target, args = asks(house, slot)["offline"]
    thief = EcdsaSigner(private_key(secrets.token_bytes))
    from lockserver.domain.canonical import unb64url

    forged = tenant.wish(operation, target, args=args, signer=thief)
    wish_of["raw"] = unb64url(forged)
    public_of["thief"] = thief.public
    answer = await tenant.send("POST", path, {"wish": forged})
    assert answer.status_code == 201
    assert not nothing_happened(house)


wish_of: dict[str, bytes] = {}
public_of: dict[str, bytes] = {}


def read_anybodys(raw: bytes) -> Any:
    from lockserver.protocol.wish import read_wish

    return read_wish(raw, public_of["thief"])
