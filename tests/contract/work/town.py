"""Houses, people and locks of every sort, planted into a store: what queries find something in.

Everything is drawn from one seed. Tenancies are lawful as a whole (L-23); states, instants and
references are mixed otherwise, so that every condition of every query has rows on both sides of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from lockserver.domain.grant import Capability
from lockserver.domain.ids import uuid7
from tests.contract.work.furnishing import furnish
from tests.sim.memory import MemoryStore
from tests.support.people import START

HOUR = timedelta(hours=1)
NOW = START + timedelta(days=40)
"""When it is, in town."""


class Town:
    """Plants itself into `store`."""

    def __init__(self, store: MemoryStore, seed: int) -> None:
        self.store = store
        self.random = Random(seed)
        self.serial = 0
        people = [self._person() for _ in range(6)]
        child = self.put("holders", id=self.id(), account_id=None, subject=self.bytes(16))
        self._keys()
        for owner, tenants in ((people[0], people[2:4]), (people[1], people[3:6])):
            self._house(owner, tenants, child)
        self._cases()
        furnish(self)
        for holder in people:
            for n in range(2):
                self.put(
                    "idempotency", caller=f"holder:{holder}", key=f"k{n}", route="POST /v1/x",
                    body_hash=bytes(32), state="done" if n else "running", status=200 if n else None,
                    headers={"a": "b"} if n else None, response=b"said" if n else None,
                )  # fmt: skip

    # ---- drawing

    def id(self) -> UUID:
        self.serial += 1
        return uuid7(START + self.serial * HOUR / 60, self.random.randbytes(10))

    def bytes(self, count: int) -> bytes:
        return self.random.randbytes(count)

    def one_of(self, *given: Any) -> Any:
        return self.random.choice(given)

    def at(self) -> datetime:
        """An instant around now, on a grid, so that equal ones are met."""
        return NOW + self.random.randrange(-48, 49, 6) * HOUR

    def put(self, table: str, **values: Any) -> UUID:
        self.store.plant(table, **values)
        made: UUID = values.get("id", UUID(int=0))
        return made

    # ---- people

    def _person(self) -> UUID:
        account = self.put("accounts", id=self.id(), phone_index=self.bytes(32), phone_mask="138****0000")
        holder = self.put("holders", id=self.id(), account_id=account, subject=self.bytes(16))
        session = account
        for revoked in (None, START):
            session = self.put(
                "sessions", id=self.id(), account_id=account, access_hash=self.bytes(32),
                access_expires_at=self.at(), refresh_hash=self.bytes(32), refresh_expires_at=self.at(),
                revoked_at=revoked,
            )  # fmt: skip
        [known] = self.store.rows("accounts", id=account)
        for used in (None, START):
            self.put(
                "login_codes", id=self.id(), phone_index=known["phone_index"], code_hash=self.bytes(32),
                expires_at=self.at(), attempts=self.random.randrange(3), used_at=used,
            )  # fmt: skip
        for state, proof in (
            ("active", self.one_of("button", "face", "staff")),
            ("pending", None),
            ("revoked", "face"),
        ):
            self.put(
                "phones", id=self.id(), holder_id=holder, sign_pub=self.bytes(65), ecdh_pub=self.bytes(65),
                session_id=session, state=state, proved_by=proof,
                revoked_at=START if state == "revoked" else None,
            )  # fmt: skip
        return holder

    def _keys(self) -> None:
        for kind in ("root", "issuer", "command", "relay"):
            for state in ("retired", "current"):
                root = kind == "root"
                self.put(
                    "site_keys", id=self.id(), kind=kind, kid=self.bytes(8), public=self.bytes(65),
                    state=state, key_set=b"set" if root else None, key_set_number=3 if root else None,
                )  # fmt: skip

    # ---- houses

    def _house(self, owner: UUID, tenants: list[UUID], child: UUID) -> None:
        house = self.put(
            "houses", id=self.id(), owner_holder_id=owner, name="Lane 7", address_id="A", station_code="S"
        )
        self._staff(house, owner, tenants)
        gate = self.put("doors", id=self.id(), house_id=house, kind="gate", name="gate")
        self._lock(gate)
        self._grant(owner, gate, "owner")
        for number in range(2):
            room = self.put(
                "doors", id=self.id(), house_id=house, kind="room", name=f"10{number}", capacity=3, epoch=3
            )
            self._grant(owner, room, "owner")
            self._grant(self.one_of(*tenants), room, "staff")
            for epoch in (1, 2, 3):
                self._tenancy(room, gate, owner, epoch, tenants, child if number else None)
            self._lock(room)

    def _staff(self, house: UUID, owner: UUID, tenants: list[UUID]) -> None:
        """One by a kept wish, one without; and a door whose lock is only being enrolled."""
        [phone, *_] = self.store.rows("phones", holder_id=owner)
        wish = self.put(
            "wishes", id=self.id(), holder_id=owner, phone_id=phone["id"], operation="name_staff",
            target=house, not_after=NOW, raw=self.bytes(9),
        )  # fmt: skip
        self.put("house_staff", house_id=house, holder_id=tenants[0])
        self.put("house_staff", house_id=house, holder_id=tenants[1], wish_id=wish)
        shed = self.put("doors", id=self.id(), house_id=house, kind="gate", name="shed")
        self._put_lock(shed, f"SN-{self.serial}", "enrolling")

    def _tenancy(
        self, room: UUID, gate: UUID, owner: UUID, epoch: int, tenants: list[UUID], child: UUID | None
    ) -> None:
        """The first has ended, the second lives or is over, the third begins later."""
        lower = NOW + timedelta(days=30) * (epoch - 2) - timedelta(days=1)
        upper = lower + (timedelta(days=30) if epoch != 2 else self.one_of(HOUR * 24, timedelta(days=30)))
        ended = epoch == 1
        tenancy = self.put(
            "tenancies", id=self.id(), door_id=room, lower=lower, upper=upper, epoch=epoch,
            state="ended" if ended else "signed", signed_by=owner, ended_at=upper if ended else None,
            end_reason="window" if ended else None, key_policy=self.one_of("on_submit", "on_receipt"),
        )  # fmt: skip
        parent = tenancy
        people = [(tenant, None) for tenant in tenants[:2]] + ([(child, tenants[0])] if child else [])
        for holder, guardian in people:
            self.put(
                "occupants", tenancy_id=tenancy, holder_id=holder, is_minor=guardian is not None,
                guardian_holder_id=guardian, invite_hash=self.bytes(32),
            )  # fmt: skip
            self._duties(tenancy, holder, upper, left=ended)
            parent = self._grant(holder, room, "tenant", tenancy, epoch, lower, upper)
            self._grant(holder, gate, "tenant", tenancy, None, lower, upper)
        self._guest(parent, people[-1][0], self.one_of(*tenants))

    def _duties(self, tenancy: UUID, holder: UUID, upper: datetime, *, left: bool) -> None:
        state = self.one_of("open", "filed", "fulfilled")
        for kind in ("arrival", "departure") if left else ("arrival",):
            exempt = self.random.random() < 0.3
            duty = self.put(
                "duties", id=self.id(), tenancy_id=tenancy, holder_id=holder, kind=kind,
                requirement="exempt" if exempt else "required", exempt_code="x" if exempt else None,
                rule_id="r", rule_version="1", due_at=self.at(), state=state,
                fulfilled_at=upper if state == "fulfilled" else None,
            )  # fmt: skip
            if kind == "arrival" and self.random.random() < 0.7:
                self._registration(duty, tenancy, holder)

    def _registration(self, duty: UUID, tenancy: UUID, holder: UUID) -> None:
        receipt = self.one_of(None, f"R{self.serial}")
        filed, number = self.id(), str(self.serial)
        self.put(
            "registrations", id=filed, client_no=number, duty_id=duty, tenancy_id=tenancy, holder_id=holder,
            number_mask="33**", number_index=self.bytes(32), version=1, submitted_at=self.at(),
            state=self.one_of("submitted", "receipted", "departed", "withdrawn"), receipt_no=receipt,
            receipted_at=START if receipt else None,
        )  # fmt: skip
        for seq in (1, 2):
            self.put(
                "outbox", id=self.id(), registration_id=filed, client_no=number, seq=seq,
                kind="register" if seq == 1 else "change", sealed=b"box", body_digest=b"d",
            )  # fmt: skip
        self.put(
            "ledger", id=self.id(), holder_id=holder, to_whom="p", ground="g", registration_id=filed,
            field_names=["name"], digests={"content": "x"},
        )  # fmt: skip

    def _grant(
        self,
        holder: UUID,
        door: UUID,
        class_: str,
        tenancy: UUID | None = None,
        epoch: int | None = None,
        lower: datetime = START,
        upper: datetime | None = None,
    ) -> UUID:
        state = self.one_of("active", "active", "active", "frozen", "revoked")
        return self.put(
            "grants", id=self.id(), holder_id=holder, door_id=door, class_=class_,
            capabilities=self.serial, lower=lower, upper=upper, state=state, tenancy_id=tenancy, epoch=epoch,
            schedule=self.one_of(None, {"offset": 480, "from": [1, 2]}),
            revoked_at=START if state == "revoked" else None,
            frozen_at=START if state == "frozen" else None, frozen_by=holder if state == "frozen" else None,
        )  # fmt: skip

    def _guest(self, parent_id: UUID, grantor: UUID, guest: UUID) -> None:
        """A guest's right under a tenant's, and the wish that it stands on."""
        [parent] = self.store.rows("grants", id=parent_id)
        [phone, *_] = self.store.rows("phones", holder_id=guest)
        wish = self.put(
            "wishes", id=self.id(), holder_id=grantor, phone_id=phone["id"], operation="name_guest",
            target=parent["door_id"], not_after=NOW, raw=self.bytes(9),
        )  # fmt: skip
        once = self.one_of(None, 1)
        self.put(
            "grants", id=self.id(), holder_id=guest, door_id=parent["door_id"], class_="guest",
            capabilities=1, lower=parent["lower"], upper=parent["upper"], state="active",
            tenancy_id=parent["tenancy_id"], epoch=parent["epoch"], wish_id=wish, parent_id=parent_id,
            bundle_id=self.id(), uses=once, guest_key=self.bytes(32),
        )  # fmt: skip

    # ---- locks

    def _lock(self, door: UUID) -> None:
        serial, by_state = f"SN-{self.serial}", dict[str, UUID]()
        for state in ("retired", "enrolling", "active", "enrolling", self.one_of("releasing", "retired")):
            by_state[state] = self._put_lock(door, serial, state)
        active = by_state["active"]
        held = self.random.randrange(3)
        if held:
            self.put(
                "lock_status", lock_id=active, connected=True, last_seen_at=self.at(), boot=3, seq=4,
                bolt="locked", state_number=held, revocation_number=self.one_of(None, 2), keys_number=1,
                epoch=1, counter=self.one_of(None, 5),
                inventory_at=self.one_of(None, self.at()), journal_number=3, journal_hash=b"\3" * 32,
            )  # fmt: skip
        for kind in ("revocation", "state", "keys"):
            for number in (1, 2):
                self.put(
                    "lock_documents", lock_id=active, kind=kind, number=number, raw=self.bytes(9),
                    refused=self.one_of(0, 0, 4, 5),
                )  # fmt: skip
        for number in range(1, 4):
            self.put(
                "journal", lock_id=active, number=number, what=1, how=1, subject=self.bytes(16), denial=None,
                at=self.at(), uncertainty=1, count=1, prev_hash=bytes([number - 1]) * 32,
                hash=bytes([number]) * 32, via="mqtt", received_at=self.at(),
            )  # fmt: skip
        self._keyed(active, door, by_state["retired"])

    def _put_lock(self, door: UUID, serial: str, state: str) -> UUID:
        return self.put(
            "locks", id=self.id(), door_id=door, serial=serial, sign_pub=self.bytes(65),
            ecdh_pub=self.bytes(65), factory_fingerprint=self.bytes(32), certificate=b"c", shard="0a",
            state=state, broker_secret_hash=self.bytes(32), seed_sealed=self.bytes(32), command_counter=9,
            enrolled_at=START,
        )  # fmt: skip

    def _keyed(self, active: UUID, door: UUID, retired: UUID) -> None:
        """Credentials for its grants, and commands in every state."""
        states = ["queued", "sent", "done", "refused", "expired", "unknown"]
        for grant in self.store.rows("grants", door_id=door):
            for phone in self.store.rows("phones", holder_id=grant["holder_id"])[:2]:
                number, lock = self.one_of(None, None, None, 2), self.one_of(active, active, active, retired)
                credential = self.put(
                    "credentials", id=self.id(), grant_id=grant["id"], phone_id=phone["id"], lock_id=lock,
                    not_before=NOW - 72 * HOUR, expires_at=self.at() + HOUR, issued_at=self.at(),
                    epoch=grant["epoch"], raw=self.bytes(9), revoked_in=number,
                    capabilities=self.one_of(grant["capabilities"], 1, 1 | int(Capability.ENTRY)),
                    schedule=grant["schedule"] if self.random.random() < 0.8 else None,
                    revoked_at=START if number else self.one_of(None, None, START),
                )  # fmt: skip
                self._command(lock, grant, phone["id"], credential, self.one_of(*states))

    def _command(self, lock: UUID, grant: dict[str, Any], phone: UUID, credential: UUID, state: str) -> None:
        until, settled = self.at(), state not in ("queued", "sent")
        wish = self.put(
            "wishes", id=self.id(), holder_id=grant["holder_id"], phone_id=phone,
            operation=self.one_of("unlock", "end_tenancy"),
            target=self.one_of(lock, grant["tenancy_id"] or lock), not_after=until, raw=self.bytes(9),
        )  # fmt: skip
        self.put(
            "commands", id=self.id(), lock_id=lock, holder_id=grant["holder_id"], grant_id=grant["id"],
            credential_id=credential, wish_id=wish, kind="unlock", counter=self.serial, state=state,
            code="x" if state == "refused" else None, not_after=until,
            sent_at=None if state == "queued" else until, settled_at=until if settled else None,
            evidence=b"signed" if state in ("done", "refused") else None,
        )  # fmt: skip

    def _cases(self) -> None:
        for duty in self.store.rows("duties", kind="arrival"):
            phones = self.store.rows("phones", holder_id=duty["holder_id"])
            for phone in phones[:2]:
                state = self.one_of("open", "approved", "submitted", "closed")
                destroyed = self.one_of(None, START)
                case = self.put(
                    "cases", id=self.id(), duty_id=duty["id"], holder_id=duty["holder_id"],
                    phone_id=phone["id"], session_id=phone["session_id"], route=self.one_of("face", "staff"),
                    state=state, consent_face_withdrawn_at=self.one_of(None, START), active_at=self.at(),
                    destroyed_at=destroyed, sealed_key=None if destroyed else b"key",
                    reasons=self.one_of(None, ["a", "b"]),
                )  # fmt: skip
                for kind in ("front", "selfie"):
                    self.put(
                        "case_parts", id=self.id(), case_id=case, kind=kind, sealed=self.one_of(None, b"s"),
                        digest=self.bytes(32), state=self.one_of("received", "read"),
                    )  # fmt: skip
                self.put(
                    "verdicts", id=self.id(), case_id=case, holder_id=duty["holder_id"],
                    phone_id=phone["id"], outcome=self.one_of("approved", "review", "declined"),
                    route="staff", reasons=[], created_at=self.at(),
                )  # fmt: skip
