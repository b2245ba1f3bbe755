"""Vectors of everything signed on its own: credentials, documents, wishes, requests; and of refusals."""

from dataclasses import replace

from lockserver.protocol.claims import Capability, HolderClass, Schedule, claims_map
from lockserver.protocol.codec import encode
from lockserver.protocol.cose import Kind, sign1
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.documents import (
    AccessState,
    DoorDocument,
    ReleaseOrder,
    ReleaseReason,
    RevocationList,
    TimeStatement,
    sign_access_state,
    sign_door,
    sign_key_set,
    sign_release,
    sign_revocation_list,
    sign_time,
)
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.slots import Slot
from lockserver.protocol.wish import Arg, Wish, WishOperation, sign_wish
from tests.vectors.cast import (
    HOLDER,
    ISSUER,
    KEY_SET,
    LOCK,
    LOCK_ID,
    NEXT_KEY_SET,
    NOW,
    OTHER_HOLDER,
    ROOT,
    STRANGER,
    Keys,
    claims,
    octets,
    pair,
    scalar,
)

SCHEDULE = Schedule.of(480, [(0, 480), (6 * 1440 + 22 * 60, 0)])
FULL = claims(
    cti="full",
    holder_class=HolderClass.GUEST,
    capabilities=Capability.UNLOCK | Capability.HOLD_OPEN | Capability.LOCK,
    schedule=SCHEDULE,
)
GATE = claims(cti="gate", epoch=None)

DOOR = DoorDocument(LOCK_ID, LOCK.public, NOW)
REVOCATION = RevocationList(
    LOCK_ID, 42, tuple(sorted((octets(f"revoked {n}", 16), NOW + n) for n in range(3))), NOW
)
REVOCATION_FLOOR = replace(REVOCATION, number=43, entries=(), iat_floor=NOW - 7200)
TIME = TimeStatement(NOW, octets("time nonce", 8), LOCK_ID)
STATE = AccessState(LOCK_ID, 7, 3, occupied=True, iat=NOW)
STATE_FULL = AccessState(
    LOCK_ID,
    8,
    3,
    occupied=True,
    iat=NOW,
    pins=(
        Slot(1, octets("pin", 16), octets("subject", 16), NOW, NOW + 99, HolderClass.TENANT, 3),
        Slot(2, octets("pin 2", 16), octets("owner", 16), NOW, NOW + 99, HolderClass.OWNER),
    ),
    cards=(Slot(9, octets("card", 16), octets("subject", 16), NOW, NOW + 99, HolderClass.TENANT, 3),),
)
STATE_GATE = AccessState(LOCK_ID, 7, None, occupied=False, iat=NOW)
WISH = Wish(octets("wish id", 16), LOCK_ID, WishOperation.UNLOCK, NOW + 20)
WISH_ARGS = Wish(
    octets("wish id 2", 16),
    octets("grant id", 16),
    WishOperation.NAME_GUEST,
    NOW + 300,
    {"key": OTHER_HOLDER.public, "until": NOW + 7200, "name": "访客"},
)
STATE_FINGERS = replace(
    STATE_FULL,
    version=9,
    fingers=(Slot(0, octets("finger", 16), octets("subject", 16), NOW, NOW + 99, HolderClass.GUEST, 3),),
    auto_lock=0,
)
STATE_OPEN_GATE = replace(STATE_GATE, version=8, hold_open=SCHEDULE, auto_lock=600)
PINS_KEY_SET = replace(NEXT_KEY_SET, number=3, pins_key=pair("pins").public)
RELEASE = ReleaseOrder(LOCK_ID, ReleaseReason.RELEASED, NOW)
EMERGENCY = ReleaseOrder(LOCK_ID, ReleaseReason.EMERGENCY, NOW + 60)
ONCE = claims(cti="once", holder_class=HolderClass.GUEST, capabilities=Capability.UNLOCK, uses=1)
GATEWAY = claims(cti="gateway", holder_class=HolderClass.GATEWAY, capabilities=Capability.CARRY, epoch=None)


def _wish(label: str, target: bytes, operation: WishOperation, args: dict[str, Arg]) -> Wish:
    return Wish(octets(f"wish id {label}", 16), target, operation, NOW + 20, args)


