"""Locks, commands, the phone's kit."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from mobile_api.schemas.parts import Bytes, In, Instant, Out, Wish, example, octets

Offer = Annotated[Bytes, Field(min_length=64, max_length=4096)]
Fault = Annotated[
    str,
    Field(
        pattern=r"^(lock_offline|gateway_busy|lock_busy|jammed|clock_lost|expired|torn|unknown|denied:[a-z_]+)$"
    ),
]
"""What stood in the way: a word of `lockserver.domain.fault`, or `denied:` and the lock's reason."""
Report = Annotated[Bytes, Field(min_length=82, max_length=32768)]


class ClaimIn(In):
    """What the owner's phone brought: the lock's LK1-OFFER over BLE, the claim code off its QR."""

    model_config = example(
        offer=octets(900), claim_code=octets(16), door_id="0198c0de-0000-7000-8000-000000000001"
    )

    offer: Offer
    claim_code: Annotated[Bytes, Field(min_length=16, max_length=16)]
    door_id: UUID


class ClaimOut(Out):
    """For the lock: LK1-ENROL and its MAC under the claim code (message E3)."""

    lock_id: UUID
    document: Bytes
    mac: Bytes


class EnrolledIn(In):
    """The lock's first report (from message E4), sealed to the server."""

    model_config = example(report=octets(300))

    report: Report


class LockOut(Out):
    """A lock and what it last said of itself, with when; what it never said is null or `unknown`.

    Of a room that somebody else lives in, `bolt` is null and `last_seen_at` is cut to the hour: a landlord
    sees that the lock is well, not when its door is used.
    """

    id: UUID
    door_id: UUID
    serial: str
    state: Literal["enrolling", "active", "releasing", "retired"]
    last_seen_at: Instant | None
    bolt: Literal["locked", "unlocked", "unknown"] | None
    clock_offset_s: int | None
    clock_attested: bool | None
    epoch: int | None
    battery: int | None
    battery_at: Instant | None
    documents_pending: bool


class EntryOut(Out):
    """One journal entry. `at` null: the lock's clock was lost; `count`: how many alike."""

    what: str
    how: str
    whose: Literal["mine", "owner", "staff", "guest", "lock", "former"]
    at: Instant | None
    uncertainty_s: int | None
    denial: str | None
    count: int
    received_at: Instant


class JournalOut(Out):
    """What you may see of a door's journal, newest first; `complete` speaks of the whole."""

    entries: list[EntryOut]
    complete: bool


class UnlockIn(In):
    """The holder's own signature: LK1-WISH, operation unlock, lock or hold open, at most 20 s from now."""

    model_config = example(wish=octets(160))

    wish: Wish


class ReleaseIn(In):
    """The owner's wish: operation 17 (release lock), target this lock; `emergency`, its reason, only in one."""

    model_config = example(wish=octets(160))

    wish: Wish


class ReleaseOut(Out):
    """`releasing`: the order is signed and on its way. The lock is retired when it has said so itself.

    `document`: LK1-RELEASE, for a phone to carry to a lock that no broker reaches.
    """

    lock_id: UUID
    state: Literal["releasing"]
    document: Bytes


class CommandOut(Out):
    """A command. `done` is only ever the lock's own signed word."""

    id: UUID
    lock_id: UUID
    kind: Literal["unlock", "lock", "hold_open"]
    state: Literal["queued", "sent", "done", "refused", "expired", "unknown"]
    code: str | None
    fault: Fault | None
    via: Literal["mqtt", "gateway"] | None
    not_after: Instant
    settled_at: Instant | None


class AttemptOut(Out):
    """One action at the lock, with its result. `done` is only ever the lock's own signed word."""

    id: UUID
    whose: Literal["mine", "owner", "staff"]
    kind: str
    state: Literal["queued", "sent", "done", "refused", "expired", "unknown"]
    fault: Fault | None
    via: Literal["mqtt", "gateway"] | None
    not_after: Instant
    settled_at: Instant | None


class CarriedReport(In):
    """A sealed report that a lock gave to the phone over BLE."""

    lock_id: UUID
    report: Report


class SyncIn(In):
    """A phone-signed request.

    `request`: LK1-REQ over `POST /v1/phone/sync` whose body hash is SHA-256 of `asks`. `asks`:
    canonical JSON `{"nonces": {"<lock id, 32 hex digits>": "<time nonce, base64url>"}}`, or `{}`.
    `reports` need no signature: they are sealed and signed by their locks.
    """

    model_config = example(request=octets(200))

    request: Annotated[Bytes, Field(min_length=64, max_length=512)]
    asks: Annotated[Bytes, Field(min_length=2, max_length=8192)] = b"{}"
    reports: Annotated[tuple[CarriedReport, ...], Field(max_length=8)] = ()


class DoorKitOut(Out):
    """All that opens one door without a network. `withheld` says why there is no credential."""

    door_id: UUID
    house_id: UUID
    name: str
    kind: Literal["gate", "room"]
    lock_id: UUID
    door: Bytes
    credential: Bytes | None
    not_before: Instant | None
    expires_at: Instant | None
    withheld: str | None
    withheld_until: Instant | None
    revocation_list: Bytes | None
    access_state: Bytes | None
    time: Bytes | None
    release: Bytes | None = None


class KitOut(Out):
    """A phone's bundle. `now` is the server's clock: set your offset by it."""

    phone_id: UUID
    now: Instant
    site_root: Bytes
    key_set: Bytes
    doors: list[DoorKitOut]
    reports_taken: list[bool]
