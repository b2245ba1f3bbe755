"""L-38: no session, and nobody's phone but the right one, names, freezes, thaws, takes back, edits or lets in."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lockserver.app import allow_entry, change_grant, give_grants
from lockserver.db.repositories.commands import Wishes
from lockserver.protocol.curve import EcdsaSigner, Signer, private_key
from lockserver.protocol.wish import Arg, WishOperation
from tests.support.app_door import App, Door
from tests.support.house_party import Party, a_party, key_of

REASON = "水管爆裂，水已漫到楼下，须立即关阀"


@dataclass
class Act:
    """One thing that takes a signature: how it is sent, and what its wish is."""

    method: str
    path: str
    operation: WishOperation
    target: str
    by: App
    body: dict[str, Any] | None = None
    args: dict[str, Arg] | None = None
    expects: int = 200

    def signed(self, **given: Any) -> dict[str, Any]:
        """The request under the right wish, unless `given` says else."""
        chosen: dict[str, Any] = {"operation": self.operation, "target": self.target} | given
        operation, target = chosen.pop("operation"), chosen.pop("target")
        if self.body is not None:
            return self.by.wished(operation, target, chosen.pop("body", self.body), **chosen)
        return {"wish": self.by.wish(operation, target, args=self.args, **chosen)}

    async def send(self, body: dict[str, Any]) -> str:
        answer = await self.by.send(self.method, self.path, body)
        return "" if answer.status_code == self.expects else str(answer.json()["code"])


@dataclass
class Stage:
    """A party with a guest, each of whose acts can be tried; `state` is all that such an act could change."""

    party: Party
    guest: App
    given: dict[str, Any]

    def state(self) -> list[tuple[Any, ...]]:
        return self.party.door.database.execute(
            "SELECT id::text, state, upper::text, NULL FROM grants UNION ALL"
            " SELECT id::text, kind, upper::text, ended_at::text FROM entries ORDER BY 1"
        )

    async def act(self, name: str) -> Act:
        party, grant = self.party, self.given["id"]
        window = party.window(1)
        lock = str(party.locks[party.room])
        if name == "name":
            stranger = await party.guest()
            body = {
                "door_ids": [party.room],
                "class": "guest",
                "guest_key": key_of(stranger),
                "window": window,
            }
            return Act(
                "POST", "/grants", WishOperation.NAME_GUEST, party.room, party.tenant, body, expects=201
            )
        if name == "edit":
            body = {"window": {"until": window["until"]}}
            return Act("PATCH", f"/grants/{grant}", WishOperation.EDIT_GRANT, grant, party.tenant, body)
        if name in {"freeze", "unfreeze", "revoke"}:
            operation = WishOperation[name.upper()]
            return Act("POST", f"/grants/{grant}/{name}", operation, grant, party.tenant)
        until = int(party.door.clock.now().timestamp()) + 3600
        path = f"/locks/{lock}/entries"
        if name == "consent":
            args: dict[str, Arg] = {"from": until - 3600, "until": until, "class": 1}
            return Act("POST", path, WishOperation.CONSENT_ENTRY, lock, party.tenant, args=args, expects=201)
        if name == "emergency":
            args = {"reason": REASON, "until": until}
            return Act(
                "POST", path, WishOperation.EMERGENCY_ENTRY, lock, party.landlord, args=args, expects=201
            )
        consent = await self.act("consent")
        entry = (await party.tenant.ok("POST", consent.path, consent.signed()))["id"]
        return Act("POST", f"/entries/{entry}/end", WishOperation.REVOKE, entry, party.tenant)


NAMES = ("name", "edit", "freeze", "unfreeze", "revoke", "consent", "emergency", "end")


async def a_stage(door: Door) -> Stage:
    party = await a_party(door)
    guest = await party.guest()
    [given] = await party.name(party.tenant, guest, party.room)
    await party.kit(guest)
    return Stage(party, guest, given)


async def swapped_sim(stage: Stage, victim: App, proof: str) -> App:
    """Who has the victim's session, and a phone of his own that was proved in a house of his own."""
    thief = App(stage.party.door, victim.number)
    thief.tokens = victim.tokens
    await thief.enrol_phone()
    if proof != "pending":
        sql = "UPDATE phones SET state = 'active', proved_by = %s WHERE id = %s"
        stage.party.door.database.execute(sql, proof, thief.phone_id)
    return thief


def strangers_key() -> Signer:
    return EcdsaSigner(private_key(secrets.token_bytes))