NEW_WISHES: dict[str, Wish] = {
    "read an offline PIN": _wish("8", LOCK_ID, WishOperation.READ_PIN, {"code": 5, "start": NOW}),
    "set a PIN": _wish("9", LOCK_ID, WishOperation.SET_PIN, {"pin": octets("pin box", 65 + 16 + 9)}),
    "consent": _wish(
        "11",
        LOCK_ID,
        WishOperation.CONSENT_ENTRY,
        {"from": NOW, "until": NOW + 7200, "class": 1, "who": octets("owner", 16)},
    ),
    "emergency": _wish(
        "12",
        LOCK_ID,
        WishOperation.EMERGENCY_ENTRY,
        {"reason": "\u6c34\u7ba1\u7206\u88c2", "until": NOW + 3600},
    ),
    "name staff": _wish(
        "13",
        octets("house", 16),
        WishOperation.NAME_STAFF,
        {"of": octets("of", 32), "key": octets("key", 32)},
    ),
    "sign a tenancy": _wish(
        "16",
        octets("door", 16),
        WishOperation.SIGN_TENANCY,
        {"of": octets("of 2", 32), "from": NOW, "until": NOW + 86400},
    ),
    "release": _wish("17", LOCK_ID, WishOperation.RELEASE_LOCK, {"emergency": "\u706b\u707e"}),
    **{
        operation.name.lower().replace("_", " "): _wish(
            str(int(operation)), octets(f"target {int(operation)}", 16), operation, {}
        )
        for operation in (
            WishOperation.CHECK_IDENTITY,
            WishOperation.ENROL_CARD,
            WishOperation.REMOVE_SLOT,
            WishOperation.RETIRE,
        )
    },
    "edit a grant": _wish("19", octets("grant id", 16), WishOperation.EDIT_GRANT, {"of": octets("of 3", 32)}),
    "name a gateway": _wish(
        "22", octets("house", 16), WishOperation.NAME_GATEWAY, {"of": octets("of 4", 32)}
    ),
}
REQUEST = PhoneRequest(
    octets("phone id", 16), "POST /v1/phone/sync", hash_body(b'{"doors":[]}'), NOW, octets("request", 8)
)


def _row(name: str, kind: Kind, signer: Keys, signed: bytes, fields: dict[str, object]) -> dict[str, object]:
    return {
        "name": name,
        "kind": kind.value,
        "signer_public": signer.public.hex(),
        "fields": fields,
        "hex": signed.hex(),
    }


def _credentials() -> list[dict[str, object]]:
    rows = []
    for name, held in (
        ("tenant", claims()),
        ("guest with a schedule", FULL),
        ("gate", GATE),
        ("guest, once", ONCE),
        ("gateway", GATEWAY),
    ):
        schedule = held.schedule
        fields: dict[str, object] = {
            "cti": held.cti.hex(),
            "subject": held.subject.hex(),
            "lock_id": held.lock_id.hex(),
            "holder_public": held.holder_public.hex(),
            "nbf": held.nbf,
            "exp": held.exp,
            "iat": held.iat,
            "capabilities": int(held.capabilities),
            "class": int(held.holder_class),
            "epoch": held.epoch,
            "schedule": schedule and [schedule.offset, [list(w) for w in schedule.windows]],
            **({} if held.uses is None else {"uses": held.uses}),
        }
        rows.append(_row(name, Kind.EKEY, ISSUER, issue_credential(held, ISSUER.signer), fields))
    return rows


def _lists() -> list[dict[str, object]]:
    return [
        _row(
            name,
            Kind.RL,
            ISSUER,
            sign_revocation_list(document, ISSUER.signer),
            {
                "lock_id": document.lock_id.hex(),
                "number": document.number,
                "entries": [[cti.hex(), exp] for cti, exp in document.entries],
                "iat": document.iat,
                "iat_floor": document.iat_floor,
            },
        )
        for name, document in (("list", REVOCATION), ("floor", REVOCATION_FLOOR))
    ]


def _states() -> list[dict[str, object]]:
    return [
        _row(
            name,
            Kind.STATE,
            ISSUER,
            sign_access_state(document, ISSUER.signer),
            {
                "lock_id": document.lock_id.hex(),
                "version": document.version,
                "epoch": document.epoch,
                "occupied": document.occupied,
                "iat": document.iat,
                "pins": [slot.slot for slot in document.pins],
                "cards": [slot.slot for slot in document.cards],
                **(_new_state_fields(document) if new else {}),
            },
        )
        for name, document, new in (
            ("room", STATE, False),
            ("room with slots", STATE_FULL, False),
            ("gate", STATE_GATE, False),
            ("room with fingers", STATE_FINGERS, True),
            ("gate that stands open", STATE_OPEN_GATE, True),
        )
    ]


def _new_state_fields(document: AccessState) -> dict[str, object]:
    hold_open = document.hold_open
    return {
        "fingers": [slot.slot for slot in document.fingers],
        "hold_open": hold_open and [hold_open.offset, [list(w) for w in hold_open.windows]],
        "auto_lock": document.auto_lock,
    }


