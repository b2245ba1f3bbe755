"""Who has read out a lock's whole flash, and uses everything that is in it against the other locks and the site."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firmware_sim.core.flash import Flash
from firmware_sim.core.identity import load_identity
from firmware_sim.links.memory import MemoryMedium
from lockserver.protocol.commands import ActBody, Command, CommandKind
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.envelope import Envelope, Position, seal_command, seal_report
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.reports import TimeRequest
from lockserver.protocol.sealed import Box, box_info, unseal
from lockserver.protocol.wish import Wish, WishOperation, sign_wish
from mobile_api.phone.door import DoorKey
from tests.sim.acts import dice_of
from tests.sim.neighbours import admit
from tests.sim.visits import Visit

if TYPE_CHECKING:
    from firmware_sim.core.identity import Identity
    from tests.sim.chance import Chance
    from tests.sim.locks import LockActor
    from tests.sim.plan import Item
    from tests.sim.world import World

SPILLED = "read out"
#: Milliseconds between two things that he tries, and how often he goes round.
PACE_MS = 1_500
ROUNDS = 2


class Thief(Visit):
    """He shows a key that he has minted himself with a key out of the flash, for another door."""

    def _m2(self, message: bytes) -> None:
        if self._handshake.receive_m2(message) is not None:
            m3 = self._handshake.request(self.key.credential, self.operation, self.signer, ())
            self._step = self._m4
            self._say(m3)


def read_out(lock: LockActor) -> Identity | None:
    """Every secret in the medium's bytes, as somebody with a soldering iron finds them."""
    medium = MemoryMedium(bank=bytearray(lock.medium.bank), other=bytearray(lock.medium.other))
    return load_identity(Flash(medium))


def spill(world: World, item: Item) -> None:
    """Somebody unscrews one lock, copies its flash and puts it back; from then on he tries what he found."""
    dice = dice_of(world, item)
    stolen = dice.one(world.locks)
    found = read_out(stolen)
    if found is None or stolen.id is None:
        return
    world.weather.struck["flash.read"] += 1
    world.say(f"{stolen.name}: somebody reads out its flash")
    others = [one for one in world.locks if one is not stolen]
    at = world.agenda.ms
    for _ in range(ROUNDS):
        for lock in others:
            for way in (_mint, _command, _report, _listen, _log_in, _same_secrets):
                at += PACE_MS
                world.agenda.at(at, SPILLED, _try(way, world, dice, found, lock))


def _try(way: Any, world: World, dice: Chance, found: Identity, lock: LockActor) -> Any:
    def go() -> None:
        if lock.id is not None and lock.lock is not None and lock.lock.held is not None and not world.healing:
            world.weather.struck[f"flash.{way.__name__.strip('_')}"] += 1
            way(world, dice, found, lock)

    return go


class _As:
    """Signs with one key under the name of another."""

    def __init__(self, signer: EcdsaSigner, kid: bytes) -> None:
        self.kid = kid
        self.public = signer.public
        self.sign = signer.sign


def _minted(world: World, dice: Chance, found: Identity, lock: LockActor) -> bytes | None:
    """A key for another door, as like a real one as can be, to the thief's own key."""
    assert lock.id is not None
    keys = list(world.oracle.keys.values())
    if not keys:
        return None
    real = next((one for one in keys if one.lock_id == lock.id.bytes), keys[0])
    now, signer = world.agenda.unix, EcdsaSigner(found.signing)
    claims = replace(
        real.claims, cti=dice.bytes(16), lock_id=lock.id.bytes, holder_public=signer.public,
        nbf=now - 60, exp=now + 3_600, iat=now,
    )  # fmt: skip
    world.harm.minted.add(claims.cti)
    return issue_credential(claims, _As(signer, world.site.issuer.kid) if dice.happens(0.5) else signer)


def _mint(world: World, dice: Chance, found: Identity, lock: LockActor) -> None:
    """He stands at another door with a key of his own making."""
    credential = _minted(world, dice, found, lock)
    assert lock.id is not None
    assert lock.lock is not None
    identity = lock.lock.identity
    if credential is None or identity is None:
        return
    key = DoorKey(lock.id.bytes, identity.signer.public, credential)
    signer = EcdsaSigner(found.signing)
    Thief(world, world.landlord.phone, lock, key, signer=signer, own=False, kind=SPILLED).start()


def _command(world: World, dice: Chance, found: Identity, lock: LockActor) -> None:
    """He commands another lock, as if he were the site."""
    credential = _minted(world, dice, found, lock)
    assert lock.id is not None
    assert lock.lock is not None
    held, lock_id = lock.lock.held, lock.id.bytes
    if credential is None or held is None:
        return
    signer, until = EcdsaSigner(found.signing), world.agenda.unix + 15
    wish = sign_wish(Wish(dice.bytes(16), lock_id, WishOperation.UNLOCK, until), signer)
    body = ActBody(wish, credential)
    command = Command(dice.bytes(16), CommandKind.UNLOCK, body, held.counter + 1, until)
    hand = _As(signer, world.site.command.kid) if dice.happens(0.5) else signer
    to = public_bytes(held.identity.ecdh)
    lock.received(seal_command(command, lock_id, to, hand, private_key(dice.bytes)), why=SPILLED)


def _report(world: World, dice: Chance, found: Identity, lock: LockActor) -> None:
    """He reports in another lock's name."""
    assert lock.id is not None
    assert lock.lock is not None
    assert lock.lock.held is not None
    boot = 900_000 + dice.below(90_000)
    envelope = Envelope(lock.id.bytes, Position(boot, 1), TimeRequest(dice.bytes(8)))
    to = lock.lock.held.trust.key_set.report_key
    world.harm.forged.add((lock.id, boot))
    world.broker.hand_up(
        lock.id, seal_report(envelope, EcdsaSigner(found.signing), to, private_key(dice.bytes))
    )


def _listen(world: World, dice: Chance, found: Identity, lock: LockActor) -> None:
    """He opens what the broker saw on its way to another lock."""
    del dice
    for lock_id, payload in world.broker.commands:
        if lock_id == lock.id:
            try:
                unseal(found.ecdh, payload, box_info(Box.COMMAND, lock_id.bytes))
            except RemoteError:
                continue
            world.harm.spilled.append(f"what the site says to {lock.name} is read with another's key")


def _log_in(world: World, dice: Chance, found: Identity, lock: LockActor) -> None:
    """He goes to the broker as another lock."""
    del dice
    assert lock.id is not None
    if admit(world, lock.id.hex, lock.id.hex, found.broker_secret) is not None:
        world.harm.spilled.append(f"the broker lets him in as {lock.name}")


def _same_secrets(world: World, dice: Chance, found: Identity, lock: LockActor) -> None:
    """He compares: is anything that is secret in one lock in another, too?"""
    del dice
    other = read_out(lock)
    if other is not None and {*_secrets(found)} & {*_secrets(other)}:
        world.harm.spilled.append(f"a secret of {lock.name} is in another lock, too")


def _secrets(one: Identity) -> tuple[bytes, ...]:
    return (public_bytes(one.signing), public_bytes(one.ecdh), one.broker_secret, one.door_seed)


SPILLS: dict[str, Any] = {"spill": spill}
