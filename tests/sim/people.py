"""People and their phones: an honest phone syncs, opens doors, wishes; it may sleep, be offline, or be lost.

The bundle, the verification of a kit and the choice of news are the reference phone's own code
(`mobile_api.phone`); only its radio and its network are the world's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.domain.canonical import dumps
from lockserver.protocol.claims import Claims
from lockserver.protocol.credential import read_credential
from lockserver.protocol.documents import read_key_set
from lockserver.protocol.limits import ID, NONCE
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.wish import OF, SALT, Arg, Wish, WishOperation, digest_of, sign_wish
from mobile_api.phone.bundle import Bundle, b64
from mobile_api.phone.phone import REPORTS, WISH_LIFE, Phone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sim.world import World


class Person:
    """Somebody with an account; `number` is his telephone number."""

    def __init__(self, name: str, number: str) -> None:
        self.name = name
        self.number = number
        self.holder_id = UUID(int=0)
        self.account_id = UUID(int=0)
        self.session_id = UUID(int=0)
        self.phones: list[PhoneActor] = []

    @property
    def phone(self) -> PhoneActor:
        """The phone in his hand: the last one that he was given."""
        return self.phones[-1]


class PhoneActor(Phone):
    """One phone: the reference phone, with the world's time, chance and network."""

    def __init__(self, world: World, person: Person) -> None:
        self.name = f"{person.name}/{len(person.phones) + 1}"
        self.dice = world.dice.of("phone", self.name)
        super().__init__(Bundle.fresh(self.dice.bytes))
        self.world = world
        self.person = person
        self.offline_until = 0
        self.lost = False
        self.attic: dict[bytes, list[tuple[bytes, dict[str, bytes]]]] = {}
        """Lock id → everything it was ever given for that door: a hostile holder throws nothing away."""
        self.pinned: dict[bytes, bytes] = {}
        self.signer = self.bundle.signer
        person.phones.append(self)

    @property
    def now(self) -> int:
        """Unix seconds: phones are set by their network."""
        return self.world.agenda.unix

    @property
    def offline(self) -> bool:
        """Whether it has no network now."""
        return self.lost or self.world.agenda.ms < self.offline_until

    @property
    def id(self) -> UUID:
        """Its id at the server."""
        return UUID(bytes=self.bundle.phone_id or bytes(16))

    def signed(self, phone_id: bytes, method_path: str, body: bytes) -> bytes:
        """A request under this phone's key."""
        request = PhoneRequest(phone_id, method_path, hash_body(body), self.now, self.dice.bytes(NONCE))
        return sign_request(request, self.signer)

    def wished(
        self,
        operation: WishOperation,
        target: bytes,
        args: Mapping[str, Arg] | None = None,
        *,
        life: int = WISH_LIFE,
    ) -> tuple[Wish, bytes]:
        """A wish and its signed form."""
        wish = Wish(self.dice.bytes(ID), target, operation, self.now + life, dict(args or {}))
        return wish, sign_wish(wish, self.signer)

    def wished_body(
        self,
        operation: WishOperation,
        target: bytes,
        body: Mapping[str, object],
        args: Mapping[str, Arg] | None = None,
    ) -> tuple[bytes, bytes, bytes]:
        """(wish, salt, body as sent) for a request that grants something."""
        salt = self.dice.bytes(SALT)
        _, raw = self.wished(operation, target, {OF: digest_of(salt, dumps(body)), **(args or {})})
        return raw, salt, dumps({**body, "wish": b64(raw), "salt": b64(salt)})

    # ---- sync

    def asks(self) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
        """(request, asks, reports carried along) for a sync."""
        nonces = {
            door.lock_id.hex(): b64(door.nonce)
            for door in self.bundle.doors.values()
            if door.nonce is not None
        }
        asks = dumps({"nonces": nonces})
        request = self.signed(self.bundle.phone_id or b"", "POST /v1/phone/sync", asks)
        return request, asks, self.bundle.reports[:REPORTS]

    def take_kit(self, kit: Mapping[str, Any], carried: int) -> None:
        """Verify a kit and keep it, and in the attic whatever it replaces."""
        del self.bundle.reports[:carried]
        self.take({name: value for name, value in kit.items() if name != "now"})
        oracle = self.world.oracle
        key_set = read_key_set(self.bundle.key_set or b"", self.bundle.site_root or b"")
        for door in self.bundle.doors.values():
            self.pinned[door.lock_id] = door.lock_public
            if door.credential is None:
                continue
            kept = self.attic.setdefault(door.lock_id, [])
            if not kept or kept[-1] != (door.credential, door.documents):
                kept.append((door.credential, dict(door.documents)))
            claims: Claims = read_credential(door.credential, key_set.issuers).claims
            if claims.cti not in oracle.keys:
                oracle.learn(self, claims, door.credential)
