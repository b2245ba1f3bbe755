"""L-08, L-45, L-46: what is frozen, revoked or cut reaches the lock's list, children too; a tenant's is his own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import false

from lockserver.app import change_grant, sign_for_grant
from lockserver.db.repositories import locks as lock_rows
from lockserver.protocol.claims import Claims
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App, Door
from tests.support.house_party import Party, a_party


async def caretaker_and_plumber(door: Door) -> tuple[Party, App, App, dict[str, Any], dict[str, Any]]:
    """Owner → caretaker → plumber, all at the gate."""
    party = await a_party(door)
    caretaker, plumber = await party.guest(), await party.guest()
    [staff] = await party.name(party.landlord, caretaker, party.gate, **{"class": "staff"})
    await party.kit(caretaker)
    [guest] = await party.name(caretaker, plumber, party.gate, window=party.window(1, begins=0.001))
    await party.pass_time(timedelta(minutes=5))
    return party, caretaker, plumber, staff, guest


class TestFreezing:
    async def test_L08_a_frozen_key_is_refused_by_a_lock_that_has_the_list(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        [given] = await party.name(party.tenant, guest, party.room)
        await party.pass_time(timedelta(seconds=5))
        kit = await party.at(guest, party.room)
        assert kit is not None
        assert party.tries(guest, party.room, kit) == "open"
        frozen = await party.act(party.tenant, "freeze", given["id"])
        assert frozen["state"] == "frozen"
        assert kit.credential is not None
        assert kit.credential.id.bytes in await party.listed(party.room)
        assert party.tries(guest, party.room, kit) == "open", "an offline lock does not know yet"
        assert await party.opens(party.tenant, party.room) == "open", "the tenant's phone carries the list in"
        assert party.tries(guest, party.room, kit, carried=False) == "revoked"
        assert await party.key(guest, party.room) == "no_grant"
        await party.act(party.tenant, "unfreeze", given["id"])
        assert await party.opens(guest, party.room) == "open"
        kinds = [one["kind"] for one in await guest.ok("GET", "/notices")]
        assert kinds == ["grant_unfrozen", "grant_frozen", "grant_given"]

    async def test_L08_children_stand_still_and_thaw_with_their_parent(self, door: Door) -> None:
        party, caretaker, plumber, staff, guest = await caretaker_and_plumber(door)
        assert await party.opens(plumber, party.gate) == "open"
        before = await party.key(plumber, party.gate)
        assert isinstance(before, Claims)
        await party.act(party.landlord, "freeze", staff["id"])
        assert before.cti in await party.listed(party.gate)
        assert await party.key(plumber, party.gate) == "grant_unfounded"
        shown = await plumber.ok("GET", f"/grants/{guest['id']}")
        assert (shown["state"], shown["held_up"]) == ("active", True)
        refused = await caretaker.send(
            "POST",
            f"/grants/{staff['id']}/unfreeze",
            {"wish": caretaker.wish(WishOperation.UNFREEZE, staff["id"])},
        )
        assert refused.json()["code"] == "not_allowed", "who froze it thaws it"
        await party.act(party.landlord, "unfreeze", staff["id"])
        assert await party.opens(plumber, party.gate) == "open"

    async def test_L08_a_revoked_grant_takes_its_children_along_for_good(self, door: Door) -> None:
        party, caretaker, plumber, staff, guest = await caretaker_and_plumber(door)
        keys = [await party.key(one, party.gate) for one in (caretaker, plumber)]
        await party.act(party.landlord, "revoke", staff["id"])
        assert {key.cti for key in keys if isinstance(key, Claims)} <= await party.listed(party.gate)
        for one in (caretaker, plumber):
            assert await party.key(one, party.gate) == "no_grant"
        [shown] = [one for one in await plumber.ok("GET", "/grants") if one["id"] == guest["id"]]
        assert shown["state"] == "revoked"
        again = await party.landlord.send(
            "POST",
            f"/grants/{staff['id']}/unfreeze",
            {"wish": party.landlord.wish(WishOperation.UNFREEZE, staff["id"])},
        )
        assert again.json()["code"] == "grant_ended"

    async def test_L08_the_lease_takes_its_guests_along(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        await party.name(party.tenant, guest, party.room, party.gate)
        keys = {where: await party.key(guest, where) for where in (party.room, party.gate)}
        tenancy = party.lease["id"]
        wish = party.tenant.wish(WishOperation.END_TENANCY, tenancy)
        await party.tenant.ok("POST", f"/tenancies/{tenancy}/end", {"wish": wish})
        for where, key in keys.items():
            assert isinstance(key, Claims)
            assert key.cti in await party.listed(where)
            assert await party.key(guest, where) == "no_grant"

    async def test_L08_mutant_a_list_that_looks_at_no_parent_is_caught(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The marks that freezing leaves taken away too: a crash between the two, say."""
        party, _, plumber, staff, _ = await caretaker_and_plumber(door)
        key = await party.key(plumber, party.gate)
        assert isinstance(key, Claims)
        await party.kit(plumber)
        door.database.execute(
            "UPDATE grants SET state = 'frozen', frozen_at = now(), frozen_by = holder_id WHERE id = %s",
            staff["id"],
        )
        with monkeypatch.context() as mutant:
            mutant.setattr(lock_rows, "_hangs_under_what_ended", false)
            assert key.cti not in await party.listed(party.gate)
        assert key.cti in await party.listed(party.gate)


