"""Locks without a network and two gateways that hear them: one that dies in the middle, one in an enemy's hands.

A gateway is the whole `firmware_sim.gateway.core.Gateway`, named by its owner's wish and driven as a station drives
it. What a frame for a lock goes through on its way into the hostile one stands in `WAYS`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from firmware_sim.gateway.core import Gateway
from firmware_sim.gateway.events import (
    BeaconHeard,
    BrokerDown,
    BrokerUp,
    Connect,
    FrameDown,
    FrameUp,
    HangUp,
    LockConnected,
    LockGone,
    LockSaid,
    Say,
    Tick,
)  # fmt: skip
from firmware_sim.gateway.identity import GatewayIdentity, GatewayKeys
from lockserver.app.accept_report import Carried
from lockserver.app.enrol_gateway import GatewayOffer, enrol_gateway
from lockserver.app.hear_gateway import gateway_gone, hear_gateway, seat_gateway
from lockserver.app.send_commands import try_other_ways
from lockserver.app.spend_owners_wish import Wished
from lockserver.domain.canonical import b64url
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.envelope import Envelope, Position, seal_report
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.gateway import (
    CarriedReport,
    CarryCommand,
    CarryFault,
    Handed,
    decode_down,
    encode_down,
    encode_up,
)  # fmt: skip
from lockserver.protocol.gatt import tag
from lockserver.protocol.handshake import PhoneHandshake
from lockserver.protocol.reports import Outcome, Result
from lockserver.protocol.wish import WishOperation
from tests.sim.memory.pausing import run
from tests.sim.plan import SECOND
from tests.sim.radio import Connection

if TYPE_CHECKING:
    from datetime import datetime

    from firmware_sim.gateway.events import Event
    from tests.sim.agenda import Entry
    from tests.sim.locks import LockActor
    from tests.sim.plan import Item
    from tests.sim.world import World

PROFILE: Final = "gateways"
#: What the hostile one does with what it is to carry.
WAYS: Final = ("pass", "pass", "drop", "repeat", "reorder", "hold", "elsewhere", "lie")
#: Milliseconds on the way between broker and gateway; between two looks at what is under way; held back.
HOP: Final = (1, 6)
LOOK_MS: Final = 500
HELD_MS: Final = (12 * SECOND, 240 * SECOND)
DARK_MS: Final = (2 * SECOND, 40 * SECOND)


class Line:
    """A gateway's end of a connection to a lock."""

    def __init__(self, gateway: GatewayActor, number: int, lock: LockActor) -> None:
        self._gateway, self._number, self._boot = gateway, number, gateway.keys.boots
        world = gateway.world
        world.visits += 1
        self.air = Connection(world, lock, self, world.visits)

    def heard(self, message: bytes) -> None:
        """The lock has said something."""
        self._tell(LockSaid(self._number, message))

    def hung_up(self) -> None:
        """The connection has ended."""
        self._tell(LockGone(self._number))

    def _tell(self, event: Event) -> None:
        if self._boot == self._gateway.keys.boots:
            self._gateway.feed(event)


class Try:
    """The hostile one before a lock with its own credential, and a wish of its own to come in."""

    def __init__(self, gateway: GatewayActor, lock: LockActor, raw: bytes, operation: Operation) -> None:
        self._gateway, self._raw, self._operation = gateway, raw, operation
        world = gateway.world
        assert lock.id is not None
        assert lock.lock is not None
        assert lock.lock.identity is not None
        key = private_key(gateway.dice.bytes)
        self._handshake = PhoneHandshake(lock.id.bytes, lock.lock.identity.signer.public, key)
        self._asked = False
        world.visits += 1
        self._air = Connection(world, lock, self, world.visits)
        self._air.say(self._handshake.hello())
        world.agenda.after(12 * SECOND, "it gives up", self._air.hang_up)

    def heard(self, message: bytes) -> None:
        """The lock has said something."""
        if self._asked:
            return
        try:
            self._handshake.receive_m2(message)
        except RemoteError:
            return
        self._asked = True
        self._gateway.world.weather.struck["gateway.asked"] += 1
        self._air.say(self._handshake.request(self._raw, self._operation, self._gateway.signer))

    def hung_up(self) -> None:
        """It has its answer, or none."""


