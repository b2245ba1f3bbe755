"""LK1 at the door: the good run, the documents it carries, and the state tables."""

from dataclasses import replace
from functools import partial

import pytest

from lockserver.protocol import handshake
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.documents import sign_key_set, sign_revocation_list, sign_time
from lockserver.protocol.errors import AirCode, Denial, LocalError, air_code
from lockserver.protocol.handshake import (
    LOCK_TABLE,
    PHONE_TABLE,
    Event,
    LockHandshake,
    PhoneHandshake,
    State,
)
from tests.vectors.build_documents import REVOCATION, TIME
from tests.vectors.build_handshake import ANSWER, DOCUMENTS
from tests.vectors.cast import (
    HOLDER,
    INFO,
    ISSUER,
    LOCK,
    LOCK_ID,
    NEXT_ISSUER,
    NEXT_KEY_SET,
    OTHER_LOCK_ID,
    STRANGER,
    TRUST,
    claims,
    code_of,
    greeted,
    lock_side,
    phone_side,
)

CREDENTIAL = issue_credential(claims(), ISSUER.signer)


# --------------------------------------------------------------------------------- the good run


def test_a_run_ends_with_the_same_answer_on_both_sides() -> None:
    phone, lock = phone_side(), lock_side()
    m1 = phone.hello()
    m2 = lock.greet(m1)
    assert phone.receive_m2(m2) == INFO
    m3 = phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer)
    attempt = lock.receive(m3, TRUST)
    assert attempt.credential.claims == claims()
    assert attempt.operation is Operation.UNLOCK
    m4 = lock.answer(ANSWER)
    assert phone.receive_m4(m4) == ANSWER
    assert (phone.state, lock.state) == (State.DONE, State.DONE)
    assert len(m1) == 67
    assert len(m2) < 200
    assert len(m3) < 340
    assert len(m4) < 70


def test_nothing_in_clear_names_the_holder_the_lock_or_the_credential() -> None:
    phone, lock = phone_side(), lock_side()
    m1 = phone.hello()
    m2 = lock.greet(m1)
    phone.receive_m2(m2)
    m3 = phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer)
    lock.receive(m3, TRUST)
    air = m1 + m2 + m3 + lock.answer(ANSWER)
    c = claims()
    for secret in (LOCK_ID, c.cti, c.subject, c.holder_public[1:33], LOCK.public[1:33], INFO.time_nonce):
        assert secret not in air


def test_key_sets_come_first_and_the_other_documents_under_the_new_keys() -> None:
    phone, lock = greeted()
    credential = issue_credential(claims(), NEXT_ISSUER.signer)
    m3 = phone.request(credential, Operation.UNLOCK, HOLDER.signer, list(reversed(DOCUMENTS)))
    attempt = lock.receive(m3, TRUST)
    assert attempt.key_set is not None
    assert attempt.key_set.document == NEXT_KEY_SET
    assert [checked.document for checked in attempt.documents] == [REVOCATION]
    assert attempt.refused == ()


def test_a_proven_key_set_is_kept_even_when_the_credential_fails() -> None:
    phone, lock = greeted()
    forged = issue_credential(claims(), STRANGER.signer)
    m3 = phone.request(forged, Operation.UNLOCK, HOLDER.signer, DOCUMENTS)
    assert code_of(lambda: lock.receive(m3, TRUST)) is Denial.BAD_ISSUER
    assert lock.key_set is not None
    assert lock.key_set.document == NEXT_KEY_SET


