"""The reference phone: enrols its keys, syncs, signs wishes, claims locks, opens doors.

It needs the network for all but the last. What the server hands it is signed by the issuer and
verified here; the site root is pinned at the first sync and never changed by a later one.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from lockserver.protocol.access import Operation
from lockserver.protocol.carried import SignedDocument
from lockserver.protocol.curve import private_key, sha256
from lockserver.protocol.documents import DoorDocument, read_door, read_key_set
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.limits import CAPTURE_SECONDS, ID, NONCE, PIN_DIGITS, PIN_LEAST
from lockserver.protocol.pin import weakness
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from lockserver.protocol.wish import OF, SALT, Arg, Wish, WishOperation, digest_of, sign_wish
from mobile_api.phone.bundle import Bundle, StoredDoor, b64, unb64
from mobile_api.phone.door import Visit, claim, visit
from mobile_api.phone.errors import NoPinKeyError, WeakPinError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mobile_api.phone.radio import PhoneRadio

#: Seconds that a wish lives: long enough for a slow network, short enough to die young.
WISH_LIFE = 20

#: Sealed reports that one sync takes along.
REPORTS = 8

_SYNC = "POST /v1/phone/sync"
_ENROL = "POST /v1/phones"


class Server(Protocol):
    """A session with the API; paths are below `/v1`. Raises its own error for 400 and above."""

    async def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """POST JSON, with an Idempotency-Key of its own, and read JSON."""


class Phone:
    """One phone: a bundle in a file, and what it can do with it."""

    def __init__(self, bundle: Bundle, path: Path | None = None) -> None:
        self.bundle = bundle
        self._path = path
        self.clock_offset = 0
        """Seconds that the server's clock is ahead of this phone's."""

    @classmethod
    def fresh(cls, path: Path | None = None) -> Phone:
        """A new phone, with keys of its own."""
        phone = cls(Bundle.fresh(secrets.token_bytes), path)
        phone.save()
        return phone

    @classmethod
    def load(cls, path: Path) -> Phone:
        """The phone in a file."""
        return cls(Bundle.load(path), path)

    def save(self) -> None:
        """Write the bundle, if this phone has a file."""
        if self._path is not None:
            self.bundle.save(self._path)

    @property
    def now(self) -> int:
        """Unix seconds, by the server's clock as far as known."""
        return int(time.time()) + self.clock_offset

    # ---- with the network

    async def enrol(self, server: Server, session_id: UUID) -> dict[str, Any]:
        """Bring this phone's keys to the account; they are `pending` until something proves them."""
        bundle = self.bundle
        proof = self._request(session_id.bytes, _ENROL, bundle.sign_public + bundle.ecdh_public)
        answer = await server.post(
            "/phones",
            {
                "sign_pub": b64(bundle.sign_public),
                "ecdh_pub": b64(bundle.ecdh_public),
                "proof": b64(proof),
            },
        )
        bundle.phone_id = UUID(answer["id"]).bytes
        self.save()
        return dict(answer)

    async def claim(
        self, server: Server, radio: PhoneRadio, serial: str, claim_code: bytes, door_id: str
    ) -> bytes:
        """Claim a lock for a door as its owner, after its button was pressed. Returns the lock's id."""
        lock: dict[str, str] = {}

        async def enrol(offer: bytes) -> tuple[bytes, bytes]:
            answer = await server.post(
                "/locks",
                {"offer": b64(offer), "claim_code": b64(claim_code), "door_id": door_id},
            )
            lock["id"] = answer["lock_id"]
            return unb64(answer["document"]), unb64(answer["mac"])

        report = await claim(radio, serial, self.bundle.signer, enrol)
        await server.post(f"/locks/{lock['id']}/enrolled", {"report": b64(report)})
        return UUID(lock["id"]).bytes

    async def sync(self, server: Server) -> dict[str, Any]:
        """Fetch what this phone needs to open its doors without a network.

        Raises RemoteError if anything in it is not signed by the pinned site's issuer.
        """
        if self.bundle.phone_id is None:
            message = "this phone is not enrolled"
            raise ValueError(message)
        nonces = {
            door.lock_id.hex(): b64(door.nonce)
            for door in self.bundle.doors.values()
            if door.nonce is not None
        }
        asks = json.dumps({"nonces": nonces}, sort_keys=True, separators=(",", ":")).encode()
        request = self._request(self.bundle.phone_id, _SYNC, asks)
        carried = self.bundle.reports[:REPORTS]
        kit = await server.post(
            "/phone/sync",
            {
                "request": b64(request),
                "asks": b64(asks),
                "reports": [
                    {"lock_id": str(UUID(bytes=lock_id)), "report": b64(report)}
                    for lock_id, report in carried
                ],
            },
        )
        # what the server did not take is not lost: its lock keeps it until it is acknowledged
        del self.bundle.reports[: len(carried)]
        self.take(kit)
        return dict(kit)

    def take(self, kit: Mapping[str, Any]) -> None:
        """Verify a kit and keep it."""
        bundle = self.bundle
        root = unb64(kit["site_root"])
        if bundle.site_root not in {None, root}:
            raise RemoteError(Denial.UNKNOWN_KEY, "another site root than the one pinned")
        key_set = read_key_set(unb64(kit["key_set"]), root)
        doors: dict[bytes, StoredDoor] = {}
        for item in kit["doors"]:
            pinned = read_door(unb64(item["door"]), key_set.issuers)
            doors[pinned.lock_id] = self._door(pinned, item)
        bundle.site_root, bundle.key_set, bundle.doors = root, unb64(kit["key_set"]), doors
        if kit.get("now"):
            server_now = datetime.fromisoformat(str(kit["now"]))
            self.clock_offset = round(server_now.timestamp() - time.time())
        self.save()

    def _door(self, pinned: DoorDocument, item: Mapping[str, Any]) -> StoredDoor:
        before = self.bundle.doors.get(pinned.lock_id)
        documents = {
            name: unb64(item[name])
            for name in ("revocation_list", "access_state", "time", "release")
            if item.get(name)
        }
        credential = item.get("credential")
        return StoredDoor(
            lock_id=pinned.lock_id,
            lock_public=pinned.lock_public,
            credential=None if credential is None else unb64(credential),
            name=item.get("name", ""),
            kind=item.get("kind", ""),
            withheld=item.get("withheld"),
            expires_at=item.get("expires_at"),
            documents=documents,
            nonce=None if before is None else before.nonce,
        )

    def wish(
        self,
        operation: WishOperation,
        target: bytes,
        args: Mapping[str, Arg] | None = None,
        *,
        life: int = WISH_LIFE,
    ) -> bytes:
        """The holder's own signature under what he wants of `target` (a 16-byte id)."""
        wish = Wish(
            wish_id=secrets.token_bytes(ID),
            target_id=target,
            operation=operation,
            not_after=self.now + life,
            args=dict(args or {}),
        )
        return sign_wish(wish, self.bundle.signer)

    def wish_for(
        self,
        operation: WishOperation,
        target: bytes,
        body: Mapping[str, object],
        args: Mapping[str, Arg] | None = None,
    ) -> dict[str, object]:
        """Return the body of a request that grants something, with his wish over all of it.

        `target` is a 16-byte id; the body holds text, integers, truths, lists and objects of these. `args`
        stand in the wish beside the digest: whose key, from when until when (docs/protocol.md).
        """
        canonical = json.dumps(
            body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode()
        salt = secrets.token_bytes(SALT)
        wish = self.wish(operation, target, {OF: digest_of(salt, canonical), **(args or {})})
        return {**body, "wish": b64(wish), "salt": b64(salt)}

    # ---- PINs and keys by name

    @property
    def key_hash(self) -> bytes:
        """What a grantor names this phone by, in the argument `key` of his wish (32 bytes)."""
        return sha256(self.bundle.sign_public)

    def seal_pin(self, lock_id: bytes, digits: str) -> bytes:
        """Seal a PIN that its holder chose, for the issuer's eyes.

        Raises `WeakPinError` with the rule it breaks, and `NoPinKeyError` where the site has no key for it.
        """
        weak = weakness(digits)
        if weak is not None:
            raise WeakPinError(weak)
        bundle = self.bundle
        if bundle.site_root is None or bundle.key_set is None:
            raise NoPinKeyError
        pins_key = read_key_set(bundle.key_set, bundle.site_root).pins_key
        if pins_key is None:
            raise NoPinKeyError
        return seal(
            pins_key, digits.encode(), box_info(Box.PIN_SET, lock_id), private_key(secrets.token_bytes)
        )

    def pin_wish(self, lock_id: bytes, digits: str) -> bytes:
        """Sign the wish to set a PIN; the server reads neither digits nor box. Raises as `seal_pin`."""
        return self.wish(WishOperation.SET_PIN, lock_id, {"pin": self.seal_pin(lock_id, digits)})

    def open_pin(self, lock_id: bytes, box: bytes) -> str:
        """Read the digits that the issuer sealed for this phone. Raises RemoteError."""
        digits = unseal(self.bundle.ecdh, box, box_info(Box.PIN, lock_id)).decode("ascii", "replace")
        if not (PIN_LEAST <= len(digits) <= PIN_DIGITS and digits.isascii() and digits.isdecimal()):
            raise RemoteError(Denial.BAD_FORMAT, "no PIN")
        return digits

    # ---- at a door, without a network

    async def capture(self, radio: PhoneRadio, lock_id: bytes, *, patience: float = CAPTURE_SECONDS) -> Visit:
        """Ask a lock to read in the holder's card or finger, and wait at the door until it was.

        `reports` then holds, beside others, the sealed report of what was captured, for the server.
        """
        return await self.open(radio, lock_id, operation=Operation.CAPTURE, patience=patience)

    async def open(
        self,
        radio: PhoneRadio,
        lock_id: bytes,
        *,
        operation: Operation = Operation.UNLOCK,
        collect: bool = True,
        carry: bool = True,
        patience: float = 0.0,
    ) -> Visit:
        """Open a door (or ask something else of it) and keep what it gave us to carry.

        Without `carry` no document is brought to the lock: it decides by what it holds. `patience`: seconds
        to stay although it says nothing.
        """
        key = self.bundle.door_key(lock_id)
        if not carry:
            key = replace(key, documents=())
        result = await visit(
            radio, key, self.bundle.signer, operation=operation, collect=collect, patience=patience
        )
        door = self.bundle.doors[lock_id]
        door.nonce = result.info.time_nonce
        self.bundle.reports += [(lock_id, report) for report in result.reports]
        self.save()
        return result

    def carried(self, lock_id: bytes) -> tuple[SignedDocument, ...]:
        """The documents that this phone would carry to a door."""
        return self.bundle.door_key(lock_id).documents

    def _request(self, phone_id: bytes, method_path: str, body: bytes) -> bytes:
        request = PhoneRequest(
            phone_id=phone_id,
            method_path=method_path,
            body_hash=hash_body(body),
            issued_at=self.now,
            nonce=secrets.token_bytes(NONCE),
        )
        return sign_request(request, self.bundle.signer)
