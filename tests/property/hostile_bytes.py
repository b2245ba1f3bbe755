"""What a stranger may send, and every door of the wire that it can come through."""

import json
import random
from collections.abc import Callable
from datetime import UTC
from functools import partial
from typing import Any

import cbor2
from hypothesis import strategies as st

from lockserver.protocol import codec, cose, enrolment, gateway, topics
from lockserver.protocol.access import Operation
from lockserver.protocol.commands import command_map
from lockserver.protocol.cose import Kind
from lockserver.protocol.credential import issue_credential, read_credential
from lockserver.protocol.curve import (
    aead_open,
    aead_seal,
    key_and_iv,
    keys_by_id,
    parse_public,
    sha256,
)
from lockserver.protocol.documents import (
    read_access_state,
    read_door,
    read_key_set,
    read_release,
    read_revocation_list,
    read_time,
)
from lockserver.protocol.envelope import open_command, open_report
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.firmware import peek_firmware, read_firmware
from lockserver.protocol.framing import Reassembler
from lockserver.protocol.parcels import PARCEL, _nonce
from lockserver.protocol.request import read_request
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from lockserver.protocol.wish import read_wish
from tests.vectors import build_envelopes
from tests.vectors.build_carriers import FIRMWARE
from tests.vectors.build_enrolment import CLAIM_CODE, NONCE, SERIAL
from tests.vectors.build_handshake import ANSWER
from tests.vectors.cast import (
    COMMAND,
    FACTORY,
    HOLDER,
    ISSUER,
    LOCK,
    LOCK_ECDH,
    LOCK_ID,
    REPORT,
    ROOT,
    TRUST,
    Keys,
    claims,
    key,
    lock_side,
    phone_side,
)
from tests.vectors.generate import FOLDER

Decoder = Callable[[bytes], object]

ISSUERS = keys_by_id((ISSUER.public,))
COMMANDERS = keys_by_id((COMMAND.public,))


# ------------------------------------------------------------------ doors open to anybody's bytes


def greeted() -> tuple[Any, Any]:
    phone, lock = phone_side(), lock_side()
    phone.receive_m2(lock.greet(phone.hello()))
    return phone, lock


def lock_takes_m3(data: bytes) -> object:
    return greeted()[1].receive(b"\x03" + data, TRUST)


def phone_takes_m2(data: bytes) -> object:
    phone = phone_side()
    phone.hello()
    return phone.receive_m2(data)


def phone_takes_m4(data: bytes) -> object:
    phone, _ = greeted()
    phone.request(issue_credential(claims(), ISSUER.signer), Operation.UNLOCK, HOLDER.signer)
    return phone.receive_m4(data)


def lock_takes_parcel(data: bytes) -> object:
    return finished()[1].channel().unpack(data)


def finished() -> tuple[Any, Any]:
    phone, lock = greeted()
    credential = issue_credential(claims(), ISSUER.signer)
    lock.receive(phone.request(credential, Operation.UNLOCK, HOLDER.signer), TRUST)
    phone.receive_m4(lock.answer(ANSWER))
    return phone, lock


def parse_topic(data: bytes) -> object:
    return topics.parse_topic(data.decode("utf-8", "surrogateescape"))


def parse_gateway_topic(data: bytes) -> object:
    return topics.parse_gateway_topic(data.decode("utf-8", "surrogateescape"))


def parse_enrol_topic(data: bytes) -> object:
    return topics.parse_enrol_topic(data.decode("utf-8", "surrogateescape"))


def lock_opens_command(data: bytes) -> object:
    return open_command(data, LOCK_ID, LOCK_ECDH.private, COMMANDERS)


def server_opens_report(data: bytes) -> object:
    return open_report(data, LOCK_ID, REPORT.private, LOCK.public)


OPEN_DOORS: dict[str, Decoder] = {
    "codec": codec.decode,
    "key id": cose.peek_kid,
    "unverified payload": cose.peek,
    "box": lambda d: unseal(LOCK_ECDH.private, d, box_info(Box.SEED, LOCK_ID)),
    "point": parse_public,
    "credential": lambda d: read_credential(d, ISSUERS),
    "door": lambda d: read_door(d, ISSUERS),
    "revocation list": lambda d: read_revocation_list(d, ISSUERS),
    "time": lambda d: read_time(d, ISSUERS),
    "access state": lambda d: read_access_state(d, ISSUERS),
    "key set": lambda d: read_key_set(d, ROOT.public),
    "wish": lambda d: read_wish(d, HOLDER.public),
    "request": lambda d: read_request(d, HOLDER.public),
    "offer": lambda d: enrolment.read_offer(d, FACTORY.public),
    "offer's certificate": enrolment.peek_certificate,
    "enrolment": lambda d: enrolment.open_enrolment(d, bytes(32), CLAIM_CODE, NONCE, SERIAL),
    "E1": enrolment.read_e1,
    "E2": enrolment.read_e2,
    "E3": enrolment.read_e3,
    "E4": enrolment.read_e4,
    "M1": lambda d: lock_side().greet(d),
    "M2": phone_takes_m2,
    "M3": lock_takes_m3,
    "M4": phone_takes_m4,
    "parcel": lock_takes_parcel,
    "command": lock_opens_command,
    "report": server_opens_report,
    "framing": lambda d: Reassembler().push(d),
    "topic": parse_topic,
    "gateway's topic": parse_gateway_topic,
    "enrolment's topic": parse_enrol_topic,
    "release": lambda d: read_release(d, ISSUERS),
    "firmware": lambda d: read_firmware(d, FIRMWARE.public),
    "firmware, unverified": peek_firmware,
    "frame for a gateway": gateway.decode_down,
    "frame of a gateway": gateway.decode_up,
}
"""Anybody may send these bytes."""


