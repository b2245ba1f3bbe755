"""Locks as the server knows them: what they are, what they should hold, what they last said.

The server never decides at the door, so nothing here opens one. What a lock said is kept apart from
what we want of it: `LockStatus` is only ever written from the lock's own signed reports, and a NULL
in it means "never said" (L-50).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

LockState = Literal["enrolling", "active", "releasing", "retired"]
"""`releasing`: its release is signed, and it has not yet said itself that it is nobody's."""
Bolt = Literal["locked", "unlocked", "unknown"]
DoorPosition = Literal["closed", "open", "unknown"]
DocumentKind = Literal["revocation", "state", "keys", "release"]
Via = Literal["mqtt", "phone", "gateway"]
"""Who carried a lock's report. What is in it is the lock's own word either way."""
SiteKeyKind = Literal[
    "root",
    "issuer",
    "command",
    "report",
    "verify",
    "relay",
    "device_ca",
    "checkpoint",
    "province",
    "pins",
]
Outcome = Literal["approved", "review", "declined"]


def hash_broker_secret(secret: bytes) -> bytes:
    """Return what is kept of a broker secret. It is 32 random bytes: a plain hash is enough."""
    return hashlib.sha256(b"lockserver broker secret\0" + secret).digest()


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock at a door. `id.bytes` is its id on the wire, `id.hex` its name on the broker."""

    id: UUID
    door_id: UUID
    serial: str
    sign_pub: bytes
    ecdh_pub: bytes
    factory_fingerprint: bytes
    certificate: bytes | None
    shard: str
    state: LockState
    command_counter: int = 0
    enrolled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BrokerIdentity:
    """What the broker's door-keeper knows of a lock: nothing else of it is his business."""

    id: UUID
    shard: str
    state: LockState
    broker_secret_hash: bytes | None
    certificate: bytes | None


@dataclass(frozen=True, slots=True)
class LockStatus:
    """What a lock last said of itself, in its own signed words.

    `connected`: it holds a connection to the broker itself. `carried_by`: the gateway that brought its
    last report, None where it came by itself or on a phone. `battery_since`: when the present value was first said,
    `battery_read_at`: when the gauge was last read. `firmware_refused`: the counter it will not have.
    """

    lock_id: UUID
    connected: bool = False
    last_seen_at: datetime | None = None
    boot: int | None = None
    seq: int | None = None
    bolt: Bolt = "unknown"
    clock_offset: int | None = None
    clock_attested: bool | None = None
    state_number: int | None = None
    revocation_number: int | None = None
    keys_number: int | None = None
    epoch: int | None = None
    journal_number: int | None = None
    journal_hash: bytes | None = None
    counter: int | None = None
    battery: int | None = None
    battery_at: datetime | None = None
    battery_read_at: datetime | None = None
    battery_since: datetime | None = None
    door: DoorPosition = "unknown"
    tampered: bool | None = None
    jams: int | None = None
    firmware: int | None = None
    firmware_version: str | None = None
    firmware_refused: int | None = None
    firmware_denial: str | None = None
    carried_by: UUID | None = None
    carried_at: datetime | None = None
    occupied: bool | None = None
    bolt_at: datetime | None = None
    inventory_at: datetime | None = None

    def is_news(self, boot: int, seq: int) -> bool:
        """Tell whether a report of this boot and sequence was not heard before (L-21).

        A lock counts its boots in flash and its reports since; the pair only rises, so an older or
        equal pair is a replay, or a broker that reorders.
        """
        if self.boot is None or self.seq is None:
            return True
        return (boot, seq) > (self.boot, self.seq)


@dataclass(frozen=True, slots=True)
class LockDocument:
    """A numbered, signed document that the lock should hold.

    `refused`: how often the lock said that it will not have this very one, and why it said so last.
    """

    lock_id: UUID
    kind: DocumentKind
    number: int
    raw: bytes
    refused: int = 0
    denial: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """An e-key as it was signed; `id` is its `cti`."""

    id: UUID
    grant_id: UUID
    phone_id: UUID
    lock_id: UUID
    not_before: datetime
    expires_at: datetime
    issued_at: datetime
    epoch: int | None
    raw: bytes
    revoked_at: datetime | None = None
    revoked_in: int | None = None
    capabilities: int = 0
    schedule: dict[str, object] | None = None
    uses: int | None = None

    def half_aged(self, at: datetime) -> bool:
        """Tell whether more than half of its life is over: then it is time for the next."""
        return at - self.not_before > (self.expires_at - self.not_before) / 2


@dataclass(frozen=True, slots=True)
class SpentWish:
    """A holder's wish that was used; its id can never be used again."""

    id: UUID
    holder_id: UUID
    phone_id: UUID
    operation: str
    target: UUID
    not_after: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class SiteKey:
    """A public key of the site; the root's row carries the key set that it signed."""

    id: UUID
    kind: SiteKeyKind
    kid: bytes
    public: bytes
    state: Literal["current", "retired"]
    key_set: bytes | None = None
    key_set_number: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What role verify concluded about one phone in one case."""

    id: UUID
    case_id: UUID
    holder_id: UUID
    phone_id: UUID
    outcome: Outcome
    route: Literal["face", "staff"]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ArrivalFiling:
    """How far an occupant's arrival duty has come, as far as a key depends on it."""

    required: bool
    submitted_at: datetime | None
    receipted: bool


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One entry of a lock's journal, as it is kept."""

    lock_id: UUID
    number: int
    what: int
    how: int
    subject: bytes | None
    denial: int | None
    at: datetime | None
    uncertainty: int | None
    count: int
    prev_hash: bytes
    hash: bytes
    via: Via
    received_at: datetime


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose a credential is; `named_by`: who gave a guest or staff member his grant."""

    holder_id: UUID
    class_: Literal["owner", "staff", "tenant", "guest"]
    tenancy_id: UUID | None
    named_by: UUID | None


@dataclass(frozen=True, slots=True)
class WishTerms:
    """The body that a wish covers, canonical, and the salt of its digest."""

    wish_id: UUID
    body: bytes
    salt: bytes
