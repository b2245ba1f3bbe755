"""One gateway in an event loop: its keys in a file, its radio on the ether, its connection to the broker."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

from firmware_sim.core.events import BrokerDown as LinkDown
from firmware_sim.core.events import BrokerMessage as LinkMessage
from firmware_sim.core.events import BrokerUp as LinkUp
from firmware_sim.gateway.central import Central
from firmware_sim.gateway.core import PLACES, Gateway
from firmware_sim.gateway.events import (
    BrokerDown,
    BrokerUp,
    Connect,
    Event,
    FrameDown,
    FrameUp,
    HangUp,
    Say,
    Tick,
)
from firmware_sim.gateway.identity import GatewayKeys, broker_name, broker_topics
from firmware_sim.links.ble import static_address
from firmware_sim.links.login import Login
from firmware_sim.links.mqtt import MqttLink
from firmware_sim.links.mqtt_light import LightMqttLink
from lockserver.protocol.curve import public_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from firmware_sim.core.events import Event as LinkEvent
    from firmware_sim.gateway.events import Effect
    from firmware_sim.gateway.identity import GatewayIdentity
    from firmware_sim.links.mqtt import BrokerAddress
    from firmware_sim.links.radio import Ether, RadioController


class Station:
    """A gateway with everything around it. Out of its box it is nobody's: `offer`, then `adopt`."""

    def __init__(
        self, file: Path, ether: Ether, broker: BrokerAddress | None, *, places: int = PLACES
    ) -> None:
        self._file = file
        self.name = file.name.partition(".")[0]
        self._ether = ether
        self._broker = broker
        self.places = places
        self.keys = GatewayKeys.load(file) if file.exists() else GatewayKeys.make()
        self.keys.save(file)
        self.core: Gateway | None = None
        self.mqtt: MqttLink | LightMqttLink | None = None
        self.central: Central | None = None
        self._controller: RadioController | None = None
        self._attenuation = 0
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, house_id: bytes) -> dict[str, bytes]:
        """What its owner's phone carries to the server."""
        return self.keys.offer(house_id, int(time.time()))

    async def adopt(self, given: dict[str, str]) -> None:
        """Take the identity that the server answered, and begin to serve."""
        self.keys.adopt(given)
        self.keys.save(self._file)
        await self.power_on()

    @property
    def on(self) -> bool:
        """Whether it has power and an identity to serve with."""
        return self.core is not None

    @property
    def up(self) -> bool:
        """Whether the broker has accepted it."""
        return self.mqtt is not None and self.mqtt.up

    async def power_on(self) -> None:
        """Plug in. Without an identity it waits to be named."""
        identity = self.keys.identity
        if self.on or identity is None:
            return
        self.keys.boots += 1
        self.keys.save(self._file)
        self._since = time.monotonic()
        self.core = Gateway(identity, secrets.token_bytes, self.keys.boots, places=self.places)
        self._controller = self._ether.controller(self.name)
        address = static_address(b"gateway" + public_bytes(self.keys.signing))
        self.central = Central(self._controller, address, self.feed)
        self.central.attenuation = self._attenuation
        await self.central.start()
        if self._broker is not None:
            kind = LightMqttLink if self._broker.ca is None else MqttLink
            self.mqtt = kind(self._broker, self._from_broker)
            self.mqtt.login(_login(identity))

    async def kill(self) -> None:
        """Pull the plug: nothing is said to anybody."""
        self.core = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        mqtt, self.mqtt = self.mqtt, None
        central, self.central = self.central, None
        controller, self._controller = self._controller, None
        if mqtt is not None:
            mqtt.cut_network()
        if central is not None:
            central.abandon()
        if controller is not None:
            self._ether.forget(controller)
        if mqtt is not None:
            await mqtt.stop()

    async def close(self) -> None:
        """Switch off in good order."""
        self.core = None
        if self._timer is not None:
            self._timer.cancel()
        if self.mqtt is not None:
            await self.mqtt.stop()
        if self.central is not None:
            await self.central.stop()
        if self._controller is not None:
            self._ether.forget(self._controller)

    def deafen(self, decibels: int) -> None:
        """Stand so much further away from everything; from 127 on nothing is heard."""
        self._attenuation = decibels
        if self.central is not None:
            self.central.attenuation = decibels

    def feed(self, event: Event) -> None:
        """Let the gateway see an event and carry out what it does."""
        if self.core is None:
            return
        for effect in self.core.step(event, self._now()):
            self._carry_out(effect)
        self._set_timer()

    def state(self) -> dict[str, Any]:
        """What somebody who stands before it sees."""
        identity = self.keys.identity
        return {
            "name": self.name,
            "gateway_id": None if identity is None else identity.gateway_id.hex(),
            "on": self.on,
            "connected": self.up,
            "free": None if self.core is None else self.core.free,
            "attenuation": self._attenuation,
            "boots": self.keys.boots,
        }

    def _now(self) -> int:
        return round((time.monotonic() - self._since) * 1000)

    def _from_broker(self, event: LinkEvent) -> None:
        match event:
            case LinkUp():
                self.feed(BrokerUp())
            case LinkDown():
                self.feed(BrokerDown())
            case LinkMessage(data, retained):
                self.feed(FrameDown(data, retained=retained))
            case _:
                pass

    def _carry_out(self, effect: Effect) -> None:
        central = self.central
        match effect:
            case FrameUp(data) if self.mqtt is not None:
                self.mqtt.publish(data)
            case Connect(connection, tag) if central is not None:
                central.connect(connection, tag)
            case Say(connection, data) if central is not None:
                central.say(connection, data)
            case HangUp(connection) if central is not None:
                central.hang_up(connection)
            case _:
                pass

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = None if self.core is None else self.core.deadline()
        if due is not None:
            wait = max(due - self._now(), 1) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait, self.feed, Tick())


def _login(identity: GatewayIdentity) -> Login:
    down, up = broker_topics(identity)
    return Login(
        name=broker_name(identity),
        secret=lambda: identity.broker_secret,
        certificate=identity.certificate,
        key=identity.signing,
        down=down,
        up=up,
    )