class GatewayActor:
    """One gateway. What dies with the power: `core`, and its connections."""

    def __init__(self, world: World, name: str, *, hostile: bool) -> None:
        self.world, self.name, self.hostile = world, name, hostile
        self.dice = world.dice.of("gateway", name)
        self.keys = GatewayKeys.make(self.dice.bytes)
        self.identity: GatewayIdentity
        self.core: Gateway | None = None
        self.mortal = False
        """It will lose its power soon after the next errand."""
        self._lines: dict[int, Line] = {}
        self._loud = {lock.name: -self.dice.between(40, 90) for lock in world.locks}
        self._since = 0
        self._online = False
        self._tick: Any = None
        self._said: deque[bytes] = deque()
        self._dealing: int | None = None

    @property
    def id(self) -> UUID:
        """Its id at the server."""
        return UUID(bytes=self.identity.gateway_id)

    @property
    def signer(self) -> EcdsaSigner:
        """Its signing key."""
        return EcdsaSigner(self.keys.signing)

    # ---- power

    def power_on(self) -> None:
        """Plug in."""
        if self.core is None:
            self.keys.boots += 1
            self._since, self._online = self.world.agenda.ms, False
            self.core = Gateway(self.identity, self.dice.bytes, self.keys.boots)
            self.wake()

    def die(self) -> None:
        """The plug is pulled: nothing is said to anybody; the broker notices."""
        if self.core is None:
            return
        world = self.world
        world.weather.struck["gateway.dies"] += 1
        world.say(f"{self.name} dies")
        self.core, self.mortal = None, False
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.air.hang_up()
        bridge = world.bridge
        bridge.process.start("a gateway is gone", gateway_gone(bridge.bridging, self.id))
        world.agenda.after(self.dice.between(*DARK_MS), f"{self.name}: power", self.power_on)

    # ---- events and effects

    def feed(self, event: Event) -> None:
        """Let the gateway see an event, and carry out what it does."""
        if self.core is None:
            return
        for effect in self.core.step(event, self.world.agenda.ms - self._since):
            match effect:
                case FrameUp(data):
                    self.say(data)
                case Connect(number, wanted):
                    self.world.agenda.after(
                        self.dice.between(*HOP), "connects", partial(self._dial, number, wanted)
                    )
                case Say(number, data) if number in self._lines:
                    self._lines[number].air.say(data)
                case HangUp(number) if number in self._lines:
                    air = self._lines.pop(number).air
                    at = max(air._free_in, self.world.agenda.ms) + 1
                    self.world.agenda.at(at, "hangs up", air.hang_up)
        self._note_tick()

    def _dial(self, number: int, wanted: bytes) -> None:
        if self.core is None or number not in self.core._sessions:
            return
        lock = next(one for one in self.world.locks if one.id is not None and tag(one.id.bytes) == wanted)
        if lock.lock is None:
            self.feed(LockGone(number))
            return
        self._lines[number] = Line(self, number, lock)
        self.feed(LockConnected(number))

    def wake(self) -> None:
        """Look around: the broker, and every lock that advertises."""
        if self.core is None:
            return
        if self._online != self.world.broker.up:
            self._online = self.world.broker.up
            self.feed(BrokerUp() if self._online else BrokerDown())
        for lock in self.world.locks:
            if lock.lock is not None and lock.id is not None:
                self.feed(BeaconHeard(tag(lock.id.bytes), self._loud[lock.name]))
        self.feed(Tick())

    def _note_tick(self) -> None:
        due = None if self.core is None else self.core.deadline()
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if due is None or self.world.agenda.ms >= self.world.busy_until:
            return
        at = max(due + self._since, self.world.agenda.ms + 1)
        self._tick = self.world.agenda.at(at, f"{self.name}: tick", self.wake)

    # ---- the broker

    def say(self, data: bytes) -> None:
        """A frame for the bridge: taken in order, each before the next."""
        world = self.world
        fate = world.weather.fate("mqtt", world.agenda.ms)
        if not world.broker.up or (fate is not None and fate[0] in {"drop", "cut"}):
            return
        world.agenda.after(self.dice.between(*HOP), f"{self.name} says", partial(self._arrives, data))

    def _arrives(self, data: bytes) -> None:
        if self.world.broker.up and self.world.broker.bridge is not None:
            self._said.append(data)
            self._serve()

    def _serve(self) -> None:
        bridge = self.world.bridge
        boots = bridge.process.boots
        if not self._said or self._dealing == boots or not bridge.process.up:
            return
        self._dealing = boots

        def done(fault: Any) -> None:
            self._dealing = None
            if isinstance(fault, BaseException):
                self.world.machine.faults.append((f"frame of {self.name}", fault))
            self._serve()

        bridge.process.start("a gateway's frame", self._heard(self._said.popleft()), done)

    async def _heard(self, data: bytes) -> None:
        bridge = self.world.bridge
        try:
            carried = await hear_gateway(bridge.bridging, self.id, data)
        except RemoteError as error:
            self.world.refused_reports[error.code.word] += 1
            return
        if carried is not None:
            bridge.take_in(UUID(bytes=carried.lock_id), carried.box, Carried("gateway", self.id))

    def received(self, data: bytes) -> None:
        """A frame arrives."""
        self.wake()
        self.feed(FrameDown(data))

    # ---- in an enemy's hands

    def down(self, data: bytes) -> None:
        """The bridge's frame comes to whoever has this gateway."""
        world = self.world
        frame = decode_down(data)
        give = partial(self.received, data)
        if not isinstance(frame, CarryCommand):
            world.agenda.after(self.dice.between(*HOP), f"{self.name} hears", give)
            return
        world.weather.struck["gateway.carries"] += 1
        if self.mortal:
            world.agenda.after(self.dice.between(5, 700), f"{self.name} dies", self.die)
        way = self.dice.one(WAYS) if self.hostile and not world.healing else "pass"
        if way != "pass":
            world.weather.struck[f"gateway.{way}"] += 1
            world.say(f"{self.name}: {way}")
        if way in {"pass", "repeat"}:
            world.agenda.after(self.dice.between(*HOP), f"{self.name} hears", give)
        if way == "elsewhere":
            other = self.dice.one(world.locks).id
            assert other is not None
            strayed = replace(frame, lock_id=other.bytes, tag=tag(other.bytes))
            world.agenda.after(
                self.dice.between(*HOP), "elsewhere", partial(self.received, encode_down(strayed))
            )
        late = {"repeat": (1, 20 * SECOND), "reorder": (300, 3 * SECOND), "hold": HELD_MS}.get(way)
        if late is not None:
            self._later(frame, self.dice.between(*late))
        if way == "lie":
            self._lie(frame)

    def _later(self, frame: CarryCommand, ms: int) -> None:
        world = self.world
        errand = world.gateways.errand(frame.ref)
        if errand is not None:
            world.gateways.held[errand.command_id.bytes] = errand.until

        def bring() -> None:
            world.stir()
            self.received(encode_down(frame))

        world.agenda.after(ms, f"{self.name}: late", bring)

    def _lie(self, frame: CarryCommand) -> None:
        """Say that it was handed over, and forge the lock's word that it is done."""
        self.say(encode_up(Handed(frame.ref, CarryFault.HANDED_OVER)))
        errand = self.world.gateways.errand(frame.ref)
        if errand is None:
            return
        self.world.weather.struck["gateway.forges"] += 1
        result = Result(errand.command_id.bytes, Outcome.DONE, BoltState.UNLOCKED, 1)
        envelope = Envelope(frame.lock_id, Position(2**20, self.dice.between(1, 2**20)), result)
        report = public_bytes(self.world.site.report)
        sealed = seal_report(envelope, self.signer, report, private_key(self.dice.bytes))
        self.say(encode_up(CarriedReport(frame.lock_id, sealed)))


