"""LK1 under attack: L-02 replay, L-03 false locks, L-05 pooling, L-07 downgrade, each with a mutant."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from lockserver.protocol import curve, handshake
from lockserver.protocol.access import Operation
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, Signer, aead_open, key_and_iv
from lockserver.protocol.errors import Denial, LocalError
from lockserver.protocol.handshake import (
    LockHandshake,
    State,
)
from tests.vectors.build_handshake import ANSWER
from tests.vectors.cast import (
    HOLDER,
    INFO,
    ISSUER,
    LOCK,
    LOCK_ID,
    NOW,
    OTHER_HOLDER,
    OTHER_LOCK,
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