async def test_L38_each_act_takes_its_own_wish_once(door: Door) -> None:
    stage = await a_stage(door)
    for name in NAMES:
        act = await stage.act(name)
        before = stage.state()
        elsewhere = str(stage.party.lease["id"])
        spoilt: dict[str, tuple[dict[str, Any], str]] = {
            "no wish": ({**(act.body or {})}, "invalid_request"),
            "another's key": (act.signed(signer=strangers_key()), "wish_invalid"),
            "another target": (act.signed(target=elsewhere), "wish_invalid"),
            "another operation": (act.signed(operation=WishOperation.END_TENANCY), "wish_invalid"),
            "expired": (act.signed(life=0), "wish_expired"),
            "for next week": (act.signed(life=7 * 86400), "wish_invalid"),
        }
        for how, (body, code) in spoilt.items():
            assert await act.send(body) == code, (name, how)
        assert stage.state() == before, name
        sound = act.signed()
        if name == "revoke":
            continue  # tried last: it ends what the others act upon
        assert await act.send(sound) == "", name
        after = stage.state()
        assert await act.send(sound) in {"wish_used", "grant_ended"}, name
        assert stage.state() == after, name
    revoke = await stage.act("revoke")
    assert await revoke.send(revoke.signed()) == ""


async def test_L38_a_swapped_sim_names_freezes_and_lets_in_nobody(door: Door) -> None:
    stage = await a_stage(door)
    acts = [await stage.act(name) for name in NAMES]
    before = stage.state()
    for proof in ("pending", "face", "staff", "grantor"):
        thieves = {
            who.number: await swapped_sim(stage, who, proof)
            for who in (stage.party.tenant, stage.party.landlord)
        }
        for act in acts:
            act.by = thieves[act.by.number]
            assert await act.send(act.signed()) == "phone_unknown", (act.path, proof)
    # Even one that a button proved is none of a tenant's.
    thief = await swapped_sim(stage, stage.party.tenant, "button")
    for act in acts:
        if act.by.number == stage.party.tenant.number:
            act.by = thief
            assert await act.send(act.signed()) == "phone_unknown", act.path
    assert stage.state() == before


async def test_L38_a_wish_covers_whom_where_and_until_when(door: Door) -> None:
    stage = await a_stage(door)
    friend = await stage.party.guest()
    name, edit = await stage.act("name"), await stage.act("edit")
    before = stage.state()
    wider = stage.party.window(1.5)
    for act, changes in (
        (name, {"guest_key": key_of(friend)}),
        (name, {"door_ids": [stage.party.room, stage.party.gate]}),
        (name, {"window": wider}),
        (name, {"capabilities": ["unlock", "lock"]}),
        (name, {"uses": 1}),
        (edit, {"window": {"until": wider["until"]}}),
        (edit, {"widen": True}),
        (edit, {"capabilities": ["lock"]}),
    ):
        assert await act.send(act.signed() | changes) == "wish_invalid", changes
    assert stage.state() == before


async def test_L38_a_guests_phone_signs_for_what_it_was_named_for_and_no_more(door: Door) -> None:
    stage = await a_stage(door)
    path = f"/grants/{stage.given['id']}"
    second = await swapped_sim(stage, stage.guest, "grantor")
    for verb in ("freeze", "revoke"):
        operation = WishOperation[verb.upper()]
        wish = second.wish(operation, stage.given["id"])
        assert (await second.send("POST", f"{path}/{verb}", {"wish": wish})).json()["code"] == "phone_unknown"
    own = {"wish": stage.guest.wish(WishOperation.FREEZE, stage.given["id"])}
    assert (await stage.guest.send("POST", f"{path}/freeze", own)).status_code == 200
    edit = stage.guest.wished(WishOperation.EDIT_GRANT, stage.given["id"], {"capabilities": ["unlock"]})
    assert (await stage.guest.send("PATCH", path, edit)).json()["code"] == "not_allowed"


# ---------------------------------------------------------------------------------------- mutants

Mutant = Callable[[pytest.MonkeyPatch], None]


def believes_any_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def signs(*_: Any) -> None:
        """Asks not whose phone it is."""

    for module in (change_grant, give_grants):
        monkeypatch.setattr(module, "check_signs", signs)


def believes_any_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    async def consents(*_: Any) -> bool:
        return True

    monkeypatch.setattr(allow_entry, "consents", consents)


@pytest.mark.parametrize(
    ("mutant", "caught_by"),
    [
        (believes_any_phone, test_L38_a_swapped_sim_names_freezes_and_lets_in_nobody),
        (believes_any_resident, test_L38_a_swapped_sim_names_freezes_and_lets_in_nobody),
    ],
)
async def test_L38_mutant_an_act_without_its_check_is_caught(
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    mutant: Mutant,
    caught_by: Callable[[Door], Awaitable[None]],
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match=r"phone_unknown|wish_used"):
        await caught_by(door)


async def test_L38_mutant_a_wish_that_is_not_written_down_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await a_stage(door)
    freeze = await stage.act("freeze")

    async def forgets(*_: Any) -> None:
        """Writes nothing."""

    monkeypatch.setattr(Wishes, "spend", forgets)
    sound = freeze.signed()
    assert [await freeze.send(sound) for _ in range(2)] != ["", "wish_used"]
