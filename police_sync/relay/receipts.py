"""When a document of the province counts: signed by a pinned key in force, about what we sent (L-25).

Everything that does not hold is a `Forged` with a constant reason; nothing here raises on bad input.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from police_sync.relay import contract
from police_sync.relay.filing import Kind, NotJsonError, Sent, canonical, parse
from police_sync.relay.outcomes import FieldReturn, ProvinceState, Receipt, Verdict
from police_sync.relay.signing import unb64, verify_es256

NOT_OF_ITS_FORM = "schema"
"""The reason of a `Forged` that is no document of the contract at all: rather ill than hostile."""
CLOCK_SKEW = timedelta(seconds=300)  # the contract's bound between the two clocks


@dataclass(frozen=True, slots=True)
class Forged:
    """The document does not count. `reason` is one constant word."""

    reason: str


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A key that the province published to us out of band, and when it is in force."""

    key_id: str
    public: ec.EllipticCurvePublicKey
    from_: datetime
    until: datetime | None

    def in_force(self, at: datetime) -> bool:
        """Half-open [from, until)."""
        return self.from_ <= at and (self.until is None or at < self.until)


def instant(text: str) -> datetime:
    """An instant of the contract.

    Raises:
        ValueError: right in form but no such instant (31 February).

    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


class PinnedKeys:
    """The province's keys that we trust, by id."""

    def __init__(self, keys: Iterable[PinnedKey]) -> None:
        self._keys = {key.key_id: key for key in keys}

    @classmethod
    def from_json(cls, data: bytes) -> "PinnedKeys":
        """Keys in the published form (`keys.schema.json`).

        Raises:
            ValueError: not that form, or a point that is not on the curve.

        """
        document = parse(data)
        if faults := contract.faults("keys", document):
            raise ValueError(f"province keys: {faults[0]}")
        return cls(
            PinnedKey(
                key["key_id"],
                ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(key["public_key"])),
                instant(key["from"]),
                instant(key["until"]) if key["until"] else None,
            )
            for key in document["keys"]
        )

    def check(self, key_id: str, signature: str, message: bytes, now: datetime) -> str | None:
        """None when `signature` holds, else why not: one constant word."""
        key = self._keys.get(key_id)
        if key is None:
            return "key_unknown"
        if not key.in_force(now):
            return "key_not_in_force"
        if not verify_es256(key.public, signature, message):
            return "signature"
        return None


def _signature_fault(document: dict[str, Any], pins: PinnedKeys, now: datetime) -> str | None:
    unsigned = {key: value for key, value in document.items() if key != "signature"}
    try:
        message = f"POLICE-1 {document['type']}\n".encode() + canonical(unsigned)
    except NotJsonError:
        return "not_json"
    return pins.check(document["key_id"], document["signature"], message, now)


_NUMBER_AND_TIME = {"receipt": ("receipt_no", "received_at"), "voucher": ("voucher_no", "accepted_at")}


def check_receipt(
    document: dict[str, Any],
    *,
    type_: str,
    client_no: str,
    version: int,
    sent: Sent,
    pins: PinnedKeys,
    now: datetime,
) -> Receipt | Forged:
    """`document` as a receipt (or voucher) for exactly this filing, or why it is none."""
    if contract.faults(type_, document):
        return Forged(NOT_OF_ITS_FORM)
    return _check_formed(
        document,
        type_=type_,
        client_no=client_no,
        version=version,
        sent=sent,
        pins=pins,
        now=now,
    )


def _check_formed(
    document: dict[str, Any],
    *,
    type_: str,
    client_no: str,
    version: int,
    sent: Sent,
    pins: PinnedKeys,
    now: datetime,
) -> Receipt | Forged:
    """As `check_receipt`, for a document whose form has been checked, alone or inside another."""
    if reason := _signature_fault(document, pins, now):
        return Forged(reason)
    if document["client_no"] != client_no:
        return Forged("other_client_no")
    if document["version"] != version:
        return Forged("other_version")
    if document["kind"] != sent.kind.value:
        return Forged("other_kind")
    if document["content_digest"] != sent.content_digest:
        return Forged("other_payload")
    number, at = _NUMBER_AND_TIME[type_]
    try:
        if instant(document[at]) > now + CLOCK_SKEW:
            return Forged("from_the_future")
    except ValueError:
        return Forged(NOT_OF_ITS_FORM)
    return Receipt(
        type=type_,
        no=document[number],
        client_no=client_no,
        version=version,
        kind=Kind(document["kind"]),
        content_digest=document["content_digest"],
        at=document[at],
        key_id=document["key_id"],
        raw=canonical(document),
    )


def check_state(
    document: dict[str, Any],
    *,
    client_no: str,
    sent: Mapping[int, Sent],
    pins: PinnedKeys,
    now: datetime,
) -> Verdict | Forged:
    """`document` as the state of our registration `client_no`, or why it is none.

    `sent` is what we recorded attempts for, by version: every receipt inside, and the voucher, must
    be for one of them.
    """
    if contract.faults("state", document):
        return Forged(NOT_OF_ITS_FORM)
    if reason := _signature_fault(document, pins, now):
        return Forged(reason)
    if document["client_no"] != client_no:
        return Forged("other_client_no")
    receipts: list[Receipt] = []
    for inner in document["receipts"]:
        checked = _check_inner(inner, "receipt", client_no, sent, pins, now)
        if isinstance(checked, Forged):
            return checked
        receipts.append(checked)
    if document["version"] != max(receipt.version for receipt in receipts):
        return Forged("version_without_receipt")
    voucher: Receipt | None = None
    if document["voucher"] is not None:
        checked = _check_inner(document["voucher"], "voucher", client_no, sent, pins, now)
        if isinstance(checked, Forged):
            return checked
        voucher = checked
    return Verdict(
        client_no=client_no,
        version=document["version"],
        seq=document["seq"],
        state=ProvinceState(document["state"]),
        as_of=document["as_of"],
        returns=tuple(FieldReturn(r["field"], r["code"]) for r in document["returns"]),
        duplicate_of=document["duplicate_of"],
        receipts=tuple(receipts),
        voucher=voucher,
        raw=canonical(document),
    )


def _check_inner(
    inner: dict[str, Any],
    type_: str,
    client_no: str,
    sent: Mapping[int, Sent],
    pins: PinnedKeys,
    now: datetime,
) -> Receipt | Forged:
    version = inner["version"]
    if version not in sent:
        return Forged("version_never_sent")
    return _check_formed(
        inner,
        type_=type_,
        client_no=client_no,
        version=version,
        sent=sent[version],
        pins=pins,
        now=now,
    )
