"""A broker in an enemy's hands: it sees what passes, holds it back, repeats it, plants and forges."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from firmware_sim.links.drive import Mechanics
from lockserver.domain.canonical import b64url
from lockserver.mqtt.bridge import Bus
from lockserver.mqtt.link import BrokerAddress, BrokerLink
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.topics import command_topic, lock_name, report_topic
from tests.support.doorway import Doorway, SimLock


@dataclass
class Wiretap:
    """Stands between bridge and broker. While `holding`, nothing goes down, and the bridge thinks it did."""

    down: list[tuple[bytes, bytes]] = field(default_factory=list)
    holding: bool = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        publish = Bus.publish
        tap = self

        def tapped(bus: Bus, lock_id: bytes, envelope: bytes) -> bool:
            tap.down.append((lock_id, envelope))
            return True if tap.holding else publish(bus, lock_id, envelope)

        monkeypatch.setattr(Bus, "publish", tapped)


async def as_bridge(world: Doorway) -> BrokerLink:
    """A connection with the bridge's own password: a hostile bridge, or whoever stole it."""
    link = BrokerLink(world.bridge_address(), lambda *_: None)
    await link.connect()
    return link


async def as_lock(world: Doorway, lock: SimLock, heard: list[bytes]) -> BrokerLink:
    """A connection with the lock's own broker secret: it opens the broker, and no signature."""
    assert lock.driver.lock is not None
    assert lock.driver.lock.identity is not None
    identity = lock.driver.lock.identity
    name = lock_name(identity.lock_id)
    address = BrokerAddress("127.0.0.1", world.nats.mqtt_port, name, name, b64url(identity.broker_secret))
    link = BrokerLink(address, lambda _topic, payload, _retained: heard.append(payload))
    await link.connect()
    await link.subscribe([command_topic(identity.lock_id)])
    return link


def plant(link: BrokerLink, lock_id: UUID, envelope: bytes, *, retain: bool = False) -> None:
    """Publish on a lock's command topic, retained if asked for."""
    link._client.publish(command_topic(lock_id.bytes), envelope, qos=0, retain=retain)
    link._flush()


def forge(link: BrokerLink, lock_id: UUID, report: bytes) -> None:
    """Publish on a lock's report topic."""
    link.publish(report_topic(lock_id.bytes), report)


def count_moves(lock: SimLock, monkeypatch: pytest.MonkeyPatch) -> list[BoltState]:
    """Every order to the motor to open, whether or not the bolt stood open already."""
    ordered: list[BoltState] = []
    mechanics = lock.driver.mechanics
    move = type(mechanics).move

    def counted(self: Mechanics, to: BoltState) -> BoltState:
        if self is mechanics and to is BoltState.UNLOCKED:
            ordered.append(to)
        return move(self, to)

    monkeypatch.setattr(type(mechanics), "move", counted)
    return ordered


async def quiet(lock: SimLock, seconds: float = 0.5) -> None:
    """Give whatever is on its way the time to arrive."""
    await asyncio.sleep(seconds)


def token() -> bytes:
    return secrets.token_bytes(16)