class Gateways:
    """All gateways of a world; none, but in one profile."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.all: list[GatewayActor] = []
        self._looking: Entry | None = None
        self.held: dict[bytes, datetime] = {}
        """Commands that a gateway kept for later, and until when each was good."""

    def settle(self) -> None:
        """The landlord names two gateways, and they begin."""
        if self._world.profile != PROFILE:
            return
        for name, hostile in (("gateway-1", False), ("gateway-2", True)):
            gateway = GatewayActor(self._world, name, hostile=hostile)
            self._name(gateway)
            self.all.append(gateway)
            gateway.power_on()
        self._look()

    def _name(self, gateway: GatewayActor) -> None:
        """The owner's wish over the gateway's own offer, at the issuer."""
        world, keys, house = self._world, gateway.keys, self._world.house_id
        offer = keys.offer(house.bytes, world.agenda.unix, gateway.dice.bytes)
        body = {"name": gateway.name, **{name: b64url(value) for name, value in offer.items()}}
        wished = world.landlord.phone.wished_body(WishOperation.NAME_GATEWAY, house.bytes, body)
        made = run(
            enrol_gateway(
                world.issuing,
                GatewayOffer(
                    world.landlord.holder_id, house, gateway.name, offer["sign_pub"], offer["ecdh_pub"],
                    offer["proof"], Wished(*wished),
                ),
            )
        )  # fmt: skip
        given = {
            "certificate": made.gateway.certificate, "broker_secret": made.broker_secret,
            "site_root": made.site_root, "key_set": made.key_set,
        }  # fmt: skip
        texts = {name: b64url(value or b"") for name, value in given.items()}
        gateway.identity = keys.adopt({"gateway_id": made.gateway.id.hex, **texts})

    def wake(self) -> None:
        """Something is going on again."""
        for gateway in self.all:
            gateway.wake()
        if self.all:
            self._look()

    def heal(self) -> None:
        """Every gateway has power, and is honest from now on (`down`)."""
        for gateway in self.all:
            gateway.mortal = False
            gateway.power_on()

    def down(self, gateway_id: bytes, frame: bytes) -> bool:
        """A frame from the bridge. False: it certainly left nobody's hands."""
        broker = self._world.broker
        if not broker.up or broker.bridge is None:
            return False
        for gateway in self.all:
            if gateway.identity.gateway_id == gateway_id and gateway.core is not None:
                gateway.down(frame)
        return True

    def changed(self, gateway_id: UUID) -> None:
        """The issuer has equipped one anew."""
        bridge = self._world.bridge
        if self.all:
            bridge.process.start("seats", seat_gateway(bridge.bridging, gateway_id))

    def errand(self, ref: bytes) -> Any:
        """The act behind an errand: the bridge knows, the gateway does not."""
        errands = self._world.bridge.bridging.carrying._errands.values()
        return next((one for one in errands if one.ref == ref), None)

    def _look(self) -> None:
        """The bridge's tick, while something goes on."""
        world = self._world
        world.bridge.process.start("tries other ways", try_other_ways(world.bridge.bridging))
        if self._looking is not None:
            self._looking.cancel()
        self._looking = None
        if world.agenda.ms < world.busy_until:
            self._looking = world.agenda.after(LOOK_MS, "other ways", self._look)


def dies(world: World, item: Item) -> None:
    """The honest gateway will lose its power while it carries; somebody wishes from afar."""
    from tests.sim import acts

    for gateway in world.gateways.all:
        gateway.mortal = not gateway.hostile
    acts.remote(world, item)


def asks(world: World, item: Item) -> None:
    """The hostile one shows its own credential at a door, and asks to be let in."""
    dice = world.dice.of("item", item.number)
    for gateway in [one for one in world.gateways.all if one.hostile]:
        lock = dice.one(world.locks)
        given = world.store.rows("gateway_credentials", gateway_id=gateway.id)
        raws = [one["raw"] for one in given if one["lock_id"] == lock.id]
        if raws and lock.lock is not None:
            Try(gateway, lock, raws[-1], dice.one((Operation.UNLOCK, Operation.UNLOCK, Operation.HOLD_OPEN)))


GATEWAYS: dict[str, Any] = {"gateway_dies": dies, "gateway_asks": asks}
