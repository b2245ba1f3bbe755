"""The attacks on a door, one test each, by the names they have in docs/threats.md: over the radio, by hand.

What an attacker would notice is whether the bolt moves; what the owner would, whether the journal says why.
Attacks that stand elsewhere (broker, bridge, keypad, power, relay, claim) are listed with their tests on that page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from firmware_sim.core import sessions
from firmware_sim.core.events import ButtonPressed, RadioBroken, RadioConnected, RadioMessage
from firmware_sim.links.memory import MemoryLock
from lockserver.protocol import credential as credentials
from lockserver.protocol import handshake as handshakes
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.codec import encode
from lockserver.protocol.cose import Kind, peek, sign1
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.documents import TimeStatement, sign_time
from lockserver.protocol.enrolment import DoorKind, write_e1, write_e3
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.handshake import REFUSAL
from lockserver.protocol.journal import What
from tests.support.site import Holder, Site, burn, claim_offer, source
from tests.unit.firmware_sim.desk import Desk

HOUR = 3600


def refused(desk: Desk, holder: Holder, key: bytes, *documents: SignedDocument) -> bool:
    """Whether the lock stayed shut, whatever it said."""
    before = desk.openings
    answer = desk.open(holder, key, *documents)
    return (answer is None or answer.code is not AirCode.GRANTED) and desk.openings == before


# ------------------------------------------------------------------------------ keys that are none


def test_attack_credential_without_its_private_key() -> None:
    desk = Desk()
    tenant, thief = desk.site.holder(), desk.site.holder()
    key = desk.site.credential(desk.enrolled, tenant)
    assert refused(desk, thief, key)
    assert desk.denials() == [Denial.BAD_PROOF]
    assert not refused(desk, tenant, key)


def test_attack_self_issued_key() -> None:
    desk = Desk()
    thief = desk.site.holder()
    claims = desk.site.claims(desk.enrolled, thief)
    assert refused(desk, thief, issue_credential(claims, thief.signer))
    assert desk.denials() == [Denial.BAD_ISSUER]


def test_attack_self_issued_key_mutant_a_lock_that_takes_any_issuer_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    thief = desk.site.holder()
    claims = desk.site.claims(desk.enrolled, thief)
    own = issue_credential(claims, thief.signer)
    genuine = credentials.read_credential
    monkeypatch.setattr(
        handshakes, "read_credential", lambda raw, _keys: genuine(raw, {thief.signer.kid: thief.public})
    )
    assert not refused(desk, thief, own)


@pytest.mark.parametrize(
    ("what", "denial"),
    [
        ({"nbf": -2 * HOUR, "exp": -HOUR}, Denial.EXPIRED),
        ({"nbf": HOUR, "exp": 2 * HOUR}, Denial.NOT_YET),
    ],
)
def test_attack_expired_or_not_yet_valid_key(what: dict[str, int], denial: Denial) -> None:
    desk = Desk()
    tenant = desk.site.holder()
    window = {name: desk.site.now + seconds for name, seconds in what.items()}
    assert refused(desk, tenant, desk.site.credential(desk.enrolled, tenant, **window))
    assert desk.denials() == [denial]


def test_attack_key_for_another_door() -> None:
    desk, next_door = Desk(), Desk(seed=8)
    tenant = desk.site.holder()
    claims = desk.site.claims(next_door.enrolled, tenant)
    assert refused(desk, tenant, issue_credential(claims, desk.site.issuer))
    assert desk.denials() == [Denial.WRONG_LOCK]


@pytest.mark.parametrize("operation", [Operation.HOLD_OPEN, Operation.READ_JOURNAL, Operation.CARRY])
def test_attack_scope_escalation(operation: Operation) -> None:
    """A key that only unlocks asks for more than it conveys."""
    desk = Desk()
    tenant = desk.site.holder()
    key = desk.site.credential(desk.enrolled, tenant, capabilities=Capability.UNLOCK)
    answer = desk.open(tenant, key, operation=operation)
    assert answer is None or answer.code is AirCode.DENIED
    assert desk.openings == 0
    assert desk.denials() == [Denial.CAPABILITY]


def test_attack_epoch_raised_at_a_shared_gate() -> None:
    """A tenant's key with an epoch, at a gate, would shut out everybody else there."""
    desk = Desk(kind=DoorKind.SHARED)
    thief, neighbour = desk.site.holder(), desk.site.holder()
    assert refused(desk, thief, desk.site.credential(desk.enrolled, thief, epoch=9))
    assert desk.denials() == [Denial.EPOCH_SHARED]
    assert not refused(desk, neighbour, desk.site.credential(desk.enrolled, neighbour, epoch=None))


