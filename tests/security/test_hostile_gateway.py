"""L-19, L-15, L-16, L-22 with a gateway in an enemy's hands: it denies service, and opens nothing.

It has a name at the broker, a credential to carry with, and every sealed box that passes: it may drop, hold back,
repeat, reorder, carry to another lock, and say what it likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from firmware_sim.core import server as firmware
from firmware_sim.gateway.events import Event, FrameDown
from firmware_sim.gateway.station import Station
from lockserver.app import accept_report
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.commands import Command as WireCommand
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.envelope import Envelope, Position, read_signed_report, seal_report
from lockserver.protocol.gateway import (
    CarriedReport,
    CarryCommand,
    CarryFault,
    Handed,
    decode_down,
    encode_down,
    encode_up,
)
from lockserver.protocol.gatt import tag
from lockserver.protocol.reports import Outcome, Result
from tests.support.database import Database
from tests.support.doorway import Person, SimLock
from tests.support.gateways import Lane, lane
from tests.support.wiretap import count_moves

pytestmark = [pytest.mark.e2e]

SHORT = 4


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Lane]:
    async with lane(database, tmp_path) as made:
        yield made


class Bent:
    """A gateway whose owner is not its own: `way` decides what of a frame reaches its honest half."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.kept: list[CarryCommand] = []
        self.way: Callable[[CarryCommand], list[CarryCommand]] = lambda errand: [errand]
        self._feed = station.feed
        station.feed = self.feed  # type: ignore[method-assign]

    def feed(self, event: Event) -> None:
        if isinstance(event, FrameDown):
            frame = decode_down(event.data)
            if isinstance(frame, CarryCommand):
                self.kept.append(frame)
                for errand in self.way(frame):
                    self.give(errand)
                return
        self._feed(event)

    def give(self, errand: CarryCommand) -> None:
        self._feed(FrameDown(encode_down(errand)))

    def say(self, frame: Any) -> None:
        assert self.station.mqtt is not None
        self.station.mqtt.publish(encode_up(frame))


async def bent_door(world: Lane) -> tuple[Person, SimLock, Bent]:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.ble_lock(owner, gate)
    await world.sync(owner)
    bent = Bent(await world.gateway(owner, gate.house_id))
    await world.heard(lock)
    return owner, lock, bent


def state(world: Lane) -> tuple[str, bool]:
    ((found, proved),) = world.database.execute(
        "SELECT state, evidence IS NOT NULL FROM commands ORDER BY id DESC LIMIT 1"
    )
    return found, proved


def acts(bent: Bent) -> list[CarryCommand]:
    """What may have been a command to open: the longest boxes, since they carry wish and credential."""
    longest = max(len(one.box) for one in bent.kept)
    return [one for one in bent.kept if len(one.box) == longest]


# ---- L-16: repeated


async def repeated(world: Lane, monkeypatch: pytest.MonkeyPatch) -> int:
    """The gateway gives each box again: at once, later, in another order, after a power cut."""
    owner, lock, bent = await bent_door(world)
    moves = count_moves(lock, monkeypatch)
    bent.way = lambda errand: [errand, errand]
    await world.unlock(owner, lock)
    for errand in [*reversed(bent.kept), *bent.kept]:
        bent.give(errand)
    await asyncio.sleep(0.5)
    lock.driver.power_off()
    lock.driver.power_on()
    for errand in bent.kept:
        bent.give(errand)
    await asyncio.sleep(2)
    return len(moves)


