"""What the issuer (and once, the site root) tells a lock or a phone: signed, numbered documents.

Whoever carries them can withhold them and nothing more.  Numbers only rise; a reader that holds a
number at or above refuses an older one (the lock does; these functions only verify and parse).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from lockserver.protocol.claims import Schedule, read_schedule, schedule_row
from lockserver.protocol.cose import Kind, sign1, verify1
from lockserver.protocol.curve import POINT, Signer, keys_by_id, parse_public
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.fields import Fields, as_list, as_octets, as_uint, present, writable
from lockserver.protocol.limits import (
    ID,
    MAX_ALL_SLOTS,
    MAX_AUTO_LOCK,
    MAX_KEYS,
    MAX_REVOKED,
    MAX_TIME,
    NONCE,
)
from lockserver.protocol.slots import Slot, read_slots, slot_rows


@dataclass(frozen=True, slots=True)
class DoorDocument:
    """Which signing key proves which lock: phones pin it.  Signed by the issuer."""

    lock_id: bytes
    lock_public: bytes
    iat: int


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Complete and numbered, per lock.  ``entries``: (cti, exp), pruned at ``exp``.

    ``iat_floor``: every credential issued before it is refused; raised only once every living holder
    has a successor.
    """

    lock_id: bytes
    number: int
    entries: tuple[tuple[bytes, int], ...]
    iat: int
    iat_floor: int | None = None

    def covers(self, cti: bytes) -> bool:
        """Whether the credential ``cti`` is listed."""
        return any(cti == listed for listed, _ in self.entries)


@dataclass(frozen=True, slots=True)
class TimeStatement:
    """The issuer's clock, ``now`` in Unix seconds, for one nonce of one lock."""

    now: int
    nonce: bytes
    lock_id: bytes


@dataclass(frozen=True, slots=True)
class KeySet:
    """The site's keys, as points; the first is the current one.  Signed by the site root.

    ``pins_key``: the issuer's ECDH key, to which phones seal the PINs that people choose (box `pin_set`).
    """

    number: int
    issuer_keys: tuple[bytes, ...]
    command_keys: tuple[bytes, ...]
    report_key: bytes
    iat: int
    pins_key: bytes | None = None

    @property
    def issuers(self) -> dict[bytes, bytes]:
        """Issuer keys by kid."""
        return keys_by_id(self.issuer_keys)

    @property
    def commanders(self) -> dict[bytes, bytes]:
        """Command keys by kid."""
        return keys_by_id(self.command_keys)


@dataclass(frozen=True, slots=True)
class AccessState:
    """What the lock must converge to.  ``version`` only rises.

    ``epoch``: the room's turnover epoch (None: a shared door), which the lock raises to and never
    lowers.  ``occupied``: a tenancy lives here; a False clears the lock's mark only together with an
    ``epoch`` not below the lock's, so that an old state cannot lay a living tenancy open.  ``hold_open``:
    when a shared door stands open (a room ignores it).  ``auto_lock``: seconds until an unlocked door
    locks itself, 0 for never, None for the lock's own habit.
    """

    lock_id: bytes
    version: int
    epoch: int | None
    occupied: bool
    iat: int
    pins: tuple[Slot, ...] = ()
    cards: tuple[Slot, ...] = ()
    fingers: tuple[Slot, ...] = ()
    hold_open: Schedule | None = None
    auto_lock: int | None = None


class ReleaseReason(IntEnum):
    """Why a lock is let go.  Append-only."""

    RELEASED = 1  # its owner lets it go; refused while `occupied`
    EMERGENCY = 2  # recorded as such by the server; also while `occupied`


@dataclass(frozen=True, slots=True)
class ReleaseOrder:
    """The lock forgets its site.  Void RELEASE_LIFE after ``iat``; a lock id is never given again."""

    lock_id: bytes
    reason: ReleaseReason
    iat: int


Document: TypeAlias = KeySet | RevocationList | TimeStatement | AccessState | ReleaseOrder
Keys: TypeAlias = Mapping[bytes, bytes]
"""Public keys by kid."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a lock believes: the site root for key sets, the newest key set for all else."""

    site_root: bytes
    key_set: KeySet


def sign_door(document: DoorDocument, signer: Signer) -> bytes:
    """Sign as LK1-DOOR, by the issuer."""
    fields: dict[int, object] = {1: document.lock_id, 2: document.lock_public, 3: document.iat}
    return sign1(Kind.DOOR, writable(fields, _door), signer)


def read_door(data: bytes, keys: Keys) -> DoorDocument:
    """Verify an LK1-DOOR under the issuer keys."""
    return _door(verify1(Kind.DOOR, data, keys).payload)


def _door(payload: object) -> DoorDocument:
    fields = Fields(payload, "door")
    document = DoorDocument(fields.id(1), fields.octets(2, POINT), fields.time(3))
    fields.close()
    parse_public(document.lock_public)
    return document


def sign_revocation_list(document: RevocationList, signer: Signer) -> bytes:
    """Sign as LK1-RL, by the issuer; entries are sorted by cti."""
    fields = present(
        {
            1: document.lock_id,
            2: document.number,
            3: [[cti, exp] for cti, exp in sorted(document.entries)],
            4: document.iat,
            5: document.iat_floor,
        }
    )
    return sign1(Kind.RL, writable(fields, _revocation_list), signer)


def read_revocation_list(data: bytes, keys: Keys) -> RevocationList:
    """Verify an LK1-RL under the issuer keys."""
    return _revocation_list(verify1(Kind.RL, data, keys).payload)