# -------------------------------------------------------------------------- words and their order


def test_attack_dropping_m4_to_hide_from_the_log() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    connection, phone = desk.connect(), desk.phone()
    phone.receive_m2(desk.say(connection, phone.hello())[0])
    m3 = phone.request(desk.site.credential(desk.enrolled, tenant), Operation.UNLOCK, tenant.signer)
    desk.say(connection, m3)
    desk.hang_up(connection)  # M4 was never heard
    assert desk.openings == 1
    assert desk.journalled(What.UNLOCKED) == 1


def test_attack_version_downgrade() -> None:
    desk = Desk()
    for version in (0, 2, 255):
        connection, phone = desk.connect(), desk.phone()
        m1 = phone.hello()
        assert desk.say(connection, m1[:1] + bytes([version]) + m1[2:]) == [REFUSAL]
    assert set(desk.denials()) == {Denial.BAD_VERSION}
    assert desk.openings == 0


@pytest.mark.parametrize("length", [1, 2, 3, 16, 20, 67, 91])
def test_attack_plaintext_or_short_frame_as_command(length: int) -> None:
    """VU#949046: frames of odd length were obeyed in plain. Here nothing in plain is a command."""
    desk = Desk()
    desk.broker_up()
    for first in (1, 3, 4, 5, 0x10, 0x12, 0x42, 0x7F):
        frame = bytes([first]) + encode([1, 2])[: length - 1].ljust(length - 1, b"\x01")
        connection = desk.connect()
        desk.say(connection, frame)
        desk.deliver(frame)
        answered, phone = desk.connect(), desk.phone()
        phone.receive_m2(desk.say(answered, phone.hello())[0])
        desk.say(answered, frame)
    assert desk.openings == 0


def test_attack_invalid_curve_point() -> None:
    """Points off the curve (small subgroups of another) would leak the ephemeral key, bit by bit."""
    desk = Desk()
    good = public_bytes(private_key(source(3)))
    spoiled = [
        good[:-1] + bytes([good[-1] ^ 1]),  # not on the curve
        b"\x04" + bytes(64),  # the origin
        b"\x04" + b"\xff" * 64,  # beyond the field
        b"\x02" + good[1:33] + bytes(32),  # compressed
        bytes(65),  # infinity
    ]
    for point in spoiled:
        assert desk.say(desk.connect(), b"\x01\x01" + point) == [REFUSAL]
    assert set(desk.denials()) == {Denial.BAD_POINT}


def test_attack_unlimited_challenges() -> None:
    """VU#949046: 16-bit challenges, as many as one liked. One attempt a connection; failures are held back."""
    desk = Desk()
    thief = desk.site.holder()
    seen = set()
    for _ in range(40):
        connection, phone = desk.connect(), desk.phone()
        m2 = desk.say(connection, phone.hello())
        if m2:
            seen.add(m2[0])
            desk.say(connection, b"\x03" + desk.random(300))
            assert REFUSAL not in desk.say(connection, b"\x03" + desk.random(300))  # no second attempt
        desk.wait(1)
    assert len(seen) > 10
    assert len(seen) == len({one[2:67] for one in seen}), "an ephemeral key came twice"
    assert desk.openings == 0
    tenant = desk.site.holder()
    assert not refused(desk, tenant, desk.site.credential(desk.enrolled, tenant))  # and who may, does (L-06)
    assert refused(desk, thief, desk.site.credential(desk.enrolled, tenant))


