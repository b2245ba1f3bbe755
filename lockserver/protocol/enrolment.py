r"""Enrolment of a lock: offer, document, and the four messages that carry them over BLE.

    E1 phone -> lock   10 || version || owner phone's signing key (65)
    E2 lock -> phone   11 || version || LK1-OFFER by the factory key, only after the lock's button
    E3 phone -> lock   12 || version || MAC (32) || LK1-ENROL by the issuer
    E4 lock -> phone   13 || version || first report (hello), sealed to the server

The offer proves the lock (factory certificate), its press of the button and the owner's phone key.  The
MAC under the claim code from the QR proves the server to the lock: HMAC-SHA-256 with key
Expand(Extract(nonce, claim code), "LK1 enrol\0" || serial, 32) over ``12 || version || document``.
A refusal is the single byte 7F.
"""

from dataclasses import dataclass
from enum import IntEnum
from hmac import compare_digest
from typing import Final

from lockserver.protocol.cose import Kind, peek, sign1, verify1
from lockserver.protocol.curve import (
    POINT,
    Signer,
    hkdf_expand,
    hkdf_extract,
    hmac_sha256,
    keys_by_id,
    parse_public,
)
from lockserver.protocol.documents import KeySet, Trust, read_key_set
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import HASH, Fields, bad, present, writable
from lockserver.protocol.handshake import REFUSAL, VERSION
from lockserver.protocol.limits import (
    CLAIM_CODE,
    ENROL_NONCE,
    MAX_BOX,
    MAX_CERTIFICATE,
    MAX_MESSAGE,
)

E1, E2, E3, E4 = 0x10, 0x11, 0x12, 0x13
MAX_SERIAL: Final = 32
"""Characters of a serial number."""

_HEAD: Final = 2
_CERTIFICATE_FIELD: Final = 3


class DoorKind(IntEnum):
    """Whether the door has a turnover epoch."""

    ROOM = 1
    SHARED = 2


@dataclass(frozen=True, slots=True)
class EnrolOffer:
    """What a lock says of itself, signed by its factory key after its button was pressed."""

    serial: str
    certificate: bytes
    nonce: bytes
    sign_public: bytes
    ecdh_public: bytes
    owner_public: bytes


@dataclass(frozen=True, slots=True)
class EnrolDocument:
    """The operational identity.

    ``broker_secret`` and ``door_seed`` are boxes for the lock's ECDH key (``Box.BROKER``, ``Box.SEED``,
    subject lock id); ``epoch`` None at a shared door.
    """

    lock_id: bytes
    nonce: bytes
    site_root: bytes
    key_set: bytes
    certificate: bytes
    broker_secret: bytes
    door_seed: bytes
    shard: str
    door_kind: DoorKind
    epoch: int | None
    iat: int


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A document whose MAC and signatures are right, with the trust that it brings."""

    document: EnrolDocument
    trust: Trust


def sign_offer(offer: EnrolOffer, factory: Signer) -> bytes:
    """Sign as LK1-OFFER, by the lock's factory key."""
    fields: dict[int, object] = {
        1: VERSION,
        2: offer.serial,
        3: offer.certificate,
        4: offer.nonce,
        5: offer.sign_public,
        6: offer.ecdh_public,
        7: offer.owner_public,
    }
    return sign1(Kind.OFFER, writable(fields, _read_offer), factory)


def peek_certificate(data: bytes) -> bytes:
    """The factory certificate (DER) in an offer, UNVERIFIED: check its chain, then ``read_offer``."""
    value = peek(data).get(_CERTIFICATE_FIELD)
    if type(value) is not bytes or len(value) > MAX_CERTIFICATE:
        raise bad("an offer without a certificate")
    return value


def read_offer(data: bytes, factory_public: bytes) -> EnrolOffer:
    """Verify an offer under the key of its (already checked) factory certificate.

    The caller also compares ``serial`` with the certificate's subject.
    """
    return _read_offer(verify1(Kind.OFFER, data, keys_by_id((factory_public,))).payload)


def _read_offer(payload: object) -> EnrolOffer:
    fields = Fields(payload, "offer")
    _version(fields.uint(1))
    offer = EnrolOffer(
        serial=fields.text(2, MAX_SERIAL),
        certificate=fields.octets(3, None, most=MAX_CERTIFICATE),
        nonce=fields.octets(4, ENROL_NONCE),
        sign_public=fields.octets(5, POINT),
        ecdh_public=fields.octets(6, POINT),
        owner_public=fields.octets(7, POINT),
    )
    fields.close()
    for point in (offer.sign_public, offer.ecdh_public, offer.owner_public):
        parse_public(point)
    return offer


def sign_enrolment(document: EnrolDocument, issuer: Signer) -> bytes:
    """Sign as LK1-ENROL, by the issuer."""
    fields = present(
        {
            1: VERSION,
            2: document.lock_id,
            3: document.nonce,
            4: document.site_root,
            5: document.key_set,
            6: document.certificate,
            7: document.broker_secret,
            8: document.door_seed,
            9: document.shard,
            10: int(document.door_kind),
            11: document.epoch,
            12: document.iat,
        }
    )
    return sign1(Kind.ENROL, writable(fields, _read_document), issuer)


