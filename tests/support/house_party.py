"""A house in which people let each other in: landlord, caretaker, two tenants of one room, a guest; real locks.

The API and the issuer work on one database; what the issuer signs is judged by a simulated lock, which
knows this site's keys.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from lockserver.app.issue_access_documents import refresh_access
from lockserver.app.issuing import Issuing
from lockserver.app.phone_sync import DoorKit, Kit, SeenRequests, phone_sync
from lockserver.db.sealed import SealedFields
from lockserver.domain.canonical import b64url
from lockserver.domain.ids import uuid7
from lockserver.keys.keyring import load_issuer
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.claims import Claims
from lockserver.protocol.credential import read_credential
from lockserver.protocol.curve import Signer, keys_by_id, public_bytes
from lockserver.protocol.documents import read_revocation_list
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.errors import AirCode
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.topics import shard
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App, Door
from tests.support.site import Enrolled, Holder
from tests.unit.firmware_sim.desk import Desk

DAY = timedelta(days=1)


def key_of(app: App) -> str:
    """How a grantor names this phone: SHA-256 of its signing key."""
    return b64url(hashlib.sha256(public_bytes(app.sign_key)).digest())


@dataclass
class Party:
    """Everybody's apps, the house, and the issuer beside the API."""

    door: Door
    issuing: Issuing
    landlord: App
    tenant: App
    house: dict[str, Any]
    lease: dict[str, Any]
    seen: SeenRequests = field(default_factory=SeenRequests)
    locks: dict[str, UUID] = field(default_factory=dict)
    desks: dict[str, HungLock] = field(default_factory=dict)

    @property
    def room(self) -> str:
        return str(self.house["rooms"][0])

    @property
    def gate(self) -> str:
        return str(self.house["gate"])

    # ---- people

    async def guest(self) -> App:
        """Somebody with an app and a phone that nobody vouches for."""
        app = await self.door.person()
        await app.enrol_phone()
        return app

    def lives_here(self, app: App, tenancy_id: str) -> None:
        """As role verify leaves it: the phone passed the staff check for this lease, and it is registered."""
        execute = self.door.database.execute
        now = self.door.clock.now()
        ((holder,),) = execute("SELECT holder_id FROM phones WHERE id = %s", app.phone_id)
        ((duty,),) = execute(
            "SELECT id FROM duties WHERE tenancy_id = %s AND holder_id = %s", tenancy_id, holder
        )
        case = uuid7(now, secrets.token_bytes(10))
        execute(
            "INSERT INTO cases (id, duty_id, holder_id, phone_id, session_id, route, state)"
            " VALUES (%s, %s, %s, %s, %s, 'staff', 'open')",
            case, duty, holder, app.phone_id, app.tokens["session_id"],
        )  # fmt: skip
        execute(
            "INSERT INTO verdicts (id, case_id, holder_id, phone_id, outcome, route, reasons)"
            " VALUES (%s, %s, %s, %s, 'approved', 'staff', '[]')",
            uuid7(now, secrets.token_bytes(10)), case, holder, app.phone_id,
        )  # fmt: skip
        execute("UPDATE phones SET state = 'active', proved_by = 'staff' WHERE id = %s", app.phone_id)
        execute(
            "INSERT INTO registrations (id, client_no, duty_id, tenancy_id, holder_id, number_mask,"
            " number_index, version, state, submitted_at)"
            " VALUES (%s, %s, %s, %s, %s, '3301**********0000', %s, 1, 'submitted', %s)",
            uuid7(now, secrets.token_bytes(10)), secrets.token_hex(8), duty, tenancy_id, holder,
            secrets.token_bytes(32), now,
        )  # fmt: skip

    # ---- grants

    def window(self, days: float = 2.0, begins: float = 0.0) -> dict[str, str]:
        now = self.door.clock.now().replace(microsecond=0) + timedelta(seconds=1)  # the lease has begun
        return {"from": (now + begins * DAY).isoformat(), "until": (now + (begins + days) * DAY).isoformat()}

    def named(self, by: App, guest: App, *doors: str, **changes: Any) -> dict[str, Any]:
        """The request by which a grantor lets this guest in, signed; `changes` before he signs."""
        body: dict[str, Any] = {
            "door_ids": list(doors),
            "class": "guest",
            "guest_key": key_of(guest),
            "window": self.window(),
        } | changes
        staff = body["class"] == "staff"
        target = self.house["id"] if staff else doors[0]
        return by.wished(WishOperation.NAME_STAFF if staff else WishOperation.NAME_GUEST, target, body)

    async def name(self, by: App, guest: App, *doors: str, **changes: Any) -> list[dict[str, Any]]:
        given: list[dict[str, Any]] = await by.ok("POST", "/grants", self.named(by, guest, *doors, **changes))
        return given

    async def act(self, by: App, verb: str, grant_id: str) -> dict[str, Any]:
        """Freeze, unfreeze or revoke, with his wish."""
        operation = WishOperation[verb.upper()]
        done: dict[str, Any] = await by.ok(
            "POST", f"/grants/{grant_id}/{verb}", {"wish": by.wish(operation, grant_id)}
        )
        return done

    async def edit(self, by: App, grant_id: str, **body: Any) -> Any:
        return await by.send(
            "PATCH", f"/grants/{grant_id}", by.wished(WishOperation.EDIT_GRANT, grant_id, body)
        )

    # ---- the issuer

    async def kit(self, app: App) -> Kit:
        """What the issuer gives this phone."""
        request = PhoneRequest(
            phone_id=UUID(app.phone_id).bytes,
            method_path="POST /v1/phone/sync",
            body_hash=hash_body(b"{}"),
            issued_at=int(self.door.clock.now().timestamp()),
            nonce=secrets.token_bytes(8),
        )
        return await phone_sync(self.issuing, self.seen, sign_request(request, app.signer), b"{}")

    async def at(self, app: App, door: str) -> DoorKit | None:
        """His part of the kit for one door, or None where that door is not in it."""
        return next((one for one in (await self.kit(app)).doors if str(one.door.id) == door), None)

    async def key(self, app: App, door: str) -> Claims | str:
        """What his key for a door says, or why he has none."""
        kit = await self.at(app, door)
        if kit is None:
            return "no_grant"
        if kit.credential is None:
            return kit.withheld.reason if kit.withheld else "nothing"
        return read_credential(kit.credential.raw, keys_by_id((self.issuing.signer.public,))).claims

    async def listed(self, door: str) -> set[bytes]:
        """The keys that the door's newest revocation list names, brought up to the present."""
        lock_id = self.locks[door]
        await refresh_access(self.issuing, [lock_id])
        async with self.issuing.transactions.begin() as work:
            latest = await work.lock_documents.latest(lock_id, "revocation")
        if latest is None:
            return set()
        read = read_revocation_list(latest.raw, keys_by_id((self.issuing.signer.public,)))
        return {cti for cti, _ in read.entries}

    # ---- the locks

    def hang_locks(self) -> None:
        """A simulated lock at gate and room, which knows this site's issuer, and its row at the server."""
        for door in (self.gate, self.room):
            desk = HungLock(
                kind=DoorKind.SHARED if door == self.gate else DoorKind.ROOM,
                seed=secrets.randbelow(1 << 30),
                issuer=self.issuing.signer,
                now=int(self.door.clock.now().timestamp()),
            )
            made = desk.enrolled
            self.door.database.execute(
                "INSERT INTO locks (id, door_id, serial, sign_pub, ecdh_pub, factory_fingerprint, shard, state)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, 'active')",
                UUID(bytes=made.lock_id), door, f"LSIM-{secrets.token_hex(8).upper()}", made.sign_public,
                made.ecdh_public, bytes(32), shard(made.lock_id),
            )  # fmt: skip
            self.locks[door] = UUID(bytes=made.lock_id)
            self.desks[door] = desk

    async def pass_time(self, by: timedelta) -> None:
        """Time goes by for the server and at the doors."""
        self.door.clock.move(by)
        for desk in self.desks.values():
            desk.lock.wait(by.total_seconds(), step=max(by.total_seconds() / 60, 0.5))

    async def opens(
        self, app: App, door: str, *, carried: bool = True, operation: Operation = Operation.UNLOCK
    ) -> str:
        """He syncs and stands before the door: `open`, or why not; without `carried` he brings no list along."""
        kit = await self.at(app, door)
        if kit is None or kit.credential is None:
            return "no_key"
        return self.tries(app, door, kit, carried=carried, operation=operation)

    def tries(
        self,
        app: App,
        door: str,
        kit: DoorKit,
        *,
        carried: bool = True,
        operation: Operation = Operation.UNLOCK,
    ) -> str:
        """He stands before the door with what he was given some time."""
        assert kit.credential is not None
        desk = self.desks[door]
        documents = [
            SignedDocument(kind, raw)
            for kind, raw in ((DocumentKind.REVOCATION, kit.revocation), (DocumentKind.STATE, kit.state))
            if carried and raw is not None
        ]
        holder = Holder(app.sign_key, b"")
        answer = desk.open(holder, kit.credential.raw, *documents, operation=operation)
        if answer is not None and answer.code is AirCode.GRANTED:
            return "open"
        return "burnt" if answer is None else desk.denials()[-1].word  # alike ones are one entry


