"""Everything signed on its own: what is written is what is read, and nothing else is taken."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from lockserver.protocol import cose, credential, fields
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.claims import Capability, Claims, HolderClass, Schedule, claims_map
from lockserver.protocol.cose import Kind, sign1
from lockserver.protocol.credential import issue_credential, read_credential
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import (
    AccessState,
    RevocationList,
    read_access_state,
    read_door,
    read_key_set,
    read_revocation_list,
    read_time,
    sign_access_state,
    sign_door,
    sign_key_set,
    sign_revocation_list,
    sign_time,
)
from lockserver.protocol.errors import LocalError, RemoteError
from lockserver.protocol.limits import MAX_MESSAGE, MAX_REVOKED, MAX_SLOTS, MAX_TIME, MAX_WINDOWS
from lockserver.protocol.request import read_request, sign_request
from lockserver.protocol.slots import Slot
from lockserver.protocol.wish import read_wish, sign_wish
from tests.vectors import build_documents as made
from tests.vectors.cast import (
    HOLDER,
    ISSUER,
    KEY_SET,
    LOCK_ID,
    NEXT_KEY_SET,
    NOW,
    OTHER_HOLDER,
    ROOT,
    STRANGER,
    claims,
    greeted,
    octets,
)
from tests.vectors.generate import FOLDER

ISSUERS = keys_by_id((ISSUER.public,))
GOLDEN = json.loads((FOLDER / "documents.json").read_text(encoding="ascii"))


@pytest.mark.parametrize(
    "held", [claims(), made.FULL, made.GATE, made.ONCE, made.GATEWAY], ids=lambda c: c.cti.hex()[:6]
)
def test_a_credential_reads_as_it_was_issued(held: Claims) -> None:
    data = issue_credential(held, ISSUER.signer)
    read = read_credential(data, ISSUERS)
    assert (read.claims, read.kid, read.raw) == (held, ISSUER.signer.kid, data)
    assert len(data) < 300


@pytest.mark.parametrize(
    ("sign", "read", "document"),
    [
        (sign_door, read_door, made.DOOR),
        (sign_revocation_list, read_revocation_list, made.REVOCATION),
        (sign_revocation_list, read_revocation_list, made.REVOCATION_FLOOR),
        (sign_time, read_time, made.TIME),
        (sign_access_state, read_access_state, made.STATE),
        (sign_access_state, read_access_state, made.STATE_FULL),
        (sign_access_state, read_access_state, made.STATE_GATE),
    ],
)
def test_an_issuers_document_reads_as_it_was_signed(
    sign: Callable[..., bytes], read: Callable[..., object], document: object
) -> None:
    data = sign(document, ISSUER.signer)
    assert read(data, ISSUERS) == document
    with pytest.raises(RemoteError, match="unknown_key"):
        read(sign(document, STRANGER.signer), ISSUERS)
    with pytest.raises(RemoteError, match="bad_signature"):
        read(sign(document, STRANGER.signer), {STRANGER.signer.kid: ISSUER.public})


def test_a_key_set_is_the_site_roots_alone() -> None:
    for key_set in (KEY_SET, NEXT_KEY_SET):
        assert read_key_set(sign_key_set(key_set, ROOT.signer), ROOT.public) == key_set
    with pytest.raises(RemoteError, match="unknown_key"):
        read_key_set(sign_key_set(KEY_SET, ISSUER.signer), ROOT.public)
    with pytest.raises(LocalError):
        sign_key_set(replace(KEY_SET, issuer_keys=()), ROOT.signer)


def test_wishes_and_requests_read_as_they_were_signed() -> None:
    for wish in (made.WISH, made.WISH_ARGS):
        assert read_wish(sign_wish(wish, HOLDER.signer), HOLDER.public) == wish
        with pytest.raises(RemoteError, match="wish_bad"):
            read_wish(sign_wish(wish, OTHER_HOLDER.signer), HOLDER.public)
    assert read_request(sign_request(made.REQUEST, HOLDER.signer), HOLDER.public) == made.REQUEST
    with pytest.raises(RemoteError, match="unknown_key"):
        read_request(sign_request(made.REQUEST, OTHER_HOLDER.signer), HOLDER.public)


def test_no_kind_is_taken_for_another() -> None:
    payload: dict[int, object] = {1: 1}
    for signed in Kind:
        data = sign1(signed, payload, ISSUER.signer)
        for asked in Kind:
            if asked is signed:
                assert cose.verify1(asked, data, ISSUERS).payload == payload
            else:
                with pytest.raises(RemoteError, match="bad_signature"):
                    cose.verify1(asked, data, ISSUERS)


def refused_with_another_code() -> list[tuple[str, str, str]]:
    """Golden refusals that are not refused with their code: (name, expected, found)."""
    wrong = []
    for row in GOLDEN["refused_credentials"]:
        try:
            read_credential(bytes.fromhex(row["hex"]), ISSUERS)
            found = "taken"
        except RemoteError as error:
            found = error.code.word
        if found != row["code"]:
            wrong.append((row["name"], row["code"], found))
    return wrong


def test_L07_every_forged_or_odd_credential_is_refused_with_its_code() -> None:
    assert len(GOLDEN["refused_credentials"]) == 24
    assert refused_with_another_code() == []


def test_L07_an_ignorable_claim_is_ignored() -> None:
    assert read_credential(bytes.fromhex(GOLDEN["ignorable_claim"]), ISSUERS).claims == claims()


def test_L07_mutant_reader_that_ignores_unknown_critical_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields.Fields, "close", lambda _: None)
    assert {name for name, _, _ in refused_with_another_code()} == {
        "unknown critical claim",
        "unknown critical negative claim",
    }


def test_L07_mutant_reader_without_a_signature_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cose, "verify", lambda *_: True)
    assert {name for name, _, _ in refused_with_another_code()} >= {
        "another kind",
        "last bit of the signature",
    }


def test_L07_mutant_reader_without_a_bound_on_life(monkeypatch: pytest.MonkeyPatch) -> None:
    from lockserver.protocol import claims as claims_module

    monkeypatch.setattr(claims_module, "life_allowed", lambda _: True)
    assert {name for name, _, _ in refused_with_another_code()} == {
        "tenant beyond 72 h",
        "gateway beyond 72 h",
        "entry beyond 24 h",
        "empty window",
    }


@pytest.mark.parametrize(
    "held",
    [
        claims(exp=NOW - 3600),
        claims(exp=NOW - 3600 + 72 * 3600 + 1),
        claims(nbf=-1),
        claims(epoch=-1),
        replace(claims(), cti=b"short"),
        replace(claims(), holder_public=b"\x04" + bytes(64)),
        replace(claims(), lock_id=octets("x", 17)),
    ],
)
def test_what_no_lock_would_read_is_not_issued(held: Claims) -> None:
    with pytest.raises(LocalError):
        issue_credential(held, ISSUER.signer)


def test_lives_by_class() -> None:
    owner = claims(holder_class=HolderClass.OWNER, epoch=None, exp=NOW - 3600 + 30 * 86400)
    assert read_credential(issue_credential(owner, ISSUER.signer), ISSUERS).claims == owner
    entry = replace(owner, capabilities=owner.capabilities | Capability.ENTRY)
    with pytest.raises(LocalError):
        issue_credential(entry, ISSUER.signer)
    day = replace(entry, exp=entry.nbf + 86400)
    assert read_credential(issue_credential(day, ISSUER.signer), ISSUERS).claims == day


def test_the_fullest_documents_fit_one_message_and_fuller_ones_are_not_signed() -> None:
    full = RevocationList(
        LOCK_ID, 9, tuple(sorted((octets(str(n), 16), NOW) for n in range(MAX_REVOKED))), NOW, NOW
    )
    data = sign_revocation_list(full, ISSUER.signer)
    assert len(data) + credential.MAX_CREDENTIAL < MAX_MESSAGE
    assert read_revocation_list(data, ISSUERS) == full
    with pytest.raises(LocalError):
        sign_revocation_list(replace(full, entries=(*full.entries, (bytes(16), NOW))), ISSUER.signer)
    slots = tuple(
        Slot(n, bytes(16), bytes(16), NOW, NOW + 9, HolderClass.TENANT, 2**31) for n in range(MAX_SLOTS)
    )
    state = AccessState(LOCK_ID, 9, 2**31, occupied=True, iat=NOW, pins=slots, cards=slots)
    week = Schedule(-840, tuple((n * 300, n * 300 + 299) for n in range(MAX_WINDOWS)))
    late = tuple(replace(s, slot=s.slot + 200, nbf=MAX_TIME, until=MAX_TIME) for s in slots)
    for each in (state, replace(state, pins=late, cards=(), fingers=late, hold_open=week, auto_lock=600)):
        data = sign_access_state(each, ISSUER.signer)
        assert read_access_state(data, ISSUERS) == each
        phone, _ = greeted()
        carried = [SignedDocument(DocumentKind.STATE, data)]
        longest_key = bytes(credential.MAX_CREDENTIAL)
        assert len(phone.request(longest_key, Operation.UNLOCK, HOLDER.signer, carried)) <= MAX_MESSAGE
    with pytest.raises(LocalError):
        sign_access_state(replace(state, fingers=slots[:1]), ISSUER.signer)
    longest = replace(
        made.FULL, epoch=2**32 - 1, schedule=Schedule(480, tuple((n * 300, n * 300 + 299) for n in range(21)))
    )
    assert len(issue_credential(longest, ISSUER.signer)) < credential.MAX_CREDENTIAL


def test_an_unknown_capability_conveys_nothing_but_does_not_spoil_the_key() -> None:
    odd = sign1(Kind.EKEY, claims_map(claims()) | {-1: 1 | 1 << 20}, ISSUER.signer)
    assert Capability.UNLOCK in read_credential(odd, ISSUERS).claims.capabilities
