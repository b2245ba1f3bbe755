"""What hangs at the doors of a town: gateways, PINs and cards, entries, notices, findings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.sim.memory.schema import TABLES

if TYPE_CHECKING:
    from tests.contract.work.town import Town

Row = dict[str, Any]


def furnish(town: Town) -> None:
    """Plant all of it."""
    _firmware(town)
    for house in town.store.rows("houses"):
        for state in ("active", "active", "retired"):
            _gateway(town, house["id"], state)
    for lock in town.store.rows("locks", state="active"):
        for grant in town.store.rows("grants", door_id=lock["door_id"]):
            _slot(town, lock["id"], grant)
            _given_pin(town, lock["id"], grant)
            _told(town, grant)
        _findings(town, lock["id"])
        for tenancy in town.store.rows("tenancies", door_id=lock["door_id"]):
            _entry(town, lock, tenancy)
    for wish in town.store.rows("wishes", operation="name_guest"):
        town.put("wish_terms", wish_id=wish["id"], body=b"{}", salt=town.bytes(16))


def _firmware(town: Town) -> None:
    for counter in range(1, 4):
        serials = town.one_of("SN-", "SN-1", "XX")
        more = {"serials": serials} if "serials" in TABLES["firmware_images"].columns else {}
        town.put(
            "firmware_images", id=town.id(), model="LSIM-1", counter=counter, version=f"1.{counter}",
            manifest=b"m", image=town.bytes(99), **more,
        )  # fmt: skip


def _gateway(town: Town, house: UUID, state: str) -> None:
    gateway = town.put(
        "gateways", id=town.id(), house_id=house, name=town.one_of("a", "b"), sign_pub=town.bytes(65),
        ecdh_pub=town.bytes(65), shard="0a", state=state, broker_secret_hash=town.bytes(32),
    )  # fmt: skip
    doors = [door["id"] for door in town.store.rows("doors", house_id=house)]
    for lock in [one for door in doors for one in town.store.rows("locks", door_id=door)]:
        town.put("gateway_sights", gateway_id=gateway, lock_id=lock["id"], rssi=-60, seen_at=town.at())
        for _ in range(town.random.randrange(3)):
            number = town.one_of(None, None, 2)
            town.put(
                "gateway_credentials", id=town.id(), gateway_id=gateway, lock_id=lock["id"],
                not_before=town.at() - timedelta(days=5), expires_at=town.at(), issued_at=town.at(),
                raw=town.bytes(9), door=town.bytes(9), revoked_in=number,
                revoked_at=town.at() if number else town.one_of(None, None, town.at()),
            )  # fmt: skip


def _slot(town: Town, lock: UUID, grant: Row) -> None:
    state = town.one_of("unset", "setting", "set", "removing")
    purpose = "backup" if grant["class_"] == "owner" else "own"
    upper = grant["upper"] or town.at() + timedelta(days=20)
    town.serial += 1
    made = town.put(
        "slots", id=town.id(), lock_id=lock, number=1 + town.serial % 255, purpose=purpose,
        kind=town.one_of("pin", "card", "finger"), class_=grant["class_"], holder_id=grant["holder_id"],
        grant_id=grant["id"], epoch=grant["epoch"], lower=grant["lower"],
        upper=town.one_of(upper, upper + timedelta(days=1)), state=state,
        why=town.one_of("wish", "frozen") if state in ("unset", "removing") else None,
        wanted_version=town.random.randrange(1, 4), asked_at=town.at(), verifier=town.bytes(16),
        digits_sealed=town.bytes(9) if purpose == "backup" else None,
    )  # fmt: skip
    if town.random.random() < 0.3:
        judged = town.one_of("new", "refused", "taken")
        town.put(
            "captures", id=town.id(), lock_id=lock, digest=town.bytes(32), report=town.bytes(9),
            state=judged, code="x" if judged == "refused" else None,
            slot_id=made if judged == "taken" else None,
        )  # fmt: skip


def _given_pin(town: Town, lock: UUID, grant: Row) -> None:
    phone = town.store.rows("phones", holder_id=grant["holder_id"])
    if not phone:
        return
    wish = town.put(
        "wishes", id=town.id(), holder_id=grant["holder_id"], phone_id=phone[0]["id"], operation="read_pin",
        target=lock, not_after=town.at(), raw=town.bytes(9),
    )  # fmt: skip
    town.serial += 1
    town.put(
        "offline_pins", id=town.id(), lock_id=lock, holder_id=grant["holder_id"], grant_id=grant["id"],
        wish_id=wish, epoch=town.random.randrange(3), code=town.random.randrange(3), start_hour=town.serial,
        n=town.random.randrange(2), lower=town.at() - timedelta(days=10), upper=town.at(),
    )  # fmt: skip


def _told(town: Town, grant: Row) -> None:
    town.put(
        "notices", id=town.id(), holder_id=grant["holder_id"], kind="grant_given", about=grant["id"],
        detail={"class": grant["class_"]}, at=town.at(), seen_at=town.one_of(None, town.at()),
    )  # fmt: skip


def _findings(town: Town, lock: UUID) -> None:
    for mark in ("a", "b", "c", "d"):
        town.put(
            "findings", id=town.id(), lock_id=lock, kind=town.one_of("epoch", "version"), mark=mark,
            detail={}, found_at=town.at(), seen_again_at=town.at(), cleared_at=town.one_of(None, town.at()),
        )  # fmt: skip


def _entry(town: Town, lock: Row, tenancy: Row) -> None:
    tenant = town.store.rows("occupants", tenancy_id=tenancy["id"])[0]["holder_id"]
    phone = town.store.rows("phones", holder_id=tenant)[0]["id"]
    for kind in ("consent", "emergency"):
        wish = town.put(
            "wishes", id=town.id(), holder_id=tenant, phone_id=phone, operation="consent_entry",
            target=lock["id"], not_after=town.at(), raw=town.bytes(9),
        )  # fmt: skip
        upper = town.at()
        entry = town.put(
            "entries", id=town.id(), lock_id=lock["id"], door_id=lock["door_id"], tenancy_id=tenancy["id"],
            kind=kind, class_=town.one_of("owner", "staff", "both"), holder_id=None, given_by=tenant,
            wish_id=wish, reason="a pipe burst" if kind == "emergency" else None,
            lower=upper - timedelta(hours=town.random.randrange(1, 9)), upper=upper,
            ended_at=town.one_of(None, upper),
        )  # fmt: skip
        for one in town.store.rows("occupants", tenancy_id=tenancy["id"])[1:]:
            town.put(
                "notices", id=town.id(), holder_id=one["holder_id"], kind="entry_consent", about=entry,
                detail={}, at=upper,
            )  # fmt: skip