# --------------------------------------------- the same doors for somebody inside, gone bad or broken


def _signed_bytes(kind: Kind, payload: bytes, signer: Keys) -> bytes:
    """A COSE_Sign1 whose signature is right, whatever the payload is."""
    protected = codec.encode({1: -7, 4: signer.signer.kid})
    tbs = codec.encode(["Signature1", protected, kind.value.encode(), payload])
    return codec.encode([protected, {}, payload, signer.signer.sign(tbs)])


def _signed(read: Callable[..., object], kind: Kind, signer: Keys, trust: object) -> Decoder:
    return lambda payload: read(_signed_bytes(kind, payload, signer), trust)


def hostile_phone(payload: bytes) -> object:
    """M3 with any plaintext: whoever speaks to a lock has a session key."""
    phone, lock = greeted()
    return lock.receive(b"\x03" + phone._seal(3, payload), TRUST)


def hostile_lock_m2(payload: bytes) -> object:
    phone, lock = phone_side(), lock_side()
    head = lock.greet(phone.hello())[:67]
    lock._th = sha256(phone._m1, head)
    return phone.receive_m2(head + lock._seal(2, payload))


def hostile_lock_m4(payload: bytes) -> object:
    phone, lock = greeted()
    credential = issue_credential(claims(), ISSUER.signer)
    lock.receive(phone.request(credential, Operation.UNLOCK, HOLDER.signer), TRUST)
    return phone.receive_m4(b"\x04" + lock._seal(4, payload))


def hostile_parcel(payload: bytes) -> object:
    phone, lock = finished()
    channel = phone.channel()
    head = bytes([PARCEL, 0, 0])
    secret, iv = channel._send
    box = aead_seal(secret, _nonce(iv, 0), payload, channel._transcript + head)
    return lock.channel().unpack(head + box)


def hostile_bridge(payload: bytes) -> object:
    signed = _signed_bytes(Kind.CMD, payload, COMMAND)
    return lock_opens_command(seal(LOCK_ECDH.public, signed, box_info(Box.COMMAND, LOCK_ID), key("h")))


def hostile_lock_report(payload: bytes) -> object:
    signed = _signed_bytes(Kind.RPT, payload, LOCK)
    return server_opens_report(seal(REPORT.public, signed, box_info(Box.REPORT, LOCK_ID), key("h")))


def any_in_the_box(payload: bytes) -> object:
    return lock_opens_command(seal(LOCK_ECDH.public, payload, box_info(Box.COMMAND, LOCK_ID), key("h")))


def hostile_enrolment(payload: bytes) -> object:
    signed = _signed_bytes(Kind.ENROL, payload, ISSUER)
    mac = enrolment.claim_mac(signed, CLAIM_CODE, NONCE, SERIAL)
    return enrolment.open_enrolment(signed, mac, CLAIM_CODE, NONCE, SERIAL)


INNER_DOORS: dict[str, Decoder] = {
    "credential": _signed(read_credential, Kind.EKEY, ISSUER, ISSUERS),
    "door": _signed(read_door, Kind.DOOR, ISSUER, ISSUERS),
    "revocation list": _signed(read_revocation_list, Kind.RL, ISSUER, ISSUERS),
    "time": _signed(read_time, Kind.TIME, ISSUER, ISSUERS),
    "access state": _signed(read_access_state, Kind.STATE, ISSUER, ISSUERS),
    "key set": _signed(read_key_set, Kind.KEYS, ROOT, ROOT.public),
    "release": _signed(read_release, Kind.RELEASE, ISSUER, ISSUERS),
    "firmware": _signed(read_firmware, Kind.FW, FIRMWARE, FIRMWARE.public),
    "wish": _signed(read_wish, Kind.WISH, HOLDER, HOLDER.public),
    "request": _signed(read_request, Kind.REQ, HOLDER, HOLDER.public),
    "offer": _signed(enrolment.read_offer, Kind.OFFER, FACTORY, FACTORY.public),
    "enrolment": hostile_enrolment,
    "M2": hostile_lock_m2,
    "M3": hostile_phone,
    "M4": hostile_lock_m4,
    "parcel": hostile_parcel,
    "command": hostile_bridge,
    "command's box": any_in_the_box,
    "report": hostile_lock_report,
}
"""A payload under a right signature or key: a phone, lock, bridge or issuer that is broken or bad."""