class TestEditing:
    """L-46 through the API, and what an edit does to keys that were cut before."""

    async def test_L46_what_is_not_mentioned_is_kept_and_wider_is_refused(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        [given] = await party.name(party.tenant, guest, party.room, capabilities=["unlock", "lock"])
        end = party.window(1)["until"]
        narrow = (await party.edit(party.tenant, given["id"], window={"until": end})).json()
        assert narrow["capabilities"] == given["capabilities"]
        assert narrow["window"]["from"] == given["window"]["from"]
        for body, field in (
            ({"window": {"until": party.window(2)["until"]}}, "window"),
            ({"window": {"from": party.window(1, begins=-0.01)["from"]}}, "window"),
        ):
            problem = (await party.edit(party.tenant, given["id"], **body)).json()
            assert (problem["code"], problem["field"], problem["say"]) == ("widening_refused", field, "widen")
        fewer = (await party.edit(party.tenant, given["id"], capabilities=["unlock"])).json()
        assert fewer["window"] == narrow["window"]
        problem = (await party.edit(party.tenant, given["id"], capabilities=["unlock", "lock"])).json()
        assert problem["code"] == "widening_refused"
        wide = await party.edit(party.tenant, given["id"], capabilities=["unlock", "lock"], widen=True)
        assert wide.json()["capabilities"] == ["unlock", "lock"]
        outside = await party.edit(party.tenant, given["id"], window={"until": None}, widen=True)
        assert outside.json()["code"] == "window_wide", "inside his own, whatever he says"
        turned = await party.edit(party.tenant, given["id"], window={"until": "2026-03-02T03:00:00Z"})
        assert (turned.json()["code"], turned.json()["field"]) == ("window_invalid", "window.until")

    async def test_L46_a_key_that_says_more_than_the_edited_grant_goes_onto_the_list(
        self, door: Door
    ) -> None:
        party = await a_party(door)
        guest = await party.guest()
        [given] = await party.name(party.tenant, guest, party.room, capabilities=["unlock", "lock"])
        for body in ({"capabilities": ["unlock"]}, {"window": {"until": party.window(1)["until"]}}):
            key = await party.key(guest, party.room)
            assert isinstance(key, Claims)
            assert (await party.edit(party.tenant, given["id"], **body)).status_code == 200
            assert key.cti in await party.listed(party.room)
        after = await party.key(guest, party.room)
        assert isinstance(after, Claims)
        assert int(after.capabilities) == 1

    async def test_L46_what_hangs_under_an_edited_grant_is_cut_with_it(self, door: Door) -> None:
        party, caretaker, plumber, staff, guest = await caretaker_and_plumber(door)
        key = await party.key(plumber, party.gate)
        assert isinstance(key, Claims)
        until = party.window(0.5)["until"]
        assert (await party.edit(party.landlord, staff["id"], window={"until": until})).status_code == 200
        shown = await plumber.ok("GET", f"/grants/{guest['id']}")
        assert shown["window"]["until"] == until.replace("+00:00", "Z")
        assert key.cti in await party.listed(party.gate)
        # Widened again, the child stays cut: nobody said that it should reach further.
        back = party.window(1.5)["until"]
        wide = await party.edit(party.landlord, staff["id"], window={"until": back}, widen=True)
        assert wide.status_code == 200
        assert (await plumber.ok("GET", f"/grants/{guest['id']}"))["window"] == shown["window"]
        assert isinstance(await party.key(caretaker, party.gate), Claims)
        assert await party.opens(plumber, party.gate) == "open"


class TestATenantsOwn:
    """L-45: nobody but the tenant touches his way in, nor what he gave his guests."""

    async def acts(self, party: Party, by: App, grant_id: str) -> list[str]:
        """What is said to each act of his upon a grant."""
        said = []
        for verb in ("freeze", "unfreeze", "revoke"):
            wish = by.wish(WishOperation[verb.upper()], grant_id)
            answer = await by.send("POST", f"/grants/{grant_id}/{verb}", {"wish": wish})
            said.append(answer.json().get("code", ""))
        said.append(
            (await party.edit(by, grant_id, window={"until": party.window(1)["until"]}))
            .json()
            .get("code", "")
        )
        return said

    async def test_L45_no_landlord_or_staff_touches_a_tenants_way_in(self, door: Door) -> None:
        party = await a_party(door, tenants=2)
        caretaker, guest = await party.guest(), await party.guest()
        await party.name(party.landlord, caretaker, party.gate, **{"class": "staff"})
        await party.kit(caretaker)
        [visit] = await party.name(party.tenant, guest, party.room)
        mine = {one["door_id"]: one["id"] for one in await party.tenant.ok("GET", "/grants")}
        flatmate = party.lease["people"][1]
        for grant_id in (mine[party.room], mine[party.gate], visit["id"]):
            assert set(await self.acts(party, party.landlord, grant_id)) == {"tenant_protected"}
            assert set(await self.acts(party, caretaker, grant_id)) == {"tenant_protected"}
            assert set(await self.acts(party, flatmate, grant_id)) == {"not_found"}
        assert await party.opens(party.tenant, party.room) == "open"
        await party.pass_time(timedelta(seconds=5))
        assert await party.opens(guest, party.room) == "open"

    async def test_L45_a_tenant_freezes_his_own_key_and_thaws_it_and_ends_it_by_his_lease(
        self, door: Door
    ) -> None:
        party = await a_party(door)
        mine = {one["door_id"]: one["id"] for one in await party.tenant.ok("GET", "/grants")}
        key = await party.key(party.tenant, party.room)
        assert isinstance(key, Claims)
        assert await self.acts(party, party.tenant, mine[party.room]) == [
            "",
            "",
            "not_allowed",
            "not_allowed",
        ]
        assert key.cti in await party.listed(party.room)
        assert await party.opens(party.tenant, party.room) == "open"
        await party.act(party.tenant, "freeze", mine[party.gate])
        assert await party.key(party.tenant, party.gate) == "no_grant"
        assert isinstance(await party.key(party.tenant, party.room), Claims)

    async def test_L45_mutant_a_landlord_taken_for_a_grantor_is_caught(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        party = await a_party(door)
        mine = {one["door_id"]: one["id"] for one in await party.tenant.ok("GET", "/grants")}
        owners = await party.landlord.ok("GET", "/grants")
        [owner] = [one for one in owners if one["door_id"] == party.room]

        async def houses_own(work: Any, grant: Any) -> Any:
            return [await work.grants.get(owner["id"])]

        monkeypatch.setattr(change_grant, "above", houses_own)
        assert (await party.act(party.landlord, "freeze", mine[party.room]))["state"] == "frozen"
        monkeypatch.setattr(change_grant, "above", sign_for_grant.above)
        assert await party.key(party.tenant, party.room) == "no_grant", (
            "the way in is gone: what the law forbids"
        )
