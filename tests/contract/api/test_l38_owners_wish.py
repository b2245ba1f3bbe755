"""L-38: a landlord's session alone, or his signature under something else, lets nobody into his house."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from lockserver.app import keep_house, sign_tenancy, spend_owners_wish
from lockserver.app.spend_wish import Taken, spend_wish
from lockserver.db.repositories.commands import Wishes
from lockserver.domain.canonical import b64url, dumps, unb64url
from lockserver.domain.lock import SpentWish
from lockserver.protocol.cose import peek
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.wish import Wish, WishOperation
from tests.support import app_door
from tests.support.app_door import App, Door

FRIEND, THIEVES_FRIEND = "13900000001", "13900000002"
LATER = "2036-03-02T04:00:00+00:00"


@dataclass
class Act:
    """One of the two things that a landlord grants by signing."""

    path: str
    operation: WishOperation
    target: str
    elsewhere: str
    body: dict[str, Any]
    landlord: App

    def signed(self, **given: Any) -> dict[str, Any]:
        """The body under the landlord's wish, for this target by his phone unless `given` says else."""
        chosen: dict[str, Any] = {"operation": self.operation, "target": self.target, "body": self.body}
        chosen |= given
        return self.landlord.wished(**chosen)

    async def send(self, body: dict[str, Any]) -> str:
        """The code with which it is refused; empty where it is done. Every time a new intent."""
        answer = await self.landlord.send("POST", self.path, body)
        return str(answer.json().get("code", ""))


async def an_act(door: Door, name: str) -> Act:
    landlord = await door.person()
    house, other = await landlord.house(), await landlord.house()
    if name == "staff":
        path = f"/houses/{house['id']}/staff"
        body: dict[str, Any] = {"phone": FRIEND}
        return Act(path, WishOperation.NAME_STAFF, house["id"], other["id"], body, landlord)
    room, elsewhere = house["rooms"][0], other["rooms"][0]
    lease = landlord.lease(room, FRIEND)
    body = {name: said for name, said in lease.items() if name not in {"wish", "salt"}}
    return Act("/tenancies", WishOperation.SIGN_TENANCY, room, elsewhere, body, landlord)


def granted(door: Door) -> int:
    """How many people were let in, as staff or by a lease."""
    [(count,)] = door.database.execute(
        "SELECT (SELECT count(*) FROM house_staff) + (SELECT count(*) FROM occupants)"
    )
    return int(count)


def swapped(act: Act) -> list[dict[str, Any]]:
    """The landlord's own sound wish, under each other thing that a thief may want of it."""
    wished = act.signed()
    if act.operation is WishOperation.NAME_STAFF:
        return [wished | {"phone": THIEVES_FRIEND}, wished | {"phone": f"+86{FRIEND}"}]
    minor = {"phone": THIEVES_FRIEND, "is_minor": True, "guardian_phone": FRIEND}
    return [
        wished | {"tenants": [THIEVES_FRIEND]},
        wished | {"tenants": [FRIEND, THIEVES_FRIEND]},
        wished | {"tenants": [FRIEND, minor]},
        wished | {"window": act.body["window"] | {"until": LATER}},
        wished | {"key_policy": "on_receipt"},
        wished | {"door_id": act.elsewhere},
        {name: said for name, said in wished.items() if name != "key_policy"},  # its own default, unsigned
    ]


ACTS = pytest.mark.parametrize("name", ["staff", "lease"])


@ACTS
async def test_L38_a_landlord_grants_by_his_phones_signature_and_once(door: Door, name: str) -> None:
    act = await an_act(door, name)
    wished = act.signed()
    assert await act.send(dict(reversed(wished.items()))) == "", "JSON in whatever order"
    assert granted(door) == 1
    assert await act.send(wished) == "wish_used"
    assert granted(door) == 1


def by_a_stranger(act: Act) -> dict[str, Any]:
    return act.signed(signer=EcdsaSigner(private_key(secrets.token_bytes)))


SPOILT: dict[str, tuple[Callable[[Act], dict[str, Any]], str]] = {
    "no wish": (lambda act: act.body, "invalid_request"),
    "no salt": (lambda act: {**act.body, "wish": act.signed()["wish"]}, "invalid_request"),
    "a short salt": (lambda act: act.signed() | {"salt": b64url(bytes(15))}, "invalid_request"),
    "another salt": (lambda act: act.signed() | {"salt": b64url(bytes(16))}, "wish_invalid"),
    "another key": (by_a_stranger, "wish_invalid"),
    "another target": (lambda act: act.signed(target=act.elsewhere), "wish_invalid"),
    "another operation": (lambda act: act.signed(operation=WishOperation.END_TENANCY), "wish_invalid"),
    "no digest": (
        lambda act: act.signed() | {"wish": act.landlord.wish(act.operation, act.target)},
        "wish_invalid",
    ),
    "expired": (lambda act: act.signed(life=0), "wish_expired"),
    "for next week": (lambda act: act.signed(life=7 * 86400), "wish_invalid"),
}


@ACTS
async def test_L38_a_stolen_session_lets_nobody_in(door: Door, name: str) -> None:
    act = await an_act(door, name)
    said = {spoil: await act.send(make(act)) for spoil, (make, _) in SPOILT.items()}
    assert said == {spoil: code for spoil, (_, code) in SPOILT.items()}
    assert granted(door) == 0