class HungLock(Desk):
    """A lock on a desk whose site signs with a given issuer's key."""

    def __init__(self, kind: DoorKind, seed: int, issuer: Signer, now: int) -> None:
        self._issuer, self._now = issuer, now
        super().__init__(kind=kind, seed=seed)

    def _enrol(self) -> Enrolled:
        self.site.issuer = self._issuer  # type: ignore[assignment]  # any signer will do
        self.site.now = self._now
        return super()._enrol()


def issuer_of(door: Door) -> Issuing:
    """The issuer over the same database, with the site's own keys."""
    keys = load_issuer(door.keys / "issuer")
    return Issuing(
        transactions=door.database.transactions("issuer"),
        clock=door.clock,
        random=secrets.token_bytes,
        signer=keys.signer,
        factories=keys.factories,
        devices=keys.devices,
        seeds=SealedFields(keys.seed_key),
        pins=keys.pins,
    )


async def a_party(door: Door, capacity: int = 2, tenants: int = 1) -> Party:
    """A landlord's house, one room let to `tenants` people; the first is `tenant`, proved and registered."""
    landlord = await door.person()
    house = await landlord.house(rooms=2, capacity=capacity)
    people = [await door.person() for _ in range(tenants)]
    begun = door.clock.now() - timedelta(hours=1)
    lease = landlord.lease(house["rooms"][0], *(one.number for one in people), lower=begun)
    signed = await landlord.ok("POST", "/tenancies", lease)
    party = Party(door, issuer_of(door), landlord, people[0], house, {**signed, "people": people})
    for one in people:
        await one.enrol_phone()
        party.lives_here(one, signed["id"])
    party.hang_locks()
    return party
