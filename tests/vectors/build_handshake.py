"""Vectors of LK1: one whole exchange with every intermediate value, and messages that are refused."""

from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.claims import Claims
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import aead_open, key_and_iv
from lockserver.protocol.documents import sign_access_state, sign_key_set, sign_release, sign_revocation_list
from lockserver.protocol.errors import AirCode
from lockserver.protocol.handshake import Answer
from lockserver.protocol.journal import Head
from lockserver.protocol.parcels import Parcel, ParcelKind
from tests.vectors.build_documents import GATEWAY, RELEASE, REVOCATION, STATE_FINGERS
from tests.vectors.cast import (
    HOLDER,
    INFO,
    ISSUER,
    LOCK,
    LOCK_ID,
    NEXT_ISSUER,
    NEXT_KEY_SET,
    NOW,
    OTHER_LOCK,
    ROOT,
    TRUST,
    claims,
    key,
    lock_side,
    octets,
    phone_side,
    scalar,
)

ANSWER = Answer(AirCode.GRANTED, BoltState.UNLOCKED, NOW + 1, Head(812, octets("journal head", 32)))
DOCUMENTS = [
    SignedDocument(DocumentKind.KEYS, sign_key_set(NEXT_KEY_SET, ROOT.signer)),
    SignedDocument(DocumentKind.REVOCATION, sign_revocation_list(REVOCATION, NEXT_ISSUER.signer)),
]

NEWS = [
    SignedDocument(DocumentKind.RELEASE, sign_release(RELEASE, ISSUER.signer)),
    SignedDocument(DocumentKind.STATE, sign_access_state(STATE_FINGERS, ISSUER.signer)),
]


def _keys(prk: bytes, number: int, transcript: bytes) -> dict[str, str]:
    secret, iv = key_and_iv(prk, b"LK1 %d\0" % number, transcript)
    return {"th": transcript.hex(), "key": secret.hex(), "iv": iv.hex()}


def exchange(
    name: str,
    documents: list[SignedDocument],
    issuer_signs: bool,
    operation: Operation = Operation.UNLOCK,
    held: Claims | None = None,
) -> dict[str, object]:
    """One exchange that ends well."""
    phone, lock = phone_side(), lock_side()
    signer = ISSUER.signer if issuer_signs else NEXT_ISSUER.signer
    credential = issue_credential(held or claims(), signer)
    m1 = phone.hello()
    m2 = lock.greet(m1)
    phone.receive_m2(m2)
    prk, th3 = phone._prk, phone._th
    m3 = phone.request(credential, operation, HOLDER.signer, documents)
    th4 = phone._th
    lock.receive(m3, TRUST)
    m4 = lock.answer(ANSWER)
    phone.receive_m4(m4)
    down = Parcel(ParcelKind.COMMAND, octets("sealed command", 40))
    up = Parcel(ParcelKind.REPORT, octets("sealed report", 40))
    into, outof = phone.channel(), lock.channel()
    opened3 = aead_open(*key_and_iv(prk, b"LK1 3\0", th3), m3[1:], th3)
    opened4 = aead_open(*key_and_iv(prk, b"LK1 4\0", th4), m4[1:], th4)
    return {
        "name": name,
        "credential": credential.hex(),
        "documents": [[int(d.kind), d.raw.hex()] for d in documents],
        "operation": int(operation),
        "m1": m1.hex(),
        "m2": m2.hex(),
        "m3": m3.hex(),
        "m4": m4.hex(),
        "prk": prk.hex(),
        "keys3": _keys(prk, 3, th3),
        "keys4": _keys(prk, 4, th4),
        "th5": phone._th.hex(),
        "m3_plaintext": opened3.hex(),
        "m4_plaintext": opened4.hex(),
        "parcels_to_lock": [into.pack(down).hex(), into.pack(down).hex()],
        "parcels_to_phone": [outof.pack(up).hex(), outof.pack(up).hex()],
        "parcel_to_lock": [int(down.kind), down.content.hex()],
        "parcel_to_phone": [int(up.kind), up.content.hex()],
    }


