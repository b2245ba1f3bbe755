"""Leases: the duty is made with them (L-23), and nobody but who lives there ends them early (L-45, L-38)."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest

from lockserver.app import end_tenancy, sign_tenancy
from lockserver.app.end_tenancy import end_over_tenancies
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.wish import WishOperation
from tests.contract.api.test_registration_api import duty_of, moved_in
from tests.support.app_door import App, Door, fields

END = WishOperation.END_TENANCY


def count(door: Door, table: str) -> int:
    return int(door.database.execute(f"SELECT count(*) FROM {table}")[0][0])


async def approved_tenant(door: Door) -> tuple[App, App, dict[str, Any]]:
    landlord, tenant, signed = await moved_in(door)
    case_id = await tenant.capture(duty_of(signed), card := fields())
    await tenant.declare(case_id, card)
    return landlord, tenant, signed


class TestSigning:
    async def test_L23_one_transaction_writes_lease_grants_and_one_duty_each(self, door: Door) -> None:
        landlord = await door.person()
        house = await landlord.house(capacity=3)
        lease = landlord.lease(house["rooms"][0], "13900000001", "13900000002")
        signed = await landlord.ok("POST", "/tenancies", lease)
        assert {one["kind"] for one in signed["duties"]} == {"arrival"}
        assert len({one["holder_id"] for one in signed["duties"]}) == len(signed["duties"]) == 2
        assert all(one["rule_id"] and one["due_at"] for one in signed["duties"])
        grants = door.database.execute(
            "SELECT d.kind, g.epoch FROM grants g JOIN doors d ON d.id = g.door_id"
            " WHERE g.tenancy_id = %s ORDER BY 1", signed["id"],
        )  # fmt: skip
        assert grants == [("gate", None)] * 2 + [("room", 1)] * 2
        links = {one["link"] for one in signed["invites"]}
        assert len(links) == 2

    @pytest.mark.parametrize("broken", ["duties", "audit_log", "grants"])
    async def test_L23_a_crash_anywhere_in_signing_leaves_nothing(self, door: Door, broken: str) -> None:
        landlord = await door.person()
        house = await landlord.house()
        before = count(door, "grants")
        door.database.execute(
            "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$;"
            f"CREATE TRIGGER dies BEFORE INSERT ON {broken} FOR EACH ROW EXECUTE FUNCTION dies()"
        )
        answer = await landlord.send("POST", "/tenancies", landlord.lease(house["rooms"][0], "13900000001"))
        assert answer.status_code == 500
        counted = {table: count(door, table) for table in ("tenancies", "occupants", "duties")}
        assert set(counted.values()) == {0}
        assert count(door, "grants") == before

    async def test_L23_mutant_a_signing_that_forgets_the_duty_does_not_commit(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = sign_tenancy._move_in

        async def forgets(work: Any, *rest: Any) -> Any:
            class Forgetful:
                async def add(self, _duty: Any) -> None:
                    """Writes nothing."""

            monkeypatch.setattr(type(work), "duties", Forgetful(), raising=True)
            return await honest(work, *rest)

        monkeypatch.setattr(sign_tenancy, "_move_in", forgets)
        landlord = await door.person()
        house = await landlord.house()
        answer = await landlord.send("POST", "/tenancies", landlord.lease(house["rooms"][0], "13900000001"))
        assert (answer.status_code, answer.json()["code"]) == (409, "integrity_refused")
        assert count(door, "tenancies") == 0

    async def test_L45_a_lease_for_a_gap_does_not_outrank_the_later_one_that_is_signed(
        self, door: Door
    ) -> None:
        """Epochs rise with each signature: the gap's tenant would kill the later one's keys with his first use."""
        assert await gap_is_refused(door) == (409, "lease_order")

    async def test_L45_mutant_leases_signed_in_any_order_are_caught(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def lets(*_: object) -> None:
            """Looks at no other lease."""

        monkeypatch.setattr(sign_tenancy, "_last_in_time", lets)
        assert await gap_is_refused(door) != (409, "lease_order")

    async def test_a_room_has_one_living_tenancy_and_windows_that_touch_do_not_meet(self, door: Door) -> None:
        landlord = await door.person()
        room = (await landlord.house())["rooms"][0]
        now = door.clock.now()
        first = landlord.lease(room, "13900000001", lower=now, upper=now + timedelta(days=10))
        inside = landlord.lease(
            room, "13900000002", lower=now + timedelta(days=9), upper=now + timedelta(days=20)
        )
        touching = landlord.lease(
            room, "13900000002", lower=now + timedelta(days=10), upper=now + timedelta(days=20)
        )
        one = await landlord.ok("POST", "/tenancies", first)
        refused = await landlord.send("POST", "/tenancies", inside)
        assert refused.json()["code"] == "room_taken"
        two = await landlord.ok("POST", "/tenancies", touching)
        assert (one["epoch"], two["epoch"]) == (1, 2)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"tenants": ["13900000001", "13900000001"]}, "room_full"),
            ({"tenants": ["13900000001", "13900000002", "13900000003"]}, "room_full"),
            ({"tenants": ["not a number"]}, "invalid_request"),
            ({"tenants": [{"phone": "13900000001", "is_minor": True}]}, "guardian_missing"),
            ({"window": {"from": "2026-03-05T00:00:00Z", "until": "2026-03-05T00:00:00Z"}}, "window_invalid"),
            ({"window": {"from": "2020-03-05T00:00:00Z", "until": "2021-03-05T00:00:00Z"}}, "window_invalid"),
        ],
    )
    async def test_what_cannot_be_leased_is_refused_with_its_code(
        self, door: Door, change: dict[str, Any], code: str
    ) -> None:
        landlord = await door.person()
        room = (await landlord.house(capacity=2))["rooms"][0]
        answer = await landlord.send("POST", "/tenancies", landlord.lease(room, "13900000001", **change))
        assert answer.json()["code"] == code
        gate = (await landlord.ok("GET", "/houses"))[0]["doors"][0]["id"]
        answer = await landlord.send("POST", "/tenancies", landlord.lease(gate, "13900000001"))
        assert answer.json()["code"] == "not_a_room"

    async def test_L45_a_landlord_is_no_tenant_of_his_own_lease(self, door: Door) -> None:
        """He would hold a tenant's key to a room that others live in."""
        landlord = await door.person()
        room = (await landlord.house(capacity=2))["rooms"][0]
        answer = await landlord.send(
            "POST", "/tenancies", landlord.lease(room, "13900000001", landlord.number)
        )
        assert (answer.json()["code"], answer.json()["field"]) == ("landlord_occupant", "tenants")
        assert count(door, "tenancies") == 0

    async def test_a_minor_lives_there_with_a_guardian(self, door: Door) -> None:
        landlord = await door.person()
        room = (await landlord.house(capacity=2))["rooms"][0]
        child = {"phone": "13900000002", "is_minor": True, "guardian_phone": "13900000001"}
        lease = landlord.lease(room, tenants=["13900000001", child])
        signed = await landlord.ok("POST", "/tenancies", lease)
        assert len(signed["duties"]) == 2

    async def test_an_invite_opens_for_its_own_number_only_and_the_duty_needs_no_opening(
        self, door: Door
    ) -> None:
        _, tenant, signed = await moved_in(door)
        token = signed["invites"][0]["token"]
        stranger = await door.person()
        assert (await stranger.send("GET", f"/invites/{token}")).json()["code"] == "invite_invalid"
        first = await tenant.ok("POST", f"/invites/{token}/accept")
        again = await tenant.ok("POST", f"/invites/{token}/accept")
        assert first == again
        assert first["accepted"]
        assert door.database.execute("SELECT invite_hash FROM occupants")[0][0] != token.encode()


