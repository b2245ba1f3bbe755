"""LK1 at the door: the good run, the state tables, and the attacks of L-02, L-03, L-05 and L-07."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from lockserver.protocol import curve, handshake
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, Signer, aead_open, key_and_iv
from lockserver.protocol.documents import sign_key_set, sign_revocation_list, sign_time
from lockserver.protocol.errors import AirCode, Denial, LocalError, RemoteError, air_code
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
    NOW,
    OTHER_HOLDER,
    OTHER_LOCK,
    OTHER_LOCK_ID,
    STRANGER,
    TRUST,
    claims,
    lock_side,
    phone_side,
)

CREDENTIAL = issue_credential(claims(), ISSUER.signer)


def greeted(label: str = "lock") -> tuple[PhoneHandshake, LockHandshake]:
    """Both sides, the lock proved."""
    phone, lock = phone_side(), lock_side(label)
    phone.receive_m2(lock.greet(phone.hello()))
    return phone, lock


def code_of(act: Callable[[], object]) -> Denial | None:
    """The code with which ``act`` is refused, None if it is not."""
    try:
        act()
    except RemoteError as error:
        return error.code
    return None


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


# --------------------------------------------------------------------------------- L-02 replay


def recorded() -> tuple[bytes, bytes, LockHandshake]:
    """M1 and M3 of a run that opened the door, and the lock's side of it."""
    phone, lock = phone_side(), lock_side()
    m1 = phone.hello()
    phone.receive_m2(lock.greet(m1))
    m3 = phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer)
    lock.receive(m3, TRUST)
    lock.answer(ANSWER)
    return m1, m3, lock


def replay_is_taken(make_lock: Callable[[], LockHandshake]) -> bool:
    """Whether a recorded exchange, sent again to a new session, is a proven attempt."""
    m1, m3, _ = recorded()
    lock = make_lock()
    lock.greet(m1)
    return code_of(lambda: lock.receive(m3, TRUST)) is None


def test_L02_replay_in_another_session_same_and_other_lock() -> None:
    assert not replay_is_taken(lambda: lock_side("second session"))
    other = replace(INFO, lock_id=OTHER_LOCK_ID)
    assert not replay_is_taken(lambda: lock_side("second session", OTHER_LOCK, other))
    assert not replay_is_taken(lambda: lock_side("second session", LOCK, other))


def test_L02_replay_in_the_same_session() -> None:
    _, m3, lock = recorded()
    assert code_of(lambda: lock.receive(m3, TRUST)) is Denial.WRONG_STATE


def test_L02_mutant_lock_that_uses_its_ephemeral_key_again() -> None:
    assert replay_is_taken(lambda: lock_side("lock"))  # the label of the recorded run: same key


# --------------------------------------------------------------------------------- L-03 fake lock


def phone_trusts(m2_of: Callable[[bytes], bytes]) -> bool:
    """Whether a phone would go on to name its holder after this M2."""
    phone = phone_side()
    m2 = m2_of(phone.hello())
    if code_of(lambda: phone.receive_m2(m2)) is not None:
        with pytest.raises(LocalError):
            phone.request(CREDENTIAL, Operation.UNLOCK, HOLDER.signer)
        return False
    return True


def false_locks() -> dict[str, Callable[[bytes], bytes]]:
    """Ways to stand before a phone without being the pinned lock, or as another door."""

    def in_the_middle(m1: bytes) -> bytes:
        """Its own keys towards the phone; the real lock answered its own M1."""
        lock_side().greet(phone_side("middle").hello())
        return lock_side("middle", STRANGER).greet(m1)

    def swapped_key(m1: bytes) -> bytes:
        """The real lock's M2 with the ephemeral key replaced."""
        real = lock_side().greet(m1)
        return real[:2] + lock_side("middle")._point + real[67:]

    return {
        "own key": lambda m1: lock_side("fake", STRANGER).greet(m1),
        "other door's lock": lambda m1: lock_side("l", OTHER_LOCK).greet(m1),
        "right key, other id": lambda m1: lock_side("l", LOCK, replace(INFO, lock_id=OTHER_LOCK_ID)).greet(
            m1
        ),
        "real lock's answer to another M1": lambda _: lock_side().greet(phone_side("x").hello()),
        "man in the middle": in_the_middle,
        "swapped ephemeral key": swapped_key,
    }


@pytest.mark.parametrize("name", list(false_locks()))
def test_L03_no_credential_before_the_lock_is_proved(name: str) -> None:
    assert not phone_trusts(false_locks()[name])


def test_L03_mutant_phone_that_skips_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "verify", lambda *_: True)
    assert phone_trusts(false_locks()["own key"])
    assert phone_trusts(false_locks()["man in the middle"])


def test_L03_mutant_phone_that_skips_the_lock_id(monkeypatch: pytest.MonkeyPatch) -> None:
    real = handshake._read_info
    monkeypatch.setattr(handshake, "_read_info", lambda data: replace(real(data), lock_id=LOCK_ID))
    assert phone_trusts(false_locks()["right key, other id"])


def carried_over(holder: Signer = HOLDER.signer) -> Denial | None:
    """A hostile lock that the phone rightly trusts takes M3 apart and plays its content to this lock."""
    evil = replace(INFO, lock_id=OTHER_LOCK_ID)
    victim = phone_side("victim", OTHER_LOCK, OTHER_LOCK_ID)
    victim.receive_m2(lock_side("evil", OTHER_LOCK, evil).greet(victim.hello()))
    th3, prk = victim._th, victim._prk
    m3 = victim.request(CREDENTIAL, Operation.UNLOCK, holder)
    captured = aead_open(*key_and_iv(prk, b"LK1 3\0", th3), m3[1:], th3)
    thief, honest = greeted("honest")
    return code_of(lambda: honest.receive(b"\x03" + thief._seal(3, captured), TRUST))