def test_attack_token_type_confusion() -> None:
    """What the issuer signed as one thing is offered as every other."""
    desk = Desk()
    tenant = desk.site.holder()
    claims = desk.site.claims(desk.enrolled, tenant)
    key = issue_credential(claims, desk.site.issuer)
    payloads = (desk.site.revocation(desk.enrolled).raw, desk.site.door(desk.enrolled), desk.site.key_set)
    for foreign in payloads:
        assert refused(desk, tenant, foreign)
    assert desk.denials().count(Denial.BAD_ISSUER) + desk.denials().count(Denial.BAD_FORMAT) >= 1
    for kind in DocumentKind:
        wrong = SignedDocument(kind, key)
        desk.open(tenant, desk.site.credential(desk.enrolled, tenant), wrong)
    assert desk.lock.lock is not None
    held = desk.lock.lock.held
    assert held is not None
    assert held.revocation is None
    assert held.state is None
    assert not held.occupied


def test_attack_token_type_confusion_mutant_kinds_that_sign_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kind in the signature, a wish of the thief's own making passes for a credential's proof."""
    desk = Desk()
    tenant = desk.site.holder()
    claims = desk.site.claims(desk.enrolled, tenant)
    genuine = issue_credential(claims, desk.site.issuer)
    as_state = sign1(Kind.STATE, credentials_payload(genuine), desk.site.issuer)
    assert refused(desk, tenant, as_state)
    monkeypatch.setattr(
        credentials, "Kind", type("Alike", (), {"EKEY": Kind.STATE})
    )  # a reader that takes one kind for another
    assert not refused(desk, tenant, as_state)


def credentials_payload(raw: bytes) -> dict[int, object]:
    """The map that a credential signs."""
    return {number: value for number, value in peek(raw).items() if isinstance(number, int)}


# ------------------------------------------------------------------------------- time and documents


def test_attack_forged_or_stale_time_statement() -> None:
    """A thief with yesterday's key wants the lock to believe that it is yesterday."""
    desk = Desk()
    thief, forger = desk.site.holder(), EcdsaSigner(private_key(source(77)))
    yesterday = desk.site.now - 24 * HOUR
    old = desk.site.credential(desk.enrolled, thief, nbf=yesterday, exp=yesterday + HOUR, iat=yesterday)

    def nonce_now() -> bytes:
        phone = desk.phone()
        return phone.receive_m2(desk.say(desk.connect(), phone.hello())[0]).time_nonce

    said = TimeStatement(yesterday + 60, nonce_now(), desk.enrolled.lock_id)
    forged = SignedDocument(DocumentKind.TIME, sign_time(said, forger))
    stale = SignedDocument(
        DocumentKind.TIME, sign_time(replace(said, nonce=bytes(8)), desk.site.issuer)
    )  # truly signed, for a nonce of another day
    foreign = SignedDocument(DocumentKind.TIME, sign_time(replace(said, lock_id=bytes(16)), desk.site.issuer))
    for document in (forged, stale, foreign):
        assert refused(desk, thief, old, document)
    desk.broker_up(attest=False)
    assert (desk.hello().time or 0) >= desk.site.now - 2  # nobody turned it back
    tenant = desk.site.holder()
    assert not refused(desk, tenant, desk.site.credential(desk.enrolled, tenant))  # the clock still stands


# ----------------------------------------------------------------------------------------- floods


def test_attack_fragment_flood_and_slow_sender() -> None:
    desk = Desk()
    for _ in range(50):
        connection = desk.connect()
        desk.lock.feed(RadioBroken(connection))  # what the link makes of fragments without an end
    silent = [desk.connect() for _ in range(4)]
    desk.wait(11)
    assert set(silent) <= desk.lock.closed  # who says nothing gives his place back
    tenant = desk.site.holder()
    assert not refused(desk, tenant, desk.site.credential(desk.enrolled, tenant))


# ------------------------------------------------------------------------------------------ oracles


