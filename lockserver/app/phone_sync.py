"""Give a phone what it needs to open its doors without a network, and nothing that is not its own.

The phone signs its request (LK1-REQ), so a session alone fetches nothing. What comes back is signed
by the issuer: who carries it may withhold it, not forge it.

`asks` is the body that the request's hash covers: canonical JSON
`{"nonces": {"<lock id hex>": "<time nonce, base64url>"}}`, where a lock's nonce asks for a time
statement.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.issue_credential import (
    EARLY,
    Cut,
    Withheld,
    issue_credential,
    may_hold,
)
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.app.vouch_for_phone import vouch_for_phone
from lockserver.domain.account import Holder, Phone
from lockserver.domain.canonical import loads, unb64url
from lockserver.domain.errors import InvalidInputError, PhoneUnknownError, ProofInvalidError
from lockserver.domain.grant import Grant
from lockserver.domain.house import Door
from lockserver.domain.lock import IssuedCredential, Lock
from lockserver.domain.times import whole_seconds
from lockserver.protocol.cose import peek
from lockserver.protocol.documents import DoorDocument, TimeStatement, sign_door, sign_time
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.limits import ID, NONCE, REQUEST_SKEW
from lockserver.protocol.request import MAX_REQUEST, PhoneRequest, hash_body, read_request

METHOD_PATH = "POST /v1/phone/sync"
MAX_DOORS = 64
"""Doors in one answer: a caretaker of a large house; more would be a list to copy."""
_PHONE_FIELD = 1


@dataclass(frozen=True, slots=True)
class DoorKit:
    """Everything for one door. `withheld` says why there is no credential."""

    door: Door
    lock: Lock
    door_document: bytes
    credential: IssuedCredential | None
    withheld: Withheld | None
    revocation: bytes | None
    state: bytes | None
    time: bytes | None
    release: bytes | None = None
    """The order that lets this lock go, for its landlord and his staff to carry."""


@dataclass(frozen=True, slots=True)
class Kit:
    """A phone's whole bundle; `now` lets it set its own clock's offset."""

    phone_id: UUID
    now: datetime
    site_root: bytes
    key_set: bytes
    doors: tuple[DoorKit, ...]


@dataclass(slots=True)
class SeenRequests:
    """Nonces of requests that were answered within the allowed skew (one issuer process)."""

    seen: dict[tuple[UUID, bytes], datetime] = field(default_factory=dict)

    def first(self, phone_id: UUID, nonce: bytes, now: datetime) -> bool:
        """Remember the nonce; tell whether it is new."""
        horizon = now - timedelta(seconds=2 * REQUEST_SKEW)
        while self.seen:
            oldest = next(iter(self.seen))
            if self.seen[oldest] >= horizon:
                break
            del self.seen[oldest]
        if (phone_id, nonce) in self.seen:
            return False
        self.seen[phone_id, nonce] = now
        return True


async def phone_sync(world: Issuing, seen: SeenRequests, request: bytes, asks: bytes) -> Kit:
    """Answer one phone.

    Raises ProofInvalidError, PhoneUnknownError (unknown or revoked), InvalidInputError.
    """
    now = world.clock.now()
    async with world.transactions.begin() as work:
        phone = await prove(work, request, asks, now)
        if not seen.first(phone.id, _nonce_of(request), now):
            raise ProofInvalidError("this request was answered before")
        nonces = _read_nonces(asks)
        phone = await vouch_for_phone(work, phone)
        holder = await work.holders.one(phone.holder_id)
        root = await work.site_keys.current("root")
        doors = [
            await _kit(world, work, holder, phone, pair, nonces, now)
            for pair in await _openable(work, phone, now)
        ]
    return Kit(phone.id, now, root.public, root.key_set or b"", tuple(doors))


async def prove(work: UnitOfWork, request: bytes, asks: bytes, now: datetime) -> Phone:
    """Return the phone that a request names, if its key signed it, over `asks`, just now.

    The API asks this first, so that a stranger's bytes cost a look-up and no request row; the issuer
    asks it again and believes nobody. Raises ProofInvalidError, PhoneUnknownError.
    """
    try:
        claimed = peek(request, limit=MAX_REQUEST).get(_PHONE_FIELD)
    except RemoteError as error:
        raise ProofInvalidError from error
    if type(claimed) is not bytes or len(claimed) != ID:
        raise ProofInvalidError
    phone = await work.phones.get(UUID(bytes=claimed))
    if phone is None or phone.state == "revoked":
        raise PhoneUnknownError
    try:
        proved = read_request(request, phone.sign_pub)
    except RemoteError as error:
        raise ProofInvalidError from error
    if not _is_this(proved, asks, now):
        raise ProofInvalidError
    return phone


def _is_this(proved: PhoneRequest, asks: bytes, now: datetime) -> bool:
    fresh = abs(proved.issued_at - whole_seconds(now)) <= REQUEST_SKEW
    return fresh and proved.method_path == METHOD_PATH and proved.body_hash == hash_body(asks)


def _nonce_of(request: bytes) -> bytes:
    """The nonce of a request that was verified already."""
    nonce = peek(request, limit=MAX_REQUEST)[5]
    assert type(nonce) is bytes  # noqa: S101 - read_request has judged it
    return nonce


def _read_nonces(asks: bytes) -> dict[UUID, bytes]:
    """Read `{"nonces": {lock: nonce}}`; raises InvalidInputError."""
    named = loads(asks).get("nonces", {})
    if type(named) is not dict or len(named) > MAX_DOORS:
        raise InvalidInputError(field="nonces")
    found: dict[UUID, bytes] = {}
    for name, text in named.items():
        try:
            lock_id, nonce = UUID(hex=name), unb64url(text)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidInputError(field="nonces") from error
        if len(nonce) != NONCE:
            raise InvalidInputError(field="nonces")
        found[lock_id] = nonce
    return found


def own_first(grant: Grant) -> bool:
    """Tell whether a grant goes before all others at its door: that of who lives behind it."""
    return grant.class_ == "tenant"


async def _openable(work: UnitOfWork, phone: Phone, now: datetime) -> list[tuple[list[Grant], Door, Lock]]:
    """Return a door's grants (those that live, else those that open soonest), with its lock.

    A tenant's own go before what others gave him: a staff key, which an occupied room refuses, or a guest's for
    an hour a week, must not take the place of his way in (L-45).
    """
    by_door: dict[UUID, list[Grant]] = {}
    grants = await work.grants.of_holder(phone.holder_id, now)
    for grant in sorted(
        grants,
        key=lambda one: (not one.lives(now), not own_first(one), one.uses is not None, one.lower),
    ):
        if grant.lower <= now + EARLY:
            by_door.setdefault(grant.door_id, []).append(grant)
    locks = {lock.door_id: lock for lock in await work.locks.of_doors(list(by_door))}
    return [
        (mine, await work.doors.one(door_id), locks[door_id])
        for door_id, mine in by_door.items()
        if door_id in locks
    ][:MAX_DOORS]


async def _kit(
    world: Issuing,
    work: UnitOfWork,
    holder: Holder,
    phone: Phone,
    pair: tuple[list[Grant], Door, Lock],
    nonces: dict[UUID, bytes],
    now: datetime,
) -> DoorKit:
    grants, door, lock = pair
    credential, withheld = None, None
    for grant in grants:  # the first that gives a key; else why the first gives none
        allowed = await may_hold(work, grant, door, phone, now)
        if not isinstance(allowed, Withheld):
            cut = Cut(holder, phone, grant, door, lock)
            credential, withheld = await issue_credential(world, work, cut, allowed, now), None
            break
        withheld = withheld or allowed
    documents = {one.kind: one.raw for one in await work.lock_documents.all_latest(lock.id)}
    pinned = DoorDocument(lock.id.bytes, lock.sign_pub, whole_seconds(now))
    nonce = nonces.get(lock.id)
    statement = None
    if nonce is not None:
        statement = sign_time(TimeStatement(whole_seconds(now), nonce, lock.id.bytes), world.signer)
    return DoorKit(
        door=door,
        lock=lock,
        door_document=sign_door(pinned, world.signer),
        credential=credential,
        withheld=withheld,
        revocation=documents.get("revocation"),
        state=documents.get("state"),
        time=statement,
        release=documents.get("release") if grants[0].class_ in ("owner", "staff") else None,
    )
