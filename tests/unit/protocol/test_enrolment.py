"""Enrolment: the lock proves itself to the server and the server to the lock, or nothing is claimed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from lockserver.protocol import enrolment
from lockserver.protocol.documents import Trust, sign_key_set
from lockserver.protocol.enrolment import (
    DoorKind,
    EnrolDocument,
    claim_mac,
    open_enrolment,
    peek_certificate,
    read_e1,
    read_e2,
    read_e3,
    read_e4,
    read_offer,
    sign_enrolment,
    sign_offer,
    write_e1,
    write_e2,
    write_e3,
    write_e4,
)
from lockserver.protocol.envelope import open_report
from lockserver.protocol.errors import Denial, LocalError
from lockserver.protocol.handshake import REFUSAL
from lockserver.protocol.limits import MAX_MESSAGE
from lockserver.protocol.reports import Hello
from lockserver.protocol.sealed import Box, box_info, unseal
from tests.vectors.build_enrolment import (
    CERTIFICATE,
    CLAIM_CODE,
    NONCE,
    OFFER,
    SERIAL,
    document,
    first_report,
)
from tests.vectors.cast import (
    FACTORY,
    HOLDER,
    ISSUER,
    KEY_SET,
    LOCK,
    LOCK_ECDH,
    LOCK_ID,
    OTHER_LOCK_ID,
    REPORT,
    ROOT,
    STRANGER,
    code_of,
    octets,
)


def accepted(doc: EnrolDocument, *, code: bytes = CLAIM_CODE, signer: object = None) -> Denial | None:
    """How the lock takes a document sent by somebody who believes the claim code is ``code``."""
    signed = sign_enrolment(doc, ISSUER.signer if signer is None else signer)  # type: ignore[arg-type]  # a Signer
    mac = claim_mac(signed, code, NONCE, SERIAL)
    return code_of(lambda: open_enrolment(signed, mac, CLAIM_CODE, NONCE, SERIAL))


def test_the_whole_exchange() -> None:
    assert read_e1(write_e1(HOLDER.public)) == HOLDER.public
    offer = read_e2(write_e2(sign_offer(OFFER, FACTORY.signer)))
    assert peek_certificate(offer) == CERTIFICATE
    assert read_offer(offer, FACTORY.public) == OFFER
    signed = sign_enrolment(document(), ISSUER.signer)
    message = write_e3(signed, claim_mac(signed, CLAIM_CODE, NONCE, SERIAL))
    assert len(message) < MAX_MESSAGE
    enrolled = open_enrolment(*read_e3(message), CLAIM_CODE, NONCE, SERIAL)
    assert enrolled.document == document()
    assert enrolled.trust == Trust(ROOT.public, KEY_SET)
    seed = unseal(LOCK_ECDH.private, enrolled.document.door_seed, box_info(Box.SEED, LOCK_ID))
    assert seed == octets("door seed", 32)
    report = open_report(read_e4(write_e4(first_report())), LOCK_ID, REPORT.private, LOCK.public).report
    assert isinstance(report, Hello)


def test_a_server_without_the_claim_code_claims_nothing() -> None:
    assert accepted(document(), code=octets("guess", 16)) is Denial.BAD_SIGNATURE
    assert accepted(document()) is None


def test_mutant_lock_that_skips_the_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "compare_digest", lambda *_: True)
    assert accepted(document(), code=octets("guess", 16)) is None


def test_a_document_of_another_offer_root_or_issuer_is_refused() -> None:
    assert accepted(replace(document(), nonce=octets("old nonce", 16))) is Denial.WRONG_NONCE
    assert accepted(replace(document(), site_root=STRANGER.public)) is Denial.UNKNOWN_KEY
    assert accepted(document(), signer=STRANGER.signer) is Denial.UNKNOWN_KEY
    strange = sign_key_set(replace(KEY_SET, issuer_keys=(STRANGER.public,)), STRANGER.signer)
    assert accepted(replace(document(), key_set=strange)) is Denial.UNKNOWN_KEY


def test_a_mac_is_for_one_serial_and_one_document() -> None:
    signed = sign_enrolment(document(), ISSUER.signer)
    other = sign_enrolment(replace(document(), lock_id=OTHER_LOCK_ID), ISSUER.signer)
    mac = claim_mac(signed, CLAIM_CODE, NONCE, SERIAL)
    assert code_of(lambda: open_enrolment(other, mac, CLAIM_CODE, NONCE, SERIAL)) is Denial.BAD_SIGNATURE
    assert code_of(lambda: open_enrolment(signed, mac, CLAIM_CODE, NONCE, "LK1-43")) is Denial.BAD_SIGNATURE
    assert (
        code_of(lambda: open_enrolment(signed, mac[:-1], CLAIM_CODE, NONCE, SERIAL)) is Denial.BAD_SIGNATURE
    )


def test_an_offer_is_the_factory_keys_alone() -> None:
    forged = sign_offer(OFFER, STRANGER.signer)
    assert code_of(lambda: read_offer(forged, FACTORY.public)) is Denial.UNKNOWN_KEY
    with pytest.raises(LocalError):
        sign_offer(replace(OFFER, owner_public=b"\x04" + bytes(64)), FACTORY.signer)


def test_rooms_and_only_rooms_have_an_epoch() -> None:
    for kind, epoch in ((DoorKind.ROOM, None), (DoorKind.SHARED, 0)):
        with pytest.raises(LocalError):
            sign_enrolment(document(kind, epoch), ISSUER.signer)


@pytest.mark.parametrize("read", [read_e1, read_e2, read_e3, read_e4])
def test_L07_messages_of_another_version_kind_or_length(read: Callable[[bytes], object]) -> None:
    assert code_of(partial(read, REFUSAL)) is Denial.BURNT
    assert code_of(partial(read, b"")) is Denial.BAD_FORMAT
    for first in (0x10, 0x11, 0x12, 0x13):
        found = code_of(partial(read, bytes([first, 2]) + bytes(70)))
        assert found in {Denial.BAD_FORMAT, Denial.BAD_VERSION}
    assert code_of(partial(read, bytes([0x10, 1]) + bytes(MAX_MESSAGE))) is Denial.TOO_LARGE