def _releases() -> list[dict[str, object]]:
    return [
        _row(
            name,
            Kind.RELEASE,
            ISSUER,
            sign_release(order, ISSUER.signer),
            {"lock_id": order.lock_id.hex(), "reason": int(order.reason), "iat": order.iat},
        )
        for name, order in (("released", RELEASE), ("released in an emergency", EMERGENCY))
    ]


def _key_sets() -> list[dict[str, object]]:
    return [
        _row(
            name,
            Kind.KEYS,
            ROOT,
            sign_key_set(document, ROOT.signer),
            {
                "number": document.number,
                "issuer_keys": [point.hex() for point in document.issuer_keys],
                "command_keys": [point.hex() for point in document.command_keys],
                "report_key": document.report_key.hex(),
                "iat": document.iat,
                **({} if document.pins_key is None else {"pins_key": document.pins_key.hex()}),
            },
        )
        for name, document in (
            ("first", KEY_SET),
            ("rotated", NEXT_KEY_SET),
            ("with a PIN key", PINS_KEY_SET),
        )
    ]


def _single() -> list[dict[str, object]]:
    return [
        _row(
            "door",
            Kind.DOOR,
            ISSUER,
            sign_door(DOOR, ISSUER.signer),
            {"lock_id": LOCK_ID.hex(), "lock_public": LOCK.public.hex(), "iat": NOW},
        ),
        _row(
            "time",
            Kind.TIME,
            ISSUER,
            sign_time(TIME, ISSUER.signer),
            {"now": TIME.now, "nonce": TIME.nonce.hex(), "lock_id": LOCK_ID.hex()},
        ),
        _row(
            "request",
            Kind.REQ,
            HOLDER,
            sign_request(REQUEST, HOLDER.signer),
            {
                "phone_id": REQUEST.phone_id.hex(),
                "method_path": REQUEST.method_path,
                "body": b'{"doors":[]}'.hex(),
                "issued_at": REQUEST.issued_at,
                "nonce": REQUEST.nonce.hex(),
            },
        ),
    ]


def _wishes() -> list[dict[str, object]]:
    return [
        _row(
            name,
            Kind.WISH,
            HOLDER,
            sign_wish(wish, HOLDER.signer),
            {
                "wish_id": wish.wish_id.hex(),
                "target_id": wish.target_id.hex(),
                "operation": int(wish.operation),
                "not_after": wish.not_after,
                "args": {k: {"hex": v.hex()} if isinstance(v, bytes) else v for k, v in wish.args.items()},
            },
        )
        for name, wish in (("unlock", WISH), ("name a guest", WISH_ARGS), *NEW_WISHES.items())
    ]


def _refused() -> list[dict[str, object]]:
    good = issue_credential(claims(), ISSUER.signer)
    fields = claims_map(claims())
    sign = ISSUER.signer
    long_life = claims_map(claims(exp=NOW - 3600 + 72 * 3600 + 1))
    entry_life = claims_map(
        claims(
            holder_class=HolderClass.OWNER,
            epoch=None,
            capabilities=Capability.UNLOCK | Capability.ENTRY,
            exp=NOW - 3600 + 86401,
        )
    )
    carrier = claims_map(GATEWAY)
    zero_key = {1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}
    cases: list[tuple[str, str, bytes]] = [
        ("signed by a stranger", "bad_issuer", issue_credential(claims(), STRANGER.signer)),
        ("another kind", "bad_issuer", sign1(Kind.WISH, fields, sign)),
        ("last bit of the signature", "bad_issuer", good[:-1] + bytes([good[-1] ^ 1])),
        ("trailing byte", "bad_format", good + b"\0"),
        ("cut", "bad_format", good[:-1]),
        ("tagged", "bad_format", b"\xd2" + good),
        ("unknown critical claim", "unknown_claim", sign1(Kind.EKEY, fields | {99: 1}, sign)),
        ("unknown critical negative claim", "unknown_claim", sign1(Kind.EKEY, fields | {-9: 1}, sign)),
        ("no audience", "bad_format", sign1(Kind.EKEY, {k: v for k, v in fields.items() if k != 3}, sign)),
        ("time in milliseconds", "bad_format", sign1(Kind.EKEY, fields | {4: NOW * 1000}, sign)),
        ("null epoch", "bad_format", sign1(Kind.EKEY, fields | {-3: None}, sign)),
        ("tenant beyond 72 h", "life_too_long", sign1(Kind.EKEY, long_life, sign)),
        ("entry beyond 24 h", "life_too_long", sign1(Kind.EKEY, entry_life, sign)),
        ("empty window", "life_too_long", sign1(Kind.EKEY, fields | {4: NOW - 3600}, sign)),
        ("unknown class", "bad_format", sign1(Kind.EKEY, fields | {-2: 9}, sign)),
        ("holder's key off the curve", "bad_point", sign1(Kind.EKEY, fields | {8: zero_key}, sign)),
        ("odd schedule", "bad_format", sign1(Kind.EKEY, fields | {-4: [480, [0]]}, sign)),
        ("schedule out of order", "bad_format", sign1(Kind.EKEY, fields | {-4: [0, [9, 10, 1, 2]]}, sign)),
        ("schedule beyond the week", "bad_format", sign1(Kind.EKEY, fields | {-4: [0, [0, 10081]]}, sign)),
        ("payload is an array", "bad_format", _array_payload()),
        ("two openings", "bad_format", sign1(Kind.EKEY, fields | {-5: 2}, sign)),
        ("no opening", "bad_format", sign1(Kind.EKEY, fields | {-5: 0}, sign)),
        ("null openings", "bad_format", sign1(Kind.EKEY, fields | {-5: None}, sign)),
        ("gateway beyond 72 h", "life_too_long", sign1(Kind.EKEY, carrier | {4: NOW - 3600 + 259201}, sign)),
    ]
    return [{"name": name, "code": code, "hex": data.hex()} for name, code, data in cases]