async def said_to_each(act: Act) -> list[str]:
    """What is said to each thing that the landlord did not sign, under his wish for another."""
    return [await act.send(body) for body in swapped(act)]


@ACTS
async def test_L38_a_wish_covers_whom_and_until_when(door: Door, name: str) -> None:
    act = await an_act(door, name)
    assert set(await said_to_each(act)) == {"wish_invalid"}
    assert granted(door) == 0
    assert await act.send(act.signed()) == "", "what he does sign is done"


async def said_to_a_tenants_phone(act: Act, door: Door, proof: str) -> str:
    """The thief's phone, in the landlord's session, proved in another way than an owner's is."""
    thief = App(door, act.landlord.number)
    thief.tokens = act.landlord.tokens
    await thief.enrol_phone()
    if proof != "pending":
        sql = "UPDATE phones SET state = 'active', proved_by = %s WHERE id = %s"
        door.database.execute(sql, proof, thief.phone_id)
    return await act.send(act.signed(signer=thief.signer))


@ACTS
async def test_L38_only_a_phone_that_a_button_proved_grants(door: Door, name: str) -> None:
    """Who has the number could have a phone proved as a tenant's, in a house of his own."""
    act = await an_act(door, name)
    for proof in ("pending", "face", "staff"):
        assert await said_to_a_tenants_phone(act, door, proof) == "phone_unknown", proof
    assert granted(door) == 0


async def kept(door: Door, act: Act) -> tuple[dict[str, Any], str]:
    """What was sent, and all that the database then holds of it."""
    wished = act.signed()
    assert await act.send(wished) == ""
    rows = [
        row
        for table in ("wishes", "idempotency", "audit_log", "house_staff", "accounts", "holders")
        for row in door.database.execute(f"SELECT t::text FROM {table} t")
    ]
    return wished, str(rows)


async def test_L38_what_is_kept_lets_nobody_try_numbers(door: Door) -> None:
    act = await an_act(door, "staff")
    wished, rows = await kept(door, act)
    assert unb64url(wished["wish"]).hex() in rows, "the wish itself is kept, as evidence"
    assert wished["salt"] not in rows
    assert unb64url(wished["salt"]).hex() not in rows
    assert hashlib.sha256(dumps(act.body)).hexdigest() not in rows


# ---------------------------------------------------------------------------------------- mutants


@ACTS
async def test_L38_mutant_a_landlord_who_need_not_sign_is_caught(
    door: Door, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = await an_act(door, name)

    async def believes(work: Any, _now: Any, _holder: Any, wished: Any, *_: Any) -> Taken:
        """Takes anything for a wish, and by a phone of his own."""
        phone = await work.phones.get(UUID(act.landlord.phone_id))
        payload: Any = peek(wished.wish)
        wish = Wish(payload[1], payload[2], WishOperation(payload[3]), payload[4])
        await work.wishes.spend(
            SpentWish(
                UUID(bytes=wish.wish_id), phone.holder_id, phone.id, "mutant", phone.id,
                door.clock.now(), wished.wish,
            )
        )  # fmt: skip
        return Taken(wish, phone)

    for module in (keep_house, sign_tenancy):
        monkeypatch.setattr(module, "spend_owners_wish", believes)
    assert await act.send(by_a_stranger(act)) == ""
    assert granted(door) == 1


@ACTS
async def test_L38_mutant_a_wish_for_whatever_comes_with_it_is_caught(
    door: Door, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = await an_act(door, name)

    async def looks_at_the_target(
        work: Any, now: Any, holder: Any, wished: Any, operation: Any, target: Any, _args: Any
    ) -> Any:
        return await spend_wish(work, now, holder, wished.wish, operation, target)

    for module in (keep_house, sign_tenancy):
        monkeypatch.setattr(module, "spend_owners_wish", looks_at_the_target)
    assert "" in await said_to_each(act)


async def test_L38_mutant_any_active_phone_is_caught(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    act = await an_act(door, "staff")

    async def by_a_button(*given: Any) -> Any:
        taken = await spend_wish(*given)
        return replace(taken, phone=replace(taken.phone, proved_by="button"))

    monkeypatch.setattr(spend_owners_wish, "spend_wish", by_a_button)
    assert await said_to_a_tenants_phone(act, door, "staff") == ""


async def test_L38_mutant_a_wish_that_is_not_written_down_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = await an_act(door, "staff")

    async def forgets(*_: Any) -> None:
        """Writes nothing."""

    monkeypatch.setattr(Wishes, "spend", forgets)
    wished = act.signed()
    assert [await act.send(wished) for _ in range(2)] != ["", "wish_used"]


async def test_L38_mutant_a_digest_without_its_salt_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = await an_act(door, "staff")

    def unsalted(_salt: bytes, canonical: bytes) -> bytes:
        return hashlib.sha256(canonical).digest()

    for module in (spend_owners_wish, app_door):
        monkeypatch.setattr(module, "digest_of", unsalted)
    _, rows = await kept(door, act)
    assert hashlib.sha256(dumps(act.body)).hexdigest() in rows
