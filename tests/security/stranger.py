"""A phone by somebody who has never seen our code: written from ``docs/protocol.md`` alone.

It imports nothing of ours: plain Python, and ``cryptography`` for the arithmetic.  Section numbers are the
page's.  It does what a phone needs to open a door: takes the site's documents, finds the lock by its
beacon, proves it, asks, and carries parcels.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COMPANY = 0xFFFF
SERVICE = "6c6b3100-9b1d-4d0c-8f6e-5d0f3c7a1e52"
ASK = "6c6b3101-9b1d-4d0c-8f6e-5d0f3c7a1e52"
ANSWER = "6c6b3102-9b1d-4d0c-8f6e-5d0f3c7a1e52"

UNLOCK, LOCK, HOLD_OPEN, READ_JOURNAL, SYNC = 1, 2, 3, 4, 5
GRANTED, DENIED, TRY_LATER, CLOCK_LOST, UPDATE_REQUIRED = range(5)
COMMAND_BOX, REPORT_BOX = 1, 2
UNLOCKED = 2
LARGEST = 4096


class RefusedError(Exception):
    """What came is not what the page allows, or is the lock's ``7f``."""


def need(holds: object, why: str) -> None:
    if not holds:
        raise RefusedError(why)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# ---------------------------------------------------------------------------------- 1, CBOR


def encode(value: Any) -> bytes:
    """Shortest heads, definite lengths, keys in bytewise order of their encodings."""
    if value is None or value is True or value is False:
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -value - 1)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        parts = sorted((encode(key), encode(item)) for key, item in value.items())
        return _head(5, len(parts)) + b"".join(key + item for key, item in parts)
    return _head(4, len(value)) + b"".join(encode(item) for item in value)


def _head(major: int, number: int) -> bytes:
    if number <= 23:
        return bytes([major * 32 + number])
    for size, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if number < 256**size:
            return bytes([major * 32 + code]) + number.to_bytes(size, "big")
    raise ValueError(number)


def decode(data: bytes) -> Any:
    """One whole value, in the one encoding that ``encode`` would write."""
    try:
        value, rest = _take(data, 0)
        exact = rest == len(data) and encode(value) == data
    except (IndexError, KeyError, TypeError, UnicodeError, ValueError) as error:
        raise RefusedError("no CBOR of the wire") from error
    need(exact, "not the one encoding")
    return value


def _take(data: bytes, at: int) -> tuple[Any, int]:
    major, low = divmod(data[at], 32)
    at += 1
    if major == 7:
        return {20: False, 21: True, 22: None}[low], at
    number = low
    if low >= 24:
        size = {24: 1, 25: 2, 26: 4, 27: 8}[low]
        need(at + size <= len(data), "cut")
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
    if major in {0, 1}:
        return (number if major == 0 else -1 - number), at
    need(number <= len(data) - at and major != 6, "longer than it is, or a tag")
    if major in {2, 3}:
        piece = data[at : at + number]
        return (piece if major == 2 else piece.decode()), at + number
    items = []
    for _ in range(number if major == 4 else 2 * number):
        item, at = _take(data, at)
        items.append(item)
    return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), at