class TestEnding:
    async def test_the_tenants_wish_ends_the_lease_its_grants_and_files_the_departure(
        self, door: Door
    ) -> None:
        landlord, tenant, signed = await approved_tenant(door)
        wish = tenant.wish(END, signed["id"])
        ended = await tenant.ok("POST", f"/tenancies/{signed['id']}/end", {"wish": wish})
        assert (ended["state"], ended["awaited"]) == ("ended", 0)
        seen = await landlord.ok("GET", f"/tenancies/{signed['id']}")
        assert {one["kind"]: one["state"] for one in seen["duties"]}["departure"] == "filed"
        states = door.database.execute(
            "SELECT DISTINCT state FROM grants WHERE tenancy_id = %s", signed["id"]
        )
        assert states == [("revoked",)]
        rows = door.database.execute("SELECT kind, seq FROM outbox ORDER BY seq")
        assert rows == [("register", 1), ("departure", 2)]
        ledger = await tenant.ok("GET", "/ledger")
        assert ledger[0]["field_names"] == ["departed_on", "departure_reason"]

    async def test_L45_a_landlord_cannot_end_a_living_tenancy(self, door: Door) -> None:
        landlord, _, signed = await approved_tenant(door)
        wish = landlord.wish(END, signed["id"])
        answer = await landlord.send("POST", f"/tenancies/{signed['id']}/end", {"wish": wish})
        assert answer.status_code == 404
        paths = door.app.openapi()["paths"]
        deletes = {path for path, operations in paths.items() if "delete" in operations}
        assert deletes == {"/v1/login", "/v1/phones/{phone_id}"}

    async def test_L45_a_cotenant_alone_ends_nobodys_way_in(self, door: Door) -> None:
        landlord = await door.person()
        house = await landlord.house(capacity=2)
        pair = [await door.person(), await door.person()]
        lease = landlord.lease(house["rooms"][0], *(one.number for one in pair))
        signed = await landlord.ok("POST", "/tenancies", lease)
        for one in pair:
            await one.enrol_phone()
            duty = (await one.ok("GET", f"/tenancies/{signed['id']}"))["duties"]
            assert len(duty) == 1, "an occupant sees his own duty only"
            await one.capture(duty[0]["id"], fields())
        path = f"/tenancies/{signed['id']}/end"
        first = await pair[0].ok("POST", path, {"wish": pair[0].wish(END, signed["id"])})
        assert (first["state"], first["awaited"]) == ("signed", 1)
        assert count(door, "grants WHERE state = 'revoked'") == 0
        second = await pair[1].ok("POST", path, {"wish": pair[1].wish(END, signed["id"])})
        assert (second["state"], second["awaited"]) == ("ended", 0)

    async def test_L45_a_wish_to_end_is_void_after_two_weeks(self, door: Door) -> None:
        """One adult's wish of last year and the other's of today are no common wish."""
        landlord = await door.person()
        house = await landlord.house(capacity=2)
        pair = [await door.person(), await door.person()]
        lease = landlord.lease(house["rooms"][0], *(one.number for one in pair))
        signed = await landlord.ok("POST", "/tenancies", lease)
        for one in pair:
            await one.enrol_phone()
            duty = (await one.ok("GET", f"/tenancies/{signed['id']}"))["duties"]
            await one.capture(duty[0]["id"], fields())
        path = f"/tenancies/{signed['id']}/end"
        answers = []
        for one, wait in (
            (pair[0], timedelta(days=14, minutes=11)),
            (pair[1], timedelta(days=13)),
            (pair[0], None),
        ):
            answers.append(await one.ok("POST", path, {"wish": one.wish(END, signed["id"])}))
            if wait is not None:
                door.clock.move(wait)
                for each in pair:
                    await each.log_in()
        assert [(one["state"], one["awaited"]) for one in answers] == [
            ("signed", 1),
            ("signed", 1),
            ("ended", 0),
        ]

    @pytest.mark.parametrize(
        ("spoil", "code"),
        [
            ("other_key", "wish_invalid"),
            ("other_target", "wish_invalid"),
            ("other_operation", "wish_invalid"),
            ("expired", "wish_expired"),
            ("far_future", "wish_invalid"),
            ("garbage", "wish_invalid"),
            ("used", "wish_used"),
        ],
    )
    async def test_L38_a_stolen_session_ends_nothing(self, door: Door, spoil: str, code: str) -> None:
        _, tenant, signed = await approved_tenant(door)
        tenancy_id = signed["id"]
        wishes = {
            "other_key": lambda: tenant.wish(
                END, tenancy_id, signer=EcdsaSigner(private_key(secrets.token_bytes))
            ),
            "other_target": lambda: tenant.wish(END, duty_of(signed)),
            "other_operation": lambda: tenant.wish(WishOperation.UNLOCK, tenancy_id),
            "expired": lambda: tenant.wish(END, tenancy_id, life=0),
            "far_future": lambda: tenant.wish(END, tenancy_id, life=86400),
            "garbage": lambda: "A" * 200,
            "used": lambda: tenant.wish(END, tenancy_id, wish_id=b"w" * 16),
        }
        if spoil == "used":
            other = tenant.wish(WishOperation.REMOVE_PHONE, tenant.phone_id, wish_id=b"w" * 16)
            [(holder,)] = door.database.execute("SELECT holder_id FROM phones WHERE id = %s", tenant.phone_id)
            door.database.execute(
                "INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)"
                " VALUES (%s, %s, %s, 'unlock', %s, now(), %s)",
                b"w".hex() * 16, holder, tenant.phone_id, tenancy_id, other.encode(),
            )  # fmt: skip
        answer = await tenant.send("POST", f"/tenancies/{tenancy_id}/end", {"wish": wishes[spoil]()})
        assert answer.json()["code"] == code
        assert count(door, "tenancies WHERE state = 'ended'") == 0

    async def test_L38_mutant_a_wish_that_is_not_checked_is_caught(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, tenant, signed = await approved_tenant(door)

        async def believes(*_: Any, **__: Any) -> None:
            return None

        monkeypatch.setattr(end_tenancy, "spend_wish", believes)
        answer = await tenant.send("POST", f"/tenancies/{signed['id']}/end", {"wish": "A" * 200})
        assert answer.status_code == 202  # taken for a wish, though nobody signed it

    async def test_a_window_that_closed_ends_the_lease_and_nobody_else_s(self, door: Door) -> None:
        landlord = await door.person()
        house = await landlord.house(rooms=2)
        now = door.clock.now()
        short = landlord.lease(house["rooms"][0], "13900000001", lower=now, upper=now + timedelta(days=1))
        long = landlord.lease(house["rooms"][1], "13900000002")
        ids = [(await landlord.ok("POST", "/tenancies", one))["id"] for one in (short, long)]
        jobs = door.database.transactions("jobs")
        door.clock.move(timedelta(days=1) - timedelta(seconds=1))
        async with jobs.begin() as work:
            assert await end_over_tenancies(work, secrets.token_bytes, door.clock.now()) == []
        door.clock.move(timedelta(seconds=1))
        async with jobs.begin() as work:
            await end_over_tenancies(work, secrets.token_bytes, door.clock.now())
        await landlord.log_in()
        states = [(await landlord.ok("GET", f"/tenancies/{one}"))["state"] for one in ids]
        assert states == ["ended", "signed"]


async def gap_is_refused(door: Door) -> tuple[int, str]:
    """What a landlord is answered who signs a lease for the days before one that he has signed."""
    landlord = await door.person()
    room = (await landlord.house())["rooms"][0]
    now = door.clock.now()
    later = landlord.lease(
        room, "13900000001", lower=now + timedelta(days=20), upper=now + timedelta(days=30)
    )
    gap = landlord.lease(room, "13900000002", lower=now, upper=now + timedelta(days=10))
    await landlord.ok("POST", "/tenancies", later)
    answer = await landlord.send("POST", "/tenancies", gap)
    return answer.status_code, answer.json().get("code", "")
