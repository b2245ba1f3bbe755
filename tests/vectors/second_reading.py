"""A second reading of ``docs/protocol.md``: enough of the wire to take every vector apart.

It imports nothing of ours, on purpose, and shares no code with it: an encoder and a decoder that are wrong
together agree with each other, but not with this.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Value = object


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, "sha256").digest()


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    block, out = b"", b""
    while len(out) < length:
        block = mac(prk, block + info + bytes([len(out) // 32 + 1]))
        out += block
    return out[:length]


# ------------------------------------------------------------------------------- CBOR, by hand


def _head(major: int, n: int) -> bytes:
    for size, info in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if n < 24:
            return bytes([major << 5 | n])
        if n < 1 << 8 * size:
            return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    raise ValueError(n)


def enc(value: Value) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        raw = value.encode()
        return _head(3, len(raw)) + raw
    if isinstance(value, dict):
        pairs = sorted((enc(k), enc(v)) for k, v in value.items())
        return _head(5, len(pairs)) + b"".join(k + v for k, v in pairs)
    assert isinstance(value, Sequence)
    return _head(4, len(value)) + b"".join(map(enc, value))


def dec(data: bytes) -> Value:
    value, rest = _dec(data)
    assert rest == b""
    assert enc(value) == data, "not deterministic"
    return value


def _dec(data: bytes) -> tuple[Value, bytes]:
    major, info, data = data[0] >> 5, data[0] & 31, data[1:]
    if major == 7:
        return {20: False, 21: True, 22: None}[info], data
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
    n = int.from_bytes(data[:size], "big") if size else info
    data = data[size:]
    if major < 2:
        return (n if major == 0 else -1 - n), data
    if major in {2, 3}:
        return (data[:n] if major == 2 else data[:n].decode()), data[n:]
    items: list[Value] = []
    for _ in range(n * (2 if major == 5 else 1)):
        item, data = _dec(data)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if major == 5 else items), data


# ------------------------------------------------------------------------------- keys


def private(scalar: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(scalar, 16), ec.SECP256R1())


def public(point: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    n = key.public_key().public_numbers()
    return b"\x04" + n.x.to_bytes(32, "big") + n.y.to_bytes(32, "big")


def dh(mine: ec.EllipticCurvePrivateKey, theirs: bytes) -> bytes:
    return mine.exchange(ec.ECDH(), public(theirs))


def check(key: bytes, signature: bytes, message: bytes) -> None:
    """InvalidSignature unless it is."""
    assert len(signature) == 64
    pair = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    public(key).verify(utils.encode_dss_signature(*pair), message, ec.ECDSA(hashes.SHA256()))


def gcm_open(key_iv: bytes, box: bytes, aad: bytes) -> bytes:
    return AESGCM(key_iv[:16]).decrypt(key_iv[16:], box, aad)


# ------------------------------------------------------------------------------- the wire


def signed(kind: str, data: bytes, key: bytes) -> dict[Value, Value]:
    """The payload of a COSE_Sign1 of this kind by this key (§2)."""
    whole = dec(data)
    assert isinstance(whole, list)
    protected, unprotected, payload, signature = whole
    assert dec(protected) == {1: -7, 4: sha256(key)[:8]}
    assert unprotected == {}
    check(key, signature, enc(["Signature1", protected, kind.encode(), payload]))
    fields = dec(payload)
    assert isinstance(fields, dict)
    return fields


def open_box(mine: ec.EllipticCurvePrivateKey, box: bytes, info: bytes) -> bytes:
    """§3."""
    prk = mac(sha256(box[:65] + point(mine)), dh(mine, box[:65]))
    return gcm_open(expand(prk, b"LK1 box\0" + sha256(info), 28), box[65:], info)


def box_info(purpose: str, subject: bytes) -> bytes:
    return b"LK1 box " + purpose.encode() + b"\0" + subject


class Transcript:
    """§4, from a recorded exchange and one side's ephemeral key."""

    def __init__(
        self, mine: ec.EllipticCurvePrivateKey, theirs: bytes, m1: bytes, m2: bytes, m3: bytes
    ) -> None:
        self.prk = mac(sha256(m1), dh(mine, theirs))
        self.th2 = sha256(m1 + m2[:67])
        self.th3 = sha256(self.th2 + m2[67:])
        self.th4 = sha256(self.th3 + m3)

    def th5(self, m4: bytes) -> bytes:
        return sha256(self.th4 + m4[1:])

    def open(self, number: int, th: bytes, box: bytes) -> Any:
        return dec(gcm_open(self.key_iv(number, th), box, th))

    def key_iv(self, number: int, th: bytes) -> bytes:
        return expand(self.prk, f"LK1 {number}\0".encode() + th, 28)


# ------------------------------------------------------------------------------- §15


LIVES = {
    0: 86400, 1: 10800, 2: 86400, 3: 259200, 4: 604800, 5: 604800, 6: 7257600, 7: 86400, 8: 86400,
}  # fmt: skip
PERIODS = {5: 86400, 6: 604800}


def offline_pin(seed: bytes, row: Sequence[int]) -> str:
    whole = mac(seed, b"LK1 opin\0" + enc(list(row)))
    return str(int.from_bytes(whole[:8], "big") % 1_000_000_000).rjust(9, "0")


def searched(shared: bool, epoch: int, owner_epoch: int, now: int) -> list[list[int]]:
    """Every offline PIN whose first use could be now."""
    rows = []
    for code, life in LIVES.items():
        epochs = [owner_epoch, owner_epoch + 1] if code == 7 else [0] if shared else [epoch, epoch + 1]
        for start in range(now - now % 3600 - 25 * 3600, now + 1, 3600):
            age = now - start
            if age < min(86400, life) and age % PERIODS.get(code, 1 << 40) < (
                14400 if code in PERIODS else 1 << 40
            ):
                rows += [[e, code, start // 3600, n] for e in epochs for n in (0, 1)]
    return rows


def slot_verifier(seed: bytes, kind: str, value: bytes) -> bytes:
    return mac(seed, f"LK1 {kind} ".encode() + value)[:16]


def weak(digits: str) -> str | None:
    """The rules of custom PINs, as the page words them."""
    if len(digits) not in {7, 8, 9} or any(d not in "0123456789" for d in digits):
        return "length"
    if digits == digits[0] * len(digits):
        return "same_digit"
    ring = "0123456789" * 3
    fives = {digits[i : i + 5] for i in range(len(digits) - 4)}
    if any(five in ring or five in ring[::-1] for five in fives):
        return "run"
    for p in range(2, len(digits) // 2 + 1):
        if (digits[:p] * len(digits))[: len(digits)] == digits:
            return "block"
    for i in range(len(digits) - 7):
        year, month, day = int(digits[i : i + 4]), int(digits[i + 4 : i + 6]), int(digits[i + 6 : i + 8])
        if 1900 <= year <= 2099 and 1 <= month <= 12 and 1 <= day <= 31:
            return "date"
    return "few_digits" if len(set(digits)) <= 3 else None
