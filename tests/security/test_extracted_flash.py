"""L-13: one lock's flash, read out to the last byte, opens no other lock and mints no credential."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware_sim.core.flash import Flash
from firmware_sim.core.identity import Identity, load_identity
from lockserver.protocol.codec import decode
from lockserver.protocol.commands import ActBody, Command, CommandKind
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.documents import Trust
from lockserver.protocol.envelope import seal_command
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.handshake import Attempt, LockHandshake, PhoneHandshake
from tests.support.site import Enrolled, Holder
from tests.unit.firmware_sim.desk import Desk


@dataclass
class Neighbour(Desk):
    """A second lock of the first one's site."""

    beside: Desk | None = None
    seed: int = 70

    def _enrol(self) -> Enrolled:
        assert self.beside is not None
        self.site = self.beside.site
        return super()._enrol()


def extracted(desk: Desk) -> tuple[Identity, list[EcdsaSigner]]:
    """What a thief reads from the chip: the identity, and every 32 bytes in it that could be a key."""
    flash = Flash(desk.lock.medium)
    identity = load_identity(flash)
    assert identity is not None
    row = decode(flash.get("identity") or b"")
    assert isinstance(row, list)
    scalars = [field for field in row if isinstance(field, bytes) and len(field) == 32]
    assert len(scalars) >= 4, "two private keys, a broker secret, a door seed"
    curve = ec.SECP256R1()
    return identity, [
        EcdsaSigner(ec.derive_private_key(int.from_bytes(one, "big"), curve)) for one in scalars
    ]


def robbed() -> tuple[Desk, Neighbour]:
    desk = Desk()
    tenant = desk.site.holder()
    desk.broker_up()
    desk.deliver(desk.site.documents(desk.enrolled, desk.site.revocation(desk.enrolled)))
    assert desk.open(tenant, desk.site.credential(desk.enrolled, tenant)) is not None
    return desk, Neighbour(beside=desk)


def tries(desk: Desk, other: Neighbour) -> int:
    """How often the neighbour opens for who holds everything that the first lock held."""
    _, keys = extracted(desk)
    thief = Holder(private_key(secrets.token_bytes), secrets.token_bytes(16))
    other.broker_up()
    before = other.openings
    for counter, key in enumerate(keys, 1):
        minted = issue_credential(desk.site.claims(other.enrolled, thief), key)
        other.open(thief, minted)
        body = ActBody(desk.site.wish(other.enrolled, thief), minted)
        act = Command(secrets.token_bytes(16), CommandKind.UNLOCK, body, counter, desk.site.now + 15)
        for by in keys:
            ephemeral = private_key(secrets.token_bytes)
            lock = other.enrolled
            other.deliver(seal_command(act, lock.lock_id, lock.ecdh_public, by, ephemeral))
    return other.openings - before


def test_L13_the_whole_flash_of_one_lock_opens_no_other() -> None:
    assert tries(*robbed()) == 0


def test_L13_it_holds_no_key_that_the_site_signs_with() -> None:
    desk, other = robbed()
    identity, keys = extracted(desk)
    secret = {one.public for one in keys}
    site = desk.site
    assert not secret & {site.root.public, site.issuer.public, site.commander.public}
    assert not secret & {other.enrolled.sign_public, other.enrolled.ecdh_public}
    assert identity.door_seed != _identity(other).door_seed
    assert identity.broker_secret != other.enrolled.broker_secret


def test_L13_as_the_neighbour_it_gets_no_credential() -> None:
    """A fake door with the stolen keys stands where the neighbour was: the phone says nothing to it."""
    desk, other = robbed()
    phone = PhoneHandshake(
        other.enrolled.lock_id, other.enrolled.sign_public, private_key(secrets.token_bytes)
    )
    m2 = desk.say(desk.connect(), phone.hello())
    with pytest.raises(RemoteError) as refused:
        phone.receive_m2(m2[0])
    assert refused.value.code is Denial.BAD_SIGNATURE


def test_L13_mutant_a_site_whose_locks_share_a_key_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the locks of a site to trust one key that each of them holds, one flash would open them all."""
    desk, other = robbed()
    shared = tuple(key.public for key in extracted(desk)[1])
    receive = LockHandshake.receive

    def trusting(self: LockHandshake, m3: bytes, trust: Trust) -> Attempt:
        return receive(self, m3, replace(trust, key_set=replace(trust.key_set, issuer_keys=shared)))

    monkeypatch.setattr(LockHandshake, "receive", trusting)
    assert tries(desk, other) > 0


def _identity(desk: Desk) -> Identity:
    found = load_identity(Flash(desk.lock.medium))
    assert found is not None
    return found