def _refused_m1() -> list[dict[str, str]]:
    m1 = phone_side().hello()
    off_curve = m1[:2] + b"\x04" + bytes(63) + b"\x01"
    rows = [
        ("version 0", "bad_version", m1[:1] + b"\x00" + m1[2:]),
        ("version 2", "bad_version", m1[:1] + b"\x02" + m1[2:]),
        ("no version", "bad_version", m1[:1]),
        ("empty", "bad_format", b""),
        ("another message", "bad_format", b"\x03" + m1[1:]),
        ("one byte short", "bad_format", m1[:-1]),
        ("one byte long", "bad_format", m1 + b"\0"),
        ("off the curve", "bad_point", off_curve),
        ("compressed point", "bad_format", m1[:2] + b"\x02" + m1[3:35]),
        ("hybrid point", "bad_point", m1[:2] + b"\x06" + m1[3:]),
    ]
    return [{"name": name, "code": code, "hex": data.hex()} for name, code, data in rows]


def _refused_m2() -> list[dict[str, str]]:
    m1 = phone_side().hello()
    m2 = lock_side().greet(m1)
    fake = lock_side(door=OTHER_LOCK).greet(m1)
    moved = lock_side(info=type(INFO)(octets("third lock", 16), NOW, 41, 1, INFO.time_nonce)).greet(m1)
    late = lock_side().greet(phone_side("another phone").hello())
    rows = [
        ("version 2", "bad_version", m2[:1] + b"\x02" + m2[2:]),
        ("another lock's key", "bad_signature", fake),
        ("another lock's id", "wrong_lock", moved),
        ("for another M1", "bad_box", late),
        ("last bit", "bad_box", m2[:-1] + bytes([m2[-1] ^ 1])),
        ("cut", "bad_box", m2[:-1]),
        ("head only", "bad_box", m2[:67]),
        ("refused", "burnt", b"\x7f"),
        ("empty", "bad_format", b""),
    ]
    return [{"name": name, "code": code, "hex": data.hex()} for name, code, data in rows]


def handshake_vectors() -> object:
    """Four exchanges and the refusals of M1 (by a lock) and M2 (by the phone of the first exchange)."""
    return {
        "phone_ephemeral_scalar": scalar(key("phone ephemeral")).hex(),
        "lock_ephemeral_scalar": scalar(key("lock ephemeral")).hex(),
        "lock_scalar": scalar(LOCK.private).hex(),
        "lock_public": LOCK.public.hex(),
        "lock_id": LOCK_ID.hex(),
        "holder_scalar": scalar(HOLDER.private).hex(),
        "holder_public": HOLDER.public.hex(),
        "root_public": ROOT.public.hex(),
        "issuer_public": ISSUER.public.hex(),
        "info": {
            "lock_id": LOCK_ID.hex(),
            "time": INFO.time,
            "list_number": INFO.list_number,
            "key_set_number": INFO.key_set_number,
            "time_nonce": INFO.time_nonce.hex(),
        },
        "answer": {
            "code": int(ANSWER.code),
            "bolt": int(ANSWER.bolt),
            "time": ANSWER.time,
            "journal_number": ANSWER.journal.number,
            "journal_hash": ANSWER.journal.hash.hex(),
        },
        "exchanges": [
            exchange("bare", [], issuer_signs=True),
            exchange("with a rotated key set and a list", DOCUMENTS, issuer_signs=False),
            exchange(
                "a capture, with a release and a state", NEWS, issuer_signs=True, operation=Operation.CAPTURE
            ),
            exchange("a gateway carries", [], issuer_signs=True, operation=Operation.CARRY, held=GATEWAY),
        ],
        "refused_m1": _refused_m1(),
        "refused_m2": _refused_m2(),
    }