def _revocation_list(payload: object) -> RevocationList:
    fields = Fields(payload, "list")
    rows = [as_list(row, "entry", length=2) for row in fields.list(3, most=MAX_REVOKED)]
    document = RevocationList(
        lock_id=fields.id(1),
        number=fields.uint(2),
        entries=tuple((as_octets(cti, ID, "cti"), as_uint(exp, MAX_TIME, "exp")) for cti, exp in rows),
        iat=fields.time(4),
        iat_floor=fields.optional_uint(5, MAX_TIME),
    )
    fields.close()
    return document


def sign_time(document: TimeStatement, signer: Signer) -> bytes:
    """Sign as LK1-TIME, by the issuer."""
    fields: dict[int, object] = {1: document.now, 2: document.nonce, 3: document.lock_id}
    return sign1(Kind.TIME, writable(fields, _time), signer)


def read_time(data: bytes, keys: Keys) -> TimeStatement:
    """Verify an LK1-TIME under the issuer keys; whether the nonce is the lock's own, the lock knows."""
    return _time(verify1(Kind.TIME, data, keys).payload)


def _time(payload: object) -> TimeStatement:
    fields = Fields(payload, "time")
    document = TimeStatement(fields.time(1), fields.octets(2, NONCE), fields.id(3))
    fields.close()
    return document


def sign_key_set(document: KeySet, signer: Signer) -> bytes:
    """Sign as LK1-KEYS, by the site root."""
    fields = present(
        {
            1: document.number,
            2: list(document.issuer_keys),
            3: list(document.command_keys),
            4: document.report_key,
            5: document.iat,
            6: document.pins_key,
        }
    )
    return sign1(Kind.KEYS, writable(fields, _key_set), signer)


def read_key_set(data: bytes, site_root: bytes) -> KeySet:
    """Verify an LK1-KEYS under the site root (a 65-byte point)."""
    return _key_set(verify1(Kind.KEYS, data, keys_by_id((site_root,))).payload)


def _key_set(payload: object) -> KeySet:
    fields = Fields(payload, "key set")
    document = KeySet(
        number=fields.uint(1),
        issuer_keys=_points(fields.list(2, most=MAX_KEYS)),
        command_keys=_points(fields.list(3, most=MAX_KEYS)),
        report_key=fields.octets(4, POINT),
        iat=fields.time(5),
        pins_key=fields.octets(6, POINT) if fields.has(6) else None,
    )
    fields.close()
    parse_public(document.report_key)
    if document.pins_key is not None:
        parse_public(document.pins_key)
    if not document.issuer_keys or not document.command_keys:
        raise RemoteError(Denial.BAD_FORMAT, "a key set without keys")
    return document


def _points(values: object) -> tuple[bytes, ...]:
    points = tuple(as_octets(value, POINT, "key") for value in as_list(values, "keys", most=MAX_KEYS))
    for point in points:
        parse_public(point)
    return points


def sign_access_state(document: AccessState, signer: Signer) -> bytes:
    """Sign as LK1-STATE, by the issuer."""
    fields = present(
        {
            1: document.lock_id,
            2: document.version,
            3: document.epoch,
            4: document.occupied,
            5: slot_rows(document.pins),
            6: slot_rows(document.cards),
            7: document.iat,
            8: slot_rows(document.fingers) or None,
            9: None if document.hold_open is None else schedule_row(document.hold_open),
            10: document.auto_lock,
        }
    )
    return sign1(Kind.STATE, writable(fields, _access_state), signer)


def read_access_state(data: bytes, keys: Keys) -> AccessState:
    """Verify an LK1-STATE under the issuer keys."""
    return _access_state(verify1(Kind.STATE, data, keys).payload)


def _access_state(payload: object) -> AccessState:
    fields = Fields(payload, "state")
    document = AccessState(
        lock_id=fields.id(1),
        version=fields.uint(2),
        epoch=fields.optional_uint(3),
        occupied=fields.flag(4),
        pins=read_slots(fields.raw(5)),
        cards=read_slots(fields.raw(6)),
        iat=fields.time(7),
        fingers=read_slots(fields.raw(8)) if fields.has(8) else (),
        hold_open=read_schedule(fields.raw(9)) if fields.has(9) else None,
        auto_lock=fields.optional_uint(10, MAX_AUTO_LOCK),
    )
    fields.close()
    if len(document.pins) + len(document.cards) + len(document.fingers) > MAX_ALL_SLOTS:
        raise RemoteError(Denial.TOO_LARGE, f"more than {MAX_ALL_SLOTS} slots")
    return document


def sign_release(order: ReleaseOrder, signer: Signer) -> bytes:
    """Sign as LK1-RELEASE, by the issuer."""
    fields: dict[int, object] = {1: order.lock_id, 2: int(order.reason), 3: order.iat}
    return sign1(Kind.RELEASE, writable(fields, _release), signer)


def read_release(data: bytes, keys: Keys) -> ReleaseOrder:
    """Verify an LK1-RELEASE under the issuer keys; age and occupancy are the lock's to judge."""
    return _release(verify1(Kind.RELEASE, data, keys).payload)


def _release(payload: object) -> ReleaseOrder:
    fields = Fields(payload, "release")
    order = ReleaseOrder(fields.id(1), fields.choice(2, ReleaseReason), fields.time(3))
    fields.close()
    return order


def document_lock(document: Document) -> bytes | None:
    """The lock a document is for; None for a key set, which is for the site."""
    return None if isinstance(document, KeySet) else document.lock_id