def claim_mac(signed: bytes, claim_code: bytes, nonce: bytes, serial: str) -> bytes:
    """32-byte MAC of an LK1-ENROL under the claim code."""
    if len(claim_code) != CLAIM_CODE:
        raise LocalError(f"a claim code has {CLAIM_CODE} bytes")
    key = hkdf_expand(hkdf_extract(nonce, claim_code), b"LK1 enrol\0" + serial.encode(), HASH)
    return hmac_sha256(key, bytes([E3, VERSION]) + signed)


def open_enrolment(signed: bytes, mac: bytes, claim_code: bytes, nonce: bytes, serial: str) -> Enrolled:
    """The lock's side: MAC, nonce, key set under the site root, signature under its issuer keys.

    RemoteError: BAD_SIGNATURE, WRONG_NONCE, UNKNOWN_KEY, BAD_VERSION, BAD_FORMAT ...
    """
    if not compare_digest(mac, claim_mac(signed, claim_code, nonce, serial)):
        raise RemoteError(Denial.BAD_SIGNATURE, "MAC of the claim code")
    document = _read_document(peek(signed))
    if document.nonce != nonce:
        raise RemoteError(Denial.WRONG_NONCE, "another offer's document")
    key_set: KeySet = read_key_set(document.key_set, document.site_root)
    verify1(Kind.ENROL, signed, key_set.issuers)
    return Enrolled(document, Trust(document.site_root, key_set))


def _read_document(payload: object) -> EnrolDocument:
    fields = Fields(payload, "enrolment")
    _version(fields.uint(1))
    document = EnrolDocument(
        lock_id=fields.id(2),
        nonce=fields.octets(3, ENROL_NONCE),
        site_root=fields.octets(4, POINT),
        key_set=fields.octets(5, None, most=MAX_MESSAGE),
        certificate=fields.octets(6, None, most=MAX_CERTIFICATE),
        broker_secret=fields.octets(7, None, most=MAX_BOX),
        door_seed=fields.octets(8, None, most=MAX_BOX),
        shard=fields.text(9, 2),
        door_kind=fields.choice(10, DoorKind),
        epoch=fields.optional_uint(11),
        iat=fields.time(12),
    )
    fields.close()
    if (document.epoch is None) != (document.door_kind is DoorKind.SHARED):
        raise bad("rooms, and only rooms, have an epoch")
    return document


def _version(version: int) -> None:
    if version != VERSION:
        raise RemoteError(Denial.BAD_VERSION, str(version))


def write_e1(owner_public: bytes) -> bytes:
    """E1: the owner's phone asks to claim the lock."""
    if len(owner_public) != POINT:
        raise LocalError("the owner's key is a point of 65 bytes")
    return bytes([E1, VERSION]) + owner_public


def read_e1(message: bytes) -> bytes:
    """The owner's phone key of an E1."""
    point = _body(message, E1)
    parse_public(point)
    return point


def write_e2(offer: bytes) -> bytes:
    """E2 around an LK1-OFFER."""
    return _message(E2, offer)


def read_e2(message: bytes) -> bytes:
    """The LK1-OFFER of an E2, unverified.  RemoteError BURNT: the lock refused (no button)."""
    return _body(message, E2)


def write_e3(signed: bytes, mac: bytes) -> bytes:
    """E3: MAC and LK1-ENROL."""
    if len(mac) != HASH:
        raise LocalError("a MAC has 32 bytes")
    return _message(E3, mac + signed)


def read_e3(message: bytes) -> tuple[bytes, bytes]:
    """(LK1-ENROL, MAC) of an E3, unverified."""
    body = _body(message, E3)
    if len(body) <= HASH:
        raise bad("E3 without a document")
    return body[HASH:], body[:HASH]


def write_e4(report: bytes) -> bytes:
    """E4: the sealed first report."""
    return _message(E4, report)


def read_e4(message: bytes) -> bytes:
    """The sealed report of an E4.  RemoteError BURNT: the lock refused the document."""
    return _body(message, E4)


def _message(first: int, body: bytes) -> bytes:
    message = bytes([first, VERSION]) + body
    if len(message) > MAX_MESSAGE:
        raise LocalError(f"a message of {len(message)} bytes, limit {MAX_MESSAGE}")
    return message


def _body(message: bytes, first: int) -> bytes:
    if message == REFUSAL:
        raise RemoteError(Denial.BURNT, "7F")
    if len(message) > MAX_MESSAGE:
        raise RemoteError(Denial.TOO_LARGE, f"{len(message)} bytes")
    if message[:1] != bytes([first]):
        raise bad(f"not message {first:02x}")
    if message[1:_HEAD] != bytes([VERSION]):
        raise RemoteError(Denial.BAD_VERSION, message[1:_HEAD].hex())
    return bytes(message[_HEAD:])