# ---------------------------------------------------------------------------------- 1, keys


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def on_curve(point: bytes) -> ec.EllipticCurvePublicKey:
    need(len(point) == 65 and point[0] == 4, "no uncompressed point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise RefusedError("not on the curve") from error


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(point: bytes, signature: bytes, message: bytes) -> None:
    need(len(signature) == 64, "a signature has 64 bytes")
    der = utils.encode_dss_signature(
        int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    )
    try:
        on_curve(point).verify(der, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise RefusedError("signature") from error


def extract(salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, secret, "sha256")


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    out = block = b""
    for count in range(1, 256):
        block = hmac.digest(prk, block + info + bytes([count]), "sha256")
        out += block
        if len(out) >= length:
            break
    return out[:length]


def gcm_open(key_iv: bytes, sealed: bytes, aad: bytes) -> bytes:
    try:
        return AESGCM(key_iv[:16]).decrypt(key_iv[16:], sealed, aad)
    except Exception as error:
        raise RefusedError("does not open") from error


def gcm_seal(key_iv: bytes, plain: bytes, aad: bytes) -> bytes:
    return AESGCM(key_iv[:16]).encrypt(key_iv[16:], plain, aad)


# ---------------------------------------------------------------------------------- 2, documents


def read_signed(kind: str, data: bytes, keys: list[bytes], known: set[int]) -> dict[int, Any]:
    """The payload, whose critical fields are among ``known``, of a COSE_Sign1 by one of ``keys``."""
    need(len(data) <= LARGEST, "too large")
    whole = decode(data)
    need(isinstance(whole, list) and len(whole) == 4 and whole[1] == {}, "no COSE_Sign1")
    protected, _, payload, signature = whole
    for key in keys:
        if protected == encode({1: -7, 4: sha(key)[:8]}):
            break
    else:
        raise RefusedError("nobody whom I trust")
    verify(key, signature, encode(["Signature1", protected, kind.encode(), payload]))
    fields = decode(payload)
    need(isinstance(fields, dict) and len(fields) <= 32, "no map")
    need(all(isinstance(n, int) and (n in known or n >= 256) for n in fields), "a field unknown to me")
    return dict(fields)


@dataclass
class Kit:
    """What a sync answers, verified: the root is pinned by whoever calls."""

    root: bytes
    key_set_bytes: bytes
    door_bytes: bytes

    def __post_init__(self) -> None:
        keys = read_signed("LK1-KEYS", self.key_set_bytes, [self.root], {1, 2, 3, 4, 5, 6})
        self.key_set_number: int = keys[1]
        self.issuers: list[bytes] = keys[2]
        for point in (*keys[2], *keys[3], keys[4]):
            on_curve(point)
        door = read_signed("LK1-DOOR", self.door_bytes, self.issuers, {1, 2, 3})
        self.lock_id: bytes = door[1]
        self.lock_key: bytes = door[2]
        on_curve(self.lock_key)

    def number_of(self, kind: int, data: bytes) -> int | None:
        """The number by which M2 says whether the lock needs a document; None: always brought."""
        if kind == 1:
            return self.key_set_number
        if kind == 2:
            return int(read_signed("LK1-RL", data, self.issuers, {1, 2, 3, 4, 5})[2])
        return None


# ---------------------------------------------------------------------------------- 6, the radio


def beacon(name: bytes, *, claimable: bool = False) -> bytes:
    """Manufacturer data under COMPANY of the lock with this id (or serial, unclaimed)."""
    return bytes([1 if claimable else 0]) + sha(b"LK1 beacon" + name)[:5]


def fragments(message: bytes, mtu: int) -> Iterator[bytes]:
    stream = len(message).to_bytes(2, "big") + message
    size = min(mtu - 3, 512)
    for at in range(0, len(stream), size):
        yield stream[at : at + size]


@dataclass
class Stream:
    """Fragments in, whole messages out."""

    buffer: bytes = b""

    def push(self, piece: bytes) -> list[bytes]:
        self.buffer += piece
        whole = []
        while len(self.buffer) >= 2:
            length = int.from_bytes(self.buffer[:2], "big")
            need(0 < length <= LARGEST, "length")
            if len(self.buffer) < 2 + length:
                break
            whole.append(self.buffer[2 : 2 + length])
            self.buffer = self.buffer[2 + length :]
        return whole


# ---------------------------------------------------------------------------------- 4 and 5


@dataclass
class Info:
    """What the lock proved of itself."""

    lock_id: bytes
    time: int | None
    list_number: int
    key_set_number: int
    time_nonce: bytes


@dataclass
class Answered:
    """M4."""

    code: int
    bolt: int
    time: int | None
    journal_number: int
    journal_hash: bytes


@dataclass
class AtTheDoor:
    """One connection: ``m1``, ``take_m2``, ``m3``, ``take_m4``, then parcels."""

    kit: Kit
    holder: ec.EllipticCurvePrivateKey
    ephemeral: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    sent: int = 0
    heard: int = 0

    def m1(self) -> bytes:
        self._m1 = b"\x01\x01" + point_of(self.ephemeral)
        return self._m1

    def _key_iv(self, number: int, th: bytes) -> bytes:
        return expand(self._prk, b"LK1 %d\0" % number + th, 28)

    def take_m2(self, message: bytes) -> Info:
        need(message != b"\x7f", "burnt")
        need(message[:1] == b"\x02" and len(message) <= LARGEST, "no M2")
        need(message[1:2] == b"\x01" and len(message) >= 67, "version or length")
        theirs = on_curve(message[2:67])
        self._prk = extract(sha(self._m1), self.ephemeral.exchange(ec.ECDH(), theirs))
        th2 = sha(self._m1 + message[:67])
        plain = decode(gcm_open(self._key_iv(2, th2), message[67:], th2))
        need(isinstance(plain, list) and len(plain) == 2, "M2")
        info, signature = plain
        need(isinstance(info, bytes) and isinstance(signature, bytes), "M2")
        verify(self.kit.lock_key, signature, b"LK1 lock" + th2 + info)
        row = decode(info)
        need(isinstance(row, list) and len(row) == 5, "info")
        said = Info(*row)
        need(said.lock_id == self.kit.lock_id, "another lock")
        self._th = sha(th2 + message[67:])
        return said

    def m3(self, credential: bytes, documents: list[tuple[int, bytes]], operation: int) -> bytes:
        rows = [list(document) for document in documents]
        body = encode([credential, rows, operation])
        signature = sign(self.holder, b"LK1 phone" + self._th + sha(body))
        plain = encode([credential, rows, operation, signature])
        message = b"\x03" + gcm_seal(self._key_iv(3, self._th), plain, self._th)
        need(len(message) <= LARGEST, "too much to carry")
        self._th = sha(self._th + message)
        return message

    def take_m4(self, message: bytes) -> Answered:
        need(message != b"\x7f", "burnt")
        need(message[:1] == b"\x04", "no M4")
        row = decode(gcm_open(self._key_iv(4, self._th), message[1:], self._th))
        need(isinstance(row, list) and len(row) == 5, "M4")
        self._th = sha(self._th + message[1:])
        self._out, self._in = self._key_iv(5, self._th), self._key_iv(6, self._th)
        return Answered(*row)

    def news(self, info: Info, documents: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Of what I hold, what this lock does not: by M2's numbers, the others always."""
        held = {1: info.key_set_number, 2: info.list_number}
        numbered = ((kind, data, self.kit.number_of(kind, data)) for kind, data in documents)
        return [(kind, data) for kind, data, number in numbered if number is None or number > held[kind]]

    def pack(self, box: bytes) -> bytes:
        """A command box for the lock."""
        head = b"\x05" + self.sent.to_bytes(2, "big")
        sealed = gcm_seal(_numbered(self._out, self.sent), encode([COMMAND_BOX, box]), self._th + head)
        self.sent += 1
        return head + sealed

    def unpack(self, message: bytes) -> bytes:
        """A report box of the lock's."""
        head = b"\x05" + self.heard.to_bytes(2, "big")
        need(message[:3] == head and len(message) <= LARGEST, "not the next parcel")
        row = decode(gcm_open(_numbered(self._in, self.heard), message[3:], self._th + head))
        need(isinstance(row, list) and len(row) == 2 and row[0] == REPORT_BOX, "no report")
        self.heard += 1
        return bytes(row[1])


def _numbered(key_iv: bytes, number: int) -> bytes:
    iv = int.from_bytes(key_iv[16:], "big") ^ number
    return key_iv[:16] + iv.to_bytes(12, "big")


# ---------------------------------------------------------------------------------- 10, enrolment


@dataclass
class Claiming:
    """An owner at a lock that has no identity: ``e1``, ``take_e2``, ``e3``, ``take_e4``."""

    owner: ec.EllipticCurvePrivateKey
    serial: str
    claim_code: bytes

    def e1(self) -> bytes:
        return b"\x10\x01" + point_of(self.owner)

    def take_e2(self, message: bytes) -> bytes:
        """The offer, for the server: it checks the factory's signature, I only what I can compare."""
        need(message != b"\x7f", "the button was not pressed")
        need(message[:2] == b"\x11\x01", "no E2")
        offer = message[2:]
        fields = decode(decode(offer)[2])
        need(fields[2] == self.serial and fields[7] == point_of(self.owner), "another's offer")
        self._nonce: bytes = fields[4]
        return offer

    def e3(self, document: bytes) -> bytes:
        key = expand(extract(self._nonce, self.claim_code), b"LK1 enrol\0" + self.serial.encode(), 32)
        return b"\x12\x01" + hmac.digest(key, b"\x12\x01" + document, "sha256") + document

    def take_e4(self, message: bytes) -> bytes:
        """The lock's first report, a box for the server."""
        need(message != b"\x7f", "refused")
        need(message[:2] == b"\x13\x01", "no E4")
        return message[2:]


# ---------------------------------------------------------------------------------- 15, PINs


def offline_pin(door_seed: bytes, epoch: int, code: int, start: int, n: int = 0) -> str:
    """What the issuer, which has the seed, would tell a guest."""
    row = encode([epoch, code, start // 3600, n])
    first = hmac.digest(door_seed, b"LK1 opin\0" + row, "sha256")[:8]
    return f"{int.from_bytes(first, 'big') % 10**9:09d}"


# ---------------------------------------------------------------------------------- 2, wishes


def wish(holder: ec.EllipticCurvePrivateKey, target: bytes, operation: int, not_after: int) -> bytes:
    """An LK1-WISH without arguments."""
    protected = encode({1: -7, 4: sha(point_of(holder))[:8]})
    payload = encode({1: secrets.token_bytes(16), 2: target, 3: operation, 4: not_after})
    signature = sign(holder, encode(["Signature1", protected, b"LK1-WISH", payload]))
    return encode([protected, {}, payload, signature])