def _failures(desk: Desk) -> dict[str, Callable[[int], None]]:
    """Everything that can be wrong before the holder has proved himself; each ends in one refusal."""
    site, tenant, thief = desk.site, desk.site.holder(), desk.site.holder()
    valid = site.credential(desk.enrolled, tenant)

    def says(key: bytes, holder: Holder) -> Callable[[int], None]:
        def act(connection: int) -> None:
            phone = desk.phone()
            phone.receive_m2(desk.say(connection, phone.hello())[0])
            desk.say(connection, phone.request(key, Operation.UNLOCK, holder.signer))

        return act

    def noise(connection: int) -> None:
        desk.say(connection, desk.phone().hello())
        desk.say(connection, b"\x03" + bytes(300))

    expired = site.credential(desk.enrolled, tenant, nbf=site.now - 99, exp=site.now - 9)
    return {
        "noise": noise,
        "self-issued": says(issue_credential(site.claims(desk.enrolled, thief), thief.signer), thief),
        "stolen": says(valid, thief),
        "stolen and expired": says(expired, thief),
        "stolen, of an owner": says(
            site.credential(desk.enrolled, tenant, holder_class=HolderClass.OWNER, epoch=None), thief
        ),
    }


def _observed(desk: Desk, act: Callable[[int], None]) -> tuple[list[bytes], float]:
    """What a stranger hears after M2, and after how many seconds of the lock's own time."""
    connection = desk.connect()
    act(connection)
    for tenths in range(700):
        said = desk.lock.said.get(connection, [])
        if REFUSAL in said:
            return [one for one in said if one[0] != 2], tenths / 10
        desk.lock.wait(0.1)
    raise AssertionError("no refusal came")


@pytest.mark.parametrize("before", [0, 7])
def test_attack_error_oracle_by_byte_or_by_time_class(before: int) -> None:
    """A copied credential cannot be told from noise: by no byte and by no class of time, fresh or held back."""
    seen = {}
    for name in _failures(Desk()):
        desk = Desk()
        acts = _failures(desk)
        for _ in range(before):
            _observed(desk, acts["noise"])
        seen[name] = _observed(desk, acts[name])
    assert len({(tuple(said), seconds) for said, seconds in seen.values()}) == 1, seen
    assert next(iter(seen.values()))[0] == [REFUSAL]
    assert (next(iter(seen.values()))[1] > 0) == bool(before)  # held back, all alike


def test_attack_error_oracle_mutant_a_lock_that_holds_back_only_noise_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genuine = sessions.Sessions._refuse

    def telling(self: sessions.Sessions, session: sessions._Session, denial: Denial) -> None:
        if denial is Denial.BAD_PROOF:
            self._burn(session)  # "the key was right, only the holder was not"
        else:
            genuine(self, session, denial)

    monkeypatch.setattr(sessions.Sessions, "_refuse", telling)
    with pytest.raises(AssertionError):
        test_attack_error_oracle_by_byte_or_by_time_class(7)


# -------------------------------------------------------------------------------------------- claim


def test_attack_claim_by_address_only() -> None:
    """Who knows where a new lock hangs, and no more: without the button nothing, with it nothing without the code."""
    site, factory = Site(source(11)), burn(11)
    lock = MemoryLock(factory, source(12))

    def say(connection: int, data: bytes) -> list[bytes]:
        if connection not in lock.said:
            lock.said[connection] = []
            lock.feed(RadioConnected(connection))
        before = len(lock.said[connection])
        lock.feed(RadioMessage(connection, data))
        return lock.said[connection][before:]

    thief = site.holder()
    assert say(1, write_e1(thief.public)) == [REFUSAL]
    lock.feed(ButtonPressed())  # the owner is about to claim it
    offer = say(2, write_e1(thief.public))
    e3, _ = site.enrol(claim_offer(offer[0]), bytes(16))  # a code that he does not have
    assert say(2, e3) == [REFUSAL]
    assert say(3, write_e3(b"no document", bytes(32))) == [REFUSAL]
    assert lock.lock is not None
    assert lock.lock.identity is None
