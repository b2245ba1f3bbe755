"""Who bends what is said: other versions, lengths, encodings, and fields that this version does not know.

A bender at a door is a tenant whose key is good; at the broker he may even have the site's own hand, as a server of
a later version would: what he says is signed, and bent. So nothing but the reader's strictness is in his way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockserver.protocol.carried import document_rows
from lockserver.protocol.codec import encode
from lockserver.protocol.cose import Kind, peek, sign1
from lockserver.protocol.curve import private_key, public_bytes, sha256
from lockserver.protocol.handshake import _PHONE_SIGNS, Event, _proof_body
from lockserver.protocol.limits import MAX_ENVELOPE
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from mobile_api.phone.errors import NoKeyError
from tests.sim.acts import dice_of, remote
from tests.sim.visits import Visit

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.people import PhoneActor
    from tests.sim.plan import Item
    from tests.sim.world import World

#: What is bent at a door; `straight` bends nothing: the same hand, and it opens.
AT_A_DOOR = (
    "version", "version 0", "long M1", "short M1", "tail", "five fields", "long head", "unknown claim",
    "credential's tail", "straight",
)  # fmt: skip
#: What is bent in a command.
IN_A_COMMAND = ("long box", "short box", "tail", "unknown field", "unknown in body", "long head")
BENT = "bent"
_UNKNOWN = 99
"""A field of no version so far, of those that may not be passed over."""


class Bent(Visit):
    """One attempt with a good key, of which one thing is bent."""

    def __init__(self, world: World, phone: PhoneActor, lock: LockActor, way: str) -> None:
        self.way = way
        assert lock.id is not None
        super().__init__(world, phone, lock, phone.bundle.door_key(lock.id.bytes), kind=BENT)

    def start(self) -> Visit:
        """Send M1, or what became of it. The transcript is over what was really said."""
        m1 = self._handshake.hello()
        if self.way.startswith("version"):
            m1 = m1[:1] + (b"\x02" if self.way == "version" else b"\x00") + m1[2:]
        elif self.way == "long M1":
            m1 += b"\x00"
        elif self.way == "short M1":
            m1 = m1[:-1]
        self._handshake._m1 = m1
        self._say(m1)
        self.world.agenda.after(self.patience, "patience", self._impatient)
        return self

    def _m2(self, message: bytes) -> None:
        self._handshake.receive_m2(message)
        self.intent = self.world.intends(self)
        self.asked = self.world.agenda.ms
        self._step = self._m4
        self._say(self._m3())

    def _m3(self) -> bytes:
        credential, shake = self.key.credential, self._handshake
        if self.way == "unknown claim":
            claims: Any = {**peek(credential), _UNKNOWN: 1}
            credential = sign1(Kind.EKEY, claims, self.world.site.issuer)
        elif self.way == "credential's tail":
            credential += b"\x00"
        body = _proof_body(credential, (), self.operation)
        proof = self.signer.sign(_PHONE_SIGNS + shake._th + sha256(body))
        said = encode([credential, document_rows(()), int(self.operation), proof])
        if self.way == "tail":
            said += b"\x00"
        elif self.way == "five fields":
            said = encode([credential, document_rows(()), int(self.operation), proof, 1])
        elif self.way == "long head":
            said = b"\x98\x04" + said[1:]
        m3 = b"\x03" + shake._seal(3, said)
        shake._advance(m3)
        shake._moved(Event.SEND_M3)
        return m3

    def _end(self, outcome: str) -> None:
        if not self.outcome and self.intent is not None and not self.intent.used:
            self.world.oracle.intents.remove(self.intent)  # nothing honest may be explained by it
        super()._end(outcome)


def bend(world: World, item: Item) -> None:
    """A tenant's phone of another version, or one that its holder has tampered with."""
    dice = dice_of(world, item)
    phones = [one for person in world.people.values() for one in person.phones if one.bundle.doors]
    phones = [one for one in phones if not one.lost]
    lock = dice.one(world.locks)
    if not phones or lock.lock is None:
        return
    try:
        visit = Bent(world, dice.one(phones), lock, dice.one(AT_A_DOOR))
    except NoKeyError:
        return
    world.weather.struck[f"radio.{visit.way}"] += 1
    visit.start()


def bend_command(world: World, item: Item) -> None:
    """The next commands come bent, and only so."""
    measure = dice_of(world, item).below(len(IN_A_COMMAND))
    world.broker.holding.insert(0, (world.agenda.ms + 60_000, "bend", measure))
    remote(world, item)


def deliver_bent(world: World, lock: LockActor, payload: bytes, measure: int) -> None:
    """Hand a command over as a bender leaves it."""
    way = IN_A_COMMAND[measure]
    held = None if lock.lock is None else lock.lock.held
    if held is None or lock.id is None:
        return
    world.weather.struck[f"broker.{way}"] += 1
    if way == "long box":
        payload += b"\x00"
    elif way == "short box":
        payload = payload[:-1]
    else:
        info = box_info(Box.COMMAND, lock.id.bytes)
        signed = _resigned(world, unseal(held.identity.ecdh, payload, info), way)
        random = world.dice.of("bent", world.agenda.ms, lock.name).bytes
        payload = seal(public_bytes(held.identity.ecdh), signed, info, private_key(random))
    world.agenda.after(5, BENT, lambda: lock.received(payload, why=BENT))


def _resigned(world: World, signed: bytes, way: str) -> bytes:
    """The same command, bent, under the site's own signature."""
    if way == "tail":
        return signed + b"\x00"
    fields: Any = peek(signed, limit=MAX_ENVELOPE)
    signer = world.site.command
    if way == "unknown field":
        return sign1(Kind.CMD, {**fields, _UNKNOWN: 1}, signer)
    if way == "unknown in body":
        return sign1(Kind.CMD, {**fields, 6: {**fields[6], _UNKNOWN: 1}}, signer)
    protected = encode({1: -7, 4: signer.kid})
    body = b"\xb8" + bytes([len(fields)]) + encode(fields)[1:]
    to_sign = encode(["Signature1", protected, Kind.CMD.value.encode(), body])
    return encode([protected, {}, body, signer.sign(to_sign)])


BENDS: dict[str, Any] = {"bend": bend, "bend_command": bend_command}
