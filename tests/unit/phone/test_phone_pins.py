"""The reference phone and PINs: whom it seals them to, what it opens, what it carries when not all fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.curve import private_key, public_bytes, sha256
from lockserver.protocol.documents import sign_key_set
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from lockserver.protocol.wish import WishOperation, read_wish
from mobile_api.phone.door import fitting
from mobile_api.phone.errors import NoPinKeyError, WeakPinError
from mobile_api.phone.phone import Phone
from tests.vectors.cast import KEY_SET, LOCK_ID, OTHER_LOCK_ID, ROOT, STRANGER, pair, stream

ISSUER = pair("pins")


def phone(*, by: str = "root", known: bool = True) -> Phone:
    """A phone that has synced with a site whose issuer takes PINs."""
    mine = Phone.fresh()
    signer = {"root": ROOT, "stranger": STRANGER}[by].signer
    key_set = replace(KEY_SET, pins_key=ISSUER.public if known else None)
    mine.bundle.site_root, mine.bundle.key_set = ROOT.public, sign_key_set(key_set, signer)
    return mine


def test_a_chosen_pin_reaches_the_issuer_and_nobody_else() -> None:
    mine = phone()
    wish = read_wish(mine.pin_wish(LOCK_ID, "2904751"), mine.bundle.sign_public)
    assert (wish.operation, wish.target_id, set(wish.args)) == (WishOperation.SET_PIN, LOCK_ID, {"pin"})
    box = wish.args["pin"]
    assert isinstance(box, bytes)
    assert unseal(ISSUER.private, box, box_info(Box.PIN_SET, LOCK_ID)) == b"2904751"
    for key, info in (
        (STRANGER.private, box_info(Box.PIN_SET, LOCK_ID)),
        (ISSUER.private, box_info(Box.PIN_SET, OTHER_LOCK_ID)),
        (ISSUER.private, box_info(Box.PIN, LOCK_ID)),
    ):
        with pytest.raises(RemoteError):
            unseal(key, box, info)


def test_a_weak_pin_is_not_sent_and_the_rule_is_named() -> None:
    with pytest.raises(WeakPinError) as weak:
        phone().seal_pin(LOCK_ID, "19870614")
    assert weak.value.why == "date"


def test_a_key_for_pins_that_the_root_did_not_sign_is_used_for_none() -> None:
    with pytest.raises(RemoteError):
        phone(by="stranger").seal_pin(LOCK_ID, "2904751")
    for mine in (phone(known=False), Phone.fresh()):
        with pytest.raises(NoPinKeyError):
            mine.seal_pin(LOCK_ID, "2904751")


def test_a_pin_is_read_by_the_phone_it_was_sealed_for() -> None:
    mine = phone()
    public = public_bytes(mine.bundle.ecdh)
    ephemerals = (private_key(stream(f"box {n}")) for n in range(9))
    box = seal(public, b"004071234", box_info(Box.PIN, LOCK_ID), next(ephemerals))
    assert mine.open_pin(LOCK_ID, box) == "004071234"
    with pytest.raises(RemoteError):
        mine.open_pin(OTHER_LOCK_ID, box)
    with pytest.raises(RemoteError):
        phone().open_pin(LOCK_ID, box)
    for odd in (b"123456", b"12345x78", b"\xff" * 8, b""):
        with pytest.raises(RemoteError):
            mine.open_pin(LOCK_ID, seal(public, odd, box_info(Box.PIN, LOCK_ID), next(ephemerals)))


def test_a_phone_is_named_by_the_hash_of_its_key() -> None:
    mine = phone()
    assert mine.key_hash == sha256(mine.bundle.sign_public)
    assert len(mine.key_hash) == 32


def test_what_does_not_fit_is_left_for_the_next_opening() -> None:
    kinds = (DocumentKind.KEYS, DocumentKind.TIME, DocumentKind.REVOCATION, DocumentKind.STATE)
    sizes = (700, 150, 2850, 2800)
    carried = [SignedDocument(kind, bytes(size)) for kind, size in zip(kinds, sizes, strict=True)]
    first = fitting(bytes(240), carried)
    assert [document.kind for document in first] == [*kinds[:2], DocumentKind.REVOCATION]
    assert [document.kind for document in fitting(bytes(240), carried[1:2] + carried[3:])] == [
        DocumentKind.TIME,
        DocumentKind.STATE,
    ]