def test_forged_foreign_and_old_documents_are_ignored_with_their_reasons() -> None:
    phone, lock = greeted()
    documents = [
        SignedDocument(DocumentKind.REVOCATION, sign_revocation_list(REVOCATION, STRANGER.signer)),
        SignedDocument(
            DocumentKind.REVOCATION,
            sign_revocation_list(replace(REVOCATION, lock_id=OTHER_LOCK_ID), ISSUER.signer),
        ),
        SignedDocument(DocumentKind.KEYS, sign_key_set(NEXT_KEY_SET, STRANGER.signer)),
        SignedDocument(DocumentKind.TIME, sign_time(TIME, ISSUER.signer)),
    ]
    attempt = lock.receive(phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer, documents), TRUST)
    assert [checked.document for checked in attempt.documents] == [TIME]
    assert attempt.key_set is None
    assert set(attempt.refused) == {
        (DocumentKind.REVOCATION, Denial.UNKNOWN_KEY),
        (DocumentKind.REVOCATION, Denial.WRONG_LOCK),
        (DocumentKind.KEYS, Denial.UNKNOWN_KEY),
    }


def test_a_document_of_one_kind_is_not_taken_for_another() -> None:
    phone, lock = greeted()
    listed = sign_revocation_list(REVOCATION, ISSUER.signer)
    documents = [SignedDocument(DocumentKind.STATE, listed), SignedDocument(DocumentKind.TIME, listed)]
    attempt = lock.receive(phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer, documents), TRUST)
    assert attempt.documents == ()
    assert {denial for _, denial in attempt.refused} == {Denial.BAD_SIGNATURE}


# --------------------------------------------------------------------------------- state tables


def _take_m1(lock: LockHandshake) -> object:
    return lock.greet(b"\x01\x01" + bytes(65))


def _take_m2(phone: PhoneHandshake) -> object:
    return phone.receive_m2(b"\x02\x01" + bytes(120))


def _take_m3(lock: LockHandshake) -> object:
    return lock.receive(b"\x03" + bytes(60), TRUST)


def _take_m4(phone: PhoneHandshake) -> object:
    return phone.receive_m4(b"\x04" + bytes(40))


@pytest.mark.parametrize("state", list(State))
def test_whatever_is_not_in_the_phones_table_is_refused_and_burns(state: State) -> None:
    for event, act in (
        (Event.TAKE_M2, _take_m2),
        (Event.TAKE_M4, _take_m4),
    ):
        phone = phone_side()
        phone.state = state
        code = code_of(partial(act, phone))
        assert phone.state is State.BURNT
        assert code is not None
        assert (code is Denial.WRONG_STATE) == ((state, event) not in PHONE_TABLE)


@pytest.mark.parametrize("state", list(State))
def test_whatever_is_not_in_the_locks_table_is_refused_and_burns(state: State) -> None:
    for event, act in (
        (Event.TAKE_M1, _take_m1),
        (Event.TAKE_M3, _take_m3),
    ):
        lock = lock_side()
        lock.state = state
        code = code_of(partial(act, lock))
        assert lock.state is State.BURNT
        assert code is not None
        assert (code is Denial.WRONG_STATE) == ((state, event) not in LOCK_TABLE)


def test_our_own_callers_mistakes_are_local_errors() -> None:
    with pytest.raises(LocalError):
        phone_side().request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer)
    with pytest.raises(LocalError):
        lock_side().answer(ANSWER)
    with pytest.raises(LocalError):
        phone_side().channel()
    phone = phone_side()
    phone.hello()
    with pytest.raises(LocalError):
        phone.hello()


def test_a_burnt_lock_answers_nothing_more() -> None:
    phone, lock = greeted()
    m3 = phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer)
    assert code_of(lambda: lock.receive(m3[:-1], TRUST)) is Denial.BAD_BOX
    assert code_of(lambda: lock.receive(m3, TRUST)) is Denial.WRONG_STATE
    with pytest.raises(LocalError):
        lock.answer(ANSWER)


def test_the_phone_knows_the_single_byte_of_refusal() -> None:
    phone, _ = greeted()
    phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer)
    assert code_of(lambda: phone.receive_m4(handshake.REFUSAL)) is Denial.BURNT


@pytest.mark.parametrize("denial", list(Denial))
def test_the_air_is_told_a_coarse_code(denial: Denial) -> None:
    assert air_code(denial) is not AirCode.GRANTED