async def test_L16_a_gateway_that_repeats_and_reorders_opens_once(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await repeated(world, monkeypatch) == 1
    assert state(world) == ("done", True)


async def test_L16_mutant_a_lock_without_a_memory_behind_a_gateway(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(self: firmware.Server, held: Any, command: WireCommand, reply: Any) -> None:
        held.counter = 0
        self._judge(held, command, reply)

    monkeypatch.setattr(firmware.Server, "_act", forgetful)
    monkeypatch.setattr("firmware_sim.core.wishes.Wishes.read", _any_wish)
    assert await repeated(world, monkeypatch) > 1


def _any_wish(_self: object, raw: bytes, credential: Any, *_: object) -> object:
    from lockserver.protocol.wish import read_wish

    return read_wish(raw, credential.claims.holder_public)


# ---- L-15: late


async def late(world: Lane, monkeypatch: pytest.MonkeyPatch) -> int:
    """The gateway holds a command back past its deadline, says that it was handed over, and then brings it."""
    owner, lock, bent = await bent_door(world)
    assert (await world.unlock(owner, lock)).status_code == 200  # the session stands, the clock is attested
    moves = count_moves(lock, monkeypatch)
    bent.kept.clear()
    bent.way = lambda _errand: []
    answer = await world.unlock(owner, lock, owner.wish(lock.id, life=SHORT))
    assert (answer.status_code, answer.json()["state"]) == (202, "unknown")  # not "done", whatever it says
    bent.way = lambda errand: [errand]
    for errand in list(bent.kept):
        bent.give(errand)
    async with asyncio.timeout(15):
        while state(world)[0] == "unknown":
            await asyncio.sleep(0.1)
    return len(moves)


async def test_L15_a_command_that_a_gateway_held_back_never_opens(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await late(world, monkeypatch) == 0
    assert state(world) == ("expired", True)  # by the lock's own signed word


async def test_L15_mutant_a_lock_that_believes_any_deadline(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(_self: object, _held: object, command: WireCommand) -> float:
        return float((command.not_after or 0) - 1)

    monkeypatch.setattr(firmware.Server, "_deadline_kept", careless)
    monkeypatch.setattr("firmware_sim.core.wishes.Wishes.read", _any_wish)
    assert await late(world, monkeypatch) > 0


# ---- L-19: to another lock, with words of its own


async def elsewhere(world: Lane, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """The gateway brings one door's command to the other door; the openings of both."""
    owner = await world.person()
    gate, (room,) = await world.house(owner)
    meant, other = await world.ble_lock(owner, gate), await world.ble_lock(owner, room)
    await world.sync(owner)
    bent = Bent(await world.gateway(owner, gate.house_id))
    await world.heard(meant)
    await world.heard(other)
    moves = count_moves(meant, monkeypatch), count_moves(other, monkeypatch)
    bent.way = lambda errand: [replace(errand, lock_id=other.id.bytes, tag=tag(other.id.bytes))]
    answer = await world.unlock(owner, meant, owner.wish(meant.id, life=SHORT))
    assert answer.json()["state"] != "done"
    return len(moves[0]), len(moves[1])


async def test_L19_a_gateway_that_carries_to_another_lock_opens_neither(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await elsewhere(world, monkeypatch) == (0, 0)


async def forged(world: Lane, believe: Callable[[bytes], None] = lambda _key: None) -> tuple[str, bool]:
    """The gateway keeps the command, says that it was handed over, and forges the lock's "done"."""
    owner, lock, bent = await bent_door(world)
    bent.way = lambda _errand: []
    key = EcdsaSigner(private_key(world.services.random))
    believe(key.public)
    report_public = public_bytes(world.bridge_keys.report.private)

    async def lie() -> None:
        while not (found := world.database.execute("SELECT id FROM commands WHERE state = 'sent'")):
            await asyncio.sleep(0.05)
        ((command_id,),) = found
        for errand in list(bent.kept):
            bent.say(Handed(errand.ref, CarryFault.HANDED_OVER))
        result = Result(UUID(str(command_id)).bytes, Outcome.DONE, BoltState.UNLOCKED, 1)
        for seq in range(1, 4):
            position = Position(2**20, seq)
            envelope = Envelope(lock.id.bytes, position, result)
            sealed = seal_report(envelope, key, report_public, private_key(world.services.random))
            bent.say(CarriedReport(lock.id.bytes, sealed))
            await asyncio.sleep(0.2)

    lying = asyncio.create_task(lie())
    answer = await world.unlock(owner, lock, owner.wish(lock.id, life=SHORT))
    await lying
    assert lock.openings == 0
    return answer.json().get("state", ""), state(world)[1]


async def test_L22_a_gateways_word_makes_nothing_done(world: Lane) -> None:
    assert await forged(world) == ("unknown", False)


async def test_L22_mutant_a_bridge_that_asks_for_no_signature(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = read_signed_report

    def believe(key: bytes) -> None:
        """Whoever signed it: the gateway, here."""
        monkeypatch.setattr(
            accept_report, "read_signed_report", lambda data, lock_id, _lock: honest(data, lock_id, key)
        )

    assert await forged(world, believe) == ("done", True)