def _array_payload() -> bytes:
    """A correctly signed COSE_Sign1 whose payload is no map."""
    protected = encode({1: -7, 4: ISSUER.signer.kid})
    payload = encode([1, 2])
    signed = encode(["Signature1", protected, Kind.EKEY.value.encode(), payload])
    return encode([protected, {}, payload, ISSUER.signer.sign(signed)])


def _refused_documents() -> list[dict[str, str]]:
    sign = ISSUER.signer
    slot: list[object] = [0, bytes(16), bytes(16), NOW, NOW + 9, 3, 1]
    slots = [[number, *slot[1:]] for number in range(25)]
    state: dict[int, object] = {1: LOCK_ID, 2: 9, 3: 1, 4: True, 5: [], 6: [], 7: NOW}
    release: dict[int, object] = {1: LOCK_ID, 2: 1, 3: NOW}
    cases = [
        ("25 fingers", Kind.STATE, "too_large", state | {8: slots}),
        ("49 slots in all", Kind.STATE, "too_large", state | {5: slots[:24], 6: slots[:24], 8: slots[:1]}),
        ("fingers out of order", Kind.STATE, "bad_format", state | {8: [slots[2], slots[1]]}),
        ("null fingers", Kind.STATE, "bad_format", state | {8: None}),
        (
            "a gateway's slot",
            Kind.STATE,
            "bad_format",
            state | {8: [[0, bytes(16), bytes(16), NOW, NOW, 5, None]]},
        ),
        ("hold-open windows out of order", Kind.STATE, "bad_format", state | {9: [480, [9, 10, 1, 2]]}),
        ("no hold-open window", Kind.STATE, "bad_format", state | {9: [480, []]}),
        ("auto-lock of eleven minutes", Kind.STATE, "bad_format", state | {10: 601}),
        ("a field more", Kind.STATE, "unknown_claim", state | {11: 0}),
        ("release for no reason", Kind.RELEASE, "bad_format", release | {2: 0}),
        ("release for a third reason", Kind.RELEASE, "bad_format", release | {2: 3}),
        ("release with more", Kind.RELEASE, "unknown_claim", release | {4: 1}),
        ("release without a time", Kind.RELEASE, "bad_format", {1: LOCK_ID, 2: 1}),
    ]
    return [
        {"name": name, "kind": kind.value, "code": code, "hex": sign1(kind, fields, sign).hex()}
        for name, kind, code, fields in cases
    ]


def document_vectors() -> object:
    """Keys, signed documents, and credentials that must be refused with their codes."""
    return {
        "issuer_scalar": scalar(ISSUER.private).hex(),
        "issuer_public": ISSUER.public.hex(),
        "root_public": ROOT.public.hex(),
        "holder_scalar": scalar(HOLDER.private).hex(),
        "holder_public": HOLDER.public.hex(),
        "credentials": _credentials(),
        "ignorable_claim": sign1(Kind.EKEY, claims_map(claims()) | {300: "later"}, ISSUER.signer).hex(),
        "documents": _single() + _lists() + _states() + _key_sets() + _releases(),
        "wishes": _wishes(),
        "refused_credentials": _refused(),
        "refused_documents": _refused_documents(),
    }
