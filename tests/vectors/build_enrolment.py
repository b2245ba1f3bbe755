"""Vectors of enrolment: offer, document, MAC and the four messages."""

from lockserver.protocol.bolt import BoltState
from lockserver.protocol.documents import sign_key_set
from lockserver.protocol.enrolment import (
    DoorKind,
    EnrolDocument,
    EnrolOffer,
    claim_mac,
    sign_enrolment,
    sign_offer,
    write_e1,
    write_e2,
    write_e3,
    write_e4,
)
from lockserver.protocol.envelope import Envelope, Position, seal_report
from lockserver.protocol.journal import Head
from lockserver.protocol.reports import Hello
from lockserver.protocol.sealed import Box, box_info, seal
from lockserver.protocol.topics import shard
from tests.vectors.cast import (
    FACTORY,
    HOLDER,
    ISSUER,
    KEY_SET,
    LOCK,
    LOCK_ECDH,
    LOCK_ID,
    NOW,
    REPORT,
    ROOT,
    key,
    octets,
    scalar,
)

SERIAL = "LK1-000042"
CLAIM_CODE = octets("claim code", 16)
NONCE = octets("enrol nonce", 16)
CERTIFICATE = octets("stands for a certificate in DER", 400)

OFFER = EnrolOffer(SERIAL, CERTIFICATE, NONCE, LOCK.public, LOCK_ECDH.public, HOLDER.public)


def document(kind: DoorKind = DoorKind.ROOM, epoch: int | None = 0) -> EnrolDocument:
    """What the issuer answers to the offer."""
    return EnrolDocument(
        lock_id=LOCK_ID,
        nonce=NONCE,
        site_root=ROOT.public,
        key_set=sign_key_set(KEY_SET, ROOT.signer),
        certificate=octets("stands for the operational certificate", 420),
        broker_secret=seal(
            LOCK_ECDH.public, octets("broker secret", 32), box_info(Box.BROKER, LOCK_ID), key("broker box")
        ),
        door_seed=seal(
            LOCK_ECDH.public, octets("door seed", 32), box_info(Box.SEED, LOCK_ID), key("seed box")
        ),
        shard=shard(LOCK_ID),
        door_kind=kind,
        epoch=epoch,
        iat=NOW,
    )


def first_report() -> bytes:
    """The hello of a lock just enrolled."""
    hello = Hello(
        counter=0,
        state_version=0,
        list_number=0,
        key_set_number=1,
        epoch=0,
        occupied=False,
        journal=Head(),
        oldest_unacked=1,
        time=None,
        uncertainty=0,
        attested=False,
        bolt=BoltState.LOCKED,
        time_nonce=octets("first nonce", 8),
    )
    return seal_report(Envelope(LOCK_ID, Position(1, 1), hello), LOCK.signer, REPORT.public, key("e4"))


def enrolment_vectors() -> object:
    """One enrolment of a room's lock and one of a gate's."""
    rows = []
    for name, kind, epoch in (("room", DoorKind.ROOM, 0), ("gate", DoorKind.SHARED, None)):
        signed = sign_enrolment(document(kind, epoch), ISSUER.signer)
        mac = claim_mac(signed, CLAIM_CODE, NONCE, SERIAL)
        rows.append(
            {"name": name, "signed": signed.hex(), "mac": mac.hex(), "e3": write_e3(signed, mac).hex()}
        )
    return {
        "serial": SERIAL,
        "claim_code": CLAIM_CODE.hex(),
        "nonce": NONCE.hex(),
        "factory_public": FACTORY.public.hex(),
        "owner_public": HOLDER.public.hex(),
        "lock_ecdh_scalar": scalar(LOCK_ECDH.private).hex(),
        "lock_id": LOCK_ID.hex(),
        "broker_secret": octets("broker secret", 32).hex(),
        "door_seed": octets("door seed", 32).hex(),
        "e1": write_e1(HOLDER.public).hex(),
        "e2": write_e2(sign_offer(OFFER, FACTORY.signer)).hex(),
        "documents": rows,
        "e4": write_e4(first_report()).hex(),
    }
