"""The people and things of the vectors: keys from labels, one site, two locks, fixed times.

Everything here is made up and derived from a label by SHAKE-256, so that it is the same everywhere and
worth nothing.  Tests of other rooms may use it too.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.protocol.claims import Capability, Claims, HolderClass, Schedule
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.documents import KeySet, Trust
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.handshake import LockHandshake, LockInfo, PhoneHandshake

NOW = 1_760_000_000
"""2025-10-09T08:53:20Z, a Thursday."""


def octets(label: str, length: int) -> bytes:
    """`length` bytes that belong to `label`."""
    return hashlib.shake_256(b"LK1 vectors " + label.encode()).digest(length)


def stream(label: str) -> Callable[[int], bytes]:
    """A source of random-looking bytes, the same at every run."""
    calls = iter(range(1 << 30))
    return lambda length: octets(f"{label} {next(calls)}", length)


def key(label: str) -> ec.EllipticCurvePrivateKey:
    return private_key(stream(label))


def scalar(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_numbers().private_value.to_bytes(32, "big")


@dataclass(frozen=True)
class Keys:
    """One key pair with its signer."""

    private: ec.EllipticCurvePrivateKey
    signer: EcdsaSigner

    @property
    def public(self) -> bytes:
        return self.signer.public


def pair(label: str) -> Keys:
    private = key(label)
    return Keys(private, EcdsaSigner(private))


ROOT = pair("site root")
ISSUER = pair("issuer")
NEXT_ISSUER = pair("next issuer")
STRANGER = pair("stranger")
COMMAND = pair("command")
REPORT = pair("report")
FACTORY = pair("factory")
LOCK = pair("lock signing")
LOCK_ECDH = pair("lock ecdh")
OTHER_LOCK = pair("other lock signing")
HOLDER = pair("holder")
OTHER_HOLDER = pair("other holder")
PHONE_ECDH = pair("phone ecdh")

LOCK_ID = octets("lock id", 16)
OTHER_LOCK_ID = octets("other lock id", 16)

KEY_SET = KeySet(1, (ISSUER.public,), (COMMAND.public,), REPORT.public, NOW - 86400)
NEXT_KEY_SET = KeySet(2, (NEXT_ISSUER.public, ISSUER.public), (COMMAND.public,), REPORT.public, NOW)
TRUST = Trust(ROOT.public, KEY_SET)


def claims(
    *,
    cti: str = "credential",
    lock_id: bytes = LOCK_ID,
    holder: Keys = HOLDER,
    nbf: int = NOW - 3600,
    exp: int = NOW + 36 * 3600,
    iat: int = NOW - 3600,
    capabilities: Capability = Capability.UNLOCK | Capability.LOCK,
    holder_class: HolderClass = HolderClass.TENANT,
    epoch: int | None = 3,
    schedule: Schedule | None = None,
    uses: int | None = None,
) -> Claims:
    """A tenant's claims, but for what is said otherwise."""
    return Claims(
        cti=octets(cti, 16),
        subject=octets("subject", 16),
        lock_id=lock_id,
        holder_public=holder.public,
        nbf=nbf,
        exp=exp,
        iat=iat,
        capabilities=capabilities,
        holder_class=holder_class,
        epoch=epoch,
        schedule=schedule,
        uses=uses,
    )


INFO = LockInfo(LOCK_ID, NOW, 41, 1, octets("time nonce", 8))


def phone_side(label: str = "phone", door: Keys = LOCK, lock_id: bytes = LOCK_ID) -> PhoneHandshake:
    return PhoneHandshake(lock_id, door.public, key(f"{label} ephemeral"))


def lock_side(label: str = "lock", door: Keys = LOCK, info: LockInfo = INFO) -> LockHandshake:
    return LockHandshake(info, door.signer, key(f"{label} ephemeral"))


def greeted(lock_label: str = "lock") -> tuple[PhoneHandshake, LockHandshake]:
    """Both sides, the lock proved."""
    phone, lock = phone_side(), lock_side(lock_label)
    phone.receive_m2(lock.greet(phone.hello()))
    return phone, lock


def code_of(act: Callable[[], object]) -> Denial | None:
    """The code with which ``act`` is refused, None if it is not."""
    try:
        act()
    except RemoteError as error:
        return error.code
    return None