# ------------------------------------------------------------------------------------------ bytes


def _hex_in(value: object) -> list[bytes]:
    if isinstance(value, dict):
        return [found for item in value.values() for found in _hex_in(item)]
    if isinstance(value, list):
        return [found for item in value for found in _hex_in(item)]
    if isinstance(value, str) and len(value) > 20 and not len(value) % 2:
        try:
            return [bytes.fromhex(value)]
        except ValueError:
            return []
    return []


def _m2_plaintext() -> bytes:
    phone, lock = phone_side(), lock_side()
    m2 = lock.greet(phone.hello())
    th2 = sha256(phone._m1, m2[:67])
    phone.receive_m2(m2)
    return aead_open(*key_and_iv(phone._prk, b"LK1 2\0", th2), m2[67:], th2)


def _payloads() -> list[bytes]:
    """Rightful payloads of signed messages: the inside of every golden COSE_Sign1, and commands."""
    found = [codec.encode(command_map(c, LOCK_ID)) for c in build_envelopes.COMMANDS.values()]
    found += [codec.encode([1, b"content of a parcel"]), _m2_plaintext()]
    for data in GOLDEN:
        try:
            found.append(codec.encode(cose.peek(data, limit=1 << 16)))
        except RemoteError:
            continue
    return found


_WHOLE = {
    data
    for name in (
        "documents",
        "enrolment",
        "envelopes",
        "handshake",
        "sealed",
        "framing",
        "firmware",
        "gateway",
    )
    for data in _hex_in(json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii")))
}
GOLDEN = sorted(_WHOLE | {data[head:] for data in _WHOLE for head in (1, 2) if data[0] < 0x20})
"""Every golden message, and what stands behind the heads of those that have one."""

PAYLOADS = sorted(set(_payloads()))
_MAPS = [data for data in PAYLOADS if data[0] >> 5 == 5]  # CBOR major type 5


def spoil(data: bytes, source: random.Random) -> bytes:
    """One to three mistakes: a flipped bit, a cut, a doubled or foreign stretch."""
    spoiled = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(spoiled) + 1)
        until = min(len(spoiled), at + source.randint(1, 9))
        choice = source.randrange(5)
        if choice == 0 and spoiled:
            spoiled[at % len(spoiled)] ^= 1 << source.randrange(8)
        elif choice == 1:
            del spoiled[at:until]
        elif choice == 2:
            spoiled[at:at] = spoiled[at:until]
        elif choice == 3:
            spoiled[at:at] = source.randbytes(source.randint(1, 4))
        else:
            spoiled[at:until] = source.choice(GOLDEN)[: until - at]
    return bytes(spoiled)


def spoiled_from(corpus: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda data, seed: spoil(data, random.Random(seed)), st.sampled_from(corpus), st.integers(0, 2**32)
    )


_WIRE = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.binary(max_size=70), st.text(max_size=9)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.integers(-9, 300), inner, max_size=6)
    ),
    max_leaves=12,
)
_STRANGE = st.one_of(_WIRE, st.floats(), st.datetimes(), st.decimals(), st.uuids(), st.fractions())
cbor_bytes = st.one_of(
    _WIRE.map(lambda value: cbor2.dumps(value, canonical=True)),
    st.lists(_STRANGE, max_size=4).map(partial(cbor2.dumps, timezone=UTC)),
    st.builds(lambda tag, value: cbor2.dumps(cbor2.CBORTag(tag, value)), st.integers(0, 2**16), _WIRE),
)


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    """A rightful payload with one field replaced, added or taken away."""
    fields = codec.decode(draw(st.sampled_from(_MAPS)), limit=1 << 16)
    assert isinstance(fields, dict)
    number = draw(st.one_of(st.sampled_from(sorted(fields)), st.integers(-9, 400)))
    if draw(st.booleans()):
        fields.pop(number, None)
    else:
        fields[number] = draw(_WIRE)
    return cbor2.dumps(fields, canonical=True)


anything = st.one_of(st.binary(max_size=300), cbor_bytes, spoiled_from(GOLDEN), st.sampled_from(GOLDEN))
any_payload = st.one_of(
    st.binary(max_size=120), cbor_bytes, nearly_right(), spoiled_from(PAYLOADS), st.sampled_from(PAYLOADS)
)


def escapes(decoder: Decoder, data: bytes) -> BaseException | None:
    """The exception, if it is not a RemoteError, that ``data`` makes the decoder raise."""
    try:
        decoder(data)
    except RemoteError:
        return None
    except BaseException as error:  # noqa: BLE001 - exactly what is looked for
        return error
    return None