def test_L03_the_holders_proof_is_bound_to_both_keys_and_the_lock() -> None:
    assert carried_over() is Denial.BAD_PROOF


def test_L03_mutant_proof_without_the_transcript(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(message: bytes) -> bytes:
        """As if "LK1 phone" were signed over no transcript at all."""
        prefix = b"LK1 phone"
        return prefix + message[len(prefix) + 32 :] if message.startswith(prefix) else message

    class Careless(EcdsaSigner):
        def sign(self, message: bytes) -> bytes:
            return super().sign(without(message))

    real = curve.verify
    monkeypatch.setattr(handshake, "verify", lambda key, sig, message: real(key, sig, without(message)))
    assert carried_over(Careless(HOLDER.private)) is None


# --------------------------------------------------------------------------------- L-05 pooling


def pooled() -> dict[str, bytes]:
    """What two guests could make of everything they ever got."""
    window = issue_credential(claims(cti="a", nbf=NOW, exp=NOW + 60), ISSUER.signer)
    other_door = issue_credential(claims(cti="b", lock_id=OTHER_LOCK_ID), ISSUER.signer)
    wide = issue_credential(
        claims(
            cti="c",
            holder=OTHER_HOLDER,
            capabilities=Capability(127),
            holder_class=HolderClass.GUEST,
            exp=NOW - 3600 + 86400,
        ),
        ISSUER.signer,
    )
    a, b, c = (decode(raw) for raw in (window, other_door, wide))
    assert isinstance(a, list)
    assert isinstance(b, list)
    assert isinstance(c, list)
    return {
        "another's credential": wide,
        "one's payload, another's signature": encode([a[0], {}, c[2], a[3]]),
        "another door's signature": encode([a[0], {}, a[2], b[3]]),
        "self-issued": issue_credential(claims(exp=NOW + 71 * 3600), HOLDER.signer),
        "self-issued under the issuer's key id": encode(
            [a[0], {}, c[2], HOLDER.signer.sign(encode(["Signature1", a[0], b"LK1-EKEY", c[2]]))]
        ),
    }


@pytest.mark.parametrize("name", list(pooled()))
def test_L05_pooled_material_forges_nothing(name: str) -> None:
    phone, lock = greeted()
    m3 = phone.request(pooled()[name], Operation.UNLOCK, HOLDER.signer)
    code = code_of(lambda: lock.receive(m3, TRUST))
    assert code is (Denial.BAD_PROOF if name == "another's credential" else Denial.BAD_ISSUER)


def test_L05_mutant_lock_that_skips_the_holders_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    phone, lock = greeted()
    m3 = phone.request(pooled()["another's credential"], Operation.UNLOCK, HOLDER.signer)
    monkeypatch.setattr(handshake, "verify", lambda *_: True)
    assert code_of(lambda: lock.receive(m3, TRUST)) is None


def test_the_operation_cannot_be_changed_by_who_holds_the_session_key() -> None:
    phone, lock = greeted()
    m3 = phone.request(CREDENTIAL, Operation.LOCK, HOLDER.signer)
    th3 = lock._th
    parts = decode(aead_open(*key_and_iv(lock._prk, b"LK1 3\0", th3), m3[1:], th3))
    assert isinstance(parts, list)
    parts[2] = int(Operation.UNLOCK)
    changed = b"\x03" + lock._seal(3, encode(parts))
    assert code_of(lambda: lock.receive(changed, TRUST)) is Denial.BAD_PROOF


# --------------------------------------------------------------------------------- L-07 downgrade


def test_L07_another_version_is_refused_before_anything_else() -> None:
    m1 = phone_side().hello()
    for version in (0, 2, 255):
        assert code_of(partial(lock_side().greet, m1[:1] + bytes([version]) + m1[2:])) is Denial.BAD_VERSION
    m2 = lock_side().greet(m1)
    phone = phone_side()
    phone.hello()
    assert code_of(lambda: phone.receive_m2(m2[:1] + b"\x00" + m2[2:])) is Denial.BAD_VERSION


def downgrade_succeeds(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Two sides of a later day that speak versions 1 and 2; somebody between turns M1's 2 into 1."""
    real = handshake._head
    monkeypatch.setattr(handshake, "_head", lambda m, *, exact: real(m[:1] + b"\x01" + m[2:], exact=exact))
    monkeypatch.setattr(handshake, "VERSION", 2)
    phone = phone_side()
    m1 = phone.hello()
    assert m1[1] == 2
    monkeypatch.setattr(handshake, "VERSION", 1)
    m2 = lock_side().greet(m1[:1] + b"\x01" + m1[2:])
    return code_of(lambda: phone.receive_m2(m2)) is None


def test_L07_the_version_is_inside_the_signed_transcript(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not downgrade_succeeds(monkeypatch)


def test_L07_mutant_transcript_without_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    real = curve.sha256

    def without_version(*parts: bytes) -> bytes:
        return real(*(p[:1] + p[2:] if p[:1] in {b"\x01", b"\x02"} and len(p) == 67 else p for p in parts))

    monkeypatch.setattr(handshake, "sha256", without_version)
    assert downgrade_succeeds(monkeypatch)


def test_L07_a_plain_or_short_frame_is_no_command() -> None:
    for frame in (b"", b"\x03", b"\x03" + bytes(15), b"\x03" + encode([CREDENTIAL, [], 1, bytes(64)])):
        _, lock = greeted()
        assert code_of(partial(lock.receive, frame, TRUST)) is not None
        assert lock.state is State.BURNT


@pytest.mark.parametrize("denial", list(Denial))
def test_the_air_is_told_a_coarse_code(denial: Denial) -> None:
    assert air_code(denial) is not AirCode.GRANTED
