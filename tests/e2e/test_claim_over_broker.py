"""A lock claimed over the broker: the same four messages, the same button, the same claim code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from firmware_sim.core.enrol import login_offer
from firmware_sim.core.events import ButtonPressed
from firmware_sim.links.login import factory_login
from lockserver.domain.canonical import b64url
from lockserver.mqtt.authorise import Granted
from lockserver.mqtt.link import BrokerAddress, BrokerLink, LinkLost
from lockserver.mqtt.offers import Offers
from lockserver.protocol.enrolment import write_e3
from lockserver.protocol.topics import enrol_down, enrol_up
from lockserver.run.roles import bridge as bridge_role
from tests.support.database import Database
from tests.support.doorway import Doorway, Person, SimLock, b64, doorway, unb64

pytestmark = [pytest.mark.e2e]


@pytest_asyncio.fixture
async def world(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Doorway]:
    monkeypatch.setattr(bridge_role, "BUTTON_S", 3.0)
    async with doorway(database, tmp_path) as made:
        yield made


async def ask(world: Doorway, who: Person, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = await world.http.post(f"/v1{path}", json=body, headers=who.headers, timeout=40)
    return answer.status_code, answer.json()


def waiting(world: Doorway, door_id: UUID) -> SimLock:
    """A lock out of its box, at the broker under its serial number."""
    lock = world.unpack(door_id)
    lock.link.login(factory_login(lock.driver.factory, world.services.random))
    return lock


async def offer(world: Doorway, who: Person, lock: SimLock) -> tuple[int, dict[str, Any]]:
    asked = {"serial": lock.driver.factory.serial, "owner_key": b64(who.signer.public)}
    return await ask(world, who, "/lock-offers", asked)


async def test_a_lock_is_claimed_over_the_broker(world: Doorway) -> None:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = waiting(world, gate.id)
    await lock.online()
    assert (await offer(world, owner, lock))[1]["code"] == "no_button"
    asking = asyncio.create_task(offer(world, owner, lock))
    await asyncio.sleep(0.5)
    lock.driver.feed(ButtonPressed())
    status, got = await asking
    assert status == 200, got
    claim = {
        "offer": got["offer"],
        "claim_code": b64(lock.driver.factory.claim_code),
        "door_id": str(gate.id),
    }
    status, made = await ask(world, owner, "/locks", claim)
    assert status == 201, made
    e3 = write_e3(unb64(made["document"]), unb64(made["mac"]))
    serial = lock.driver.factory.serial
    status, report = await ask(world, owner, f"/lock-offers/{serial}/enrol", {"e3": b64(e3)})
    assert status == 200, report
    status, shown = await ask(world, owner, f"/locks/{made['lock_id']}/enrolled", report)
    assert (status, shown["state"]) == (200, "active")
    lock.id = UUID(made["lock_id"])
    await world.sync(owner)
    async with asyncio.timeout(10):
        while not world.database.execute("SELECT 1 FROM lock_status WHERE connected"):
            await asyncio.sleep(0.05)
    assert (await world.unlock(owner, lock)).status_code == 200


async def test_only_a_landlord_with_that_phone_may_ask(world: Doorway) -> None:
    owner, stranger = await world.person(), await world.person()
    gate, _ = await world.house(owner)
    lock = waiting(world, gate.id)
    assert (await offer(world, stranger, lock))[1]["code"] == "not_found"
    asked = {"serial": lock.driver.factory.serial, "owner_key": b64(stranger.signer.public)}
    assert (await ask(world, owner, "/lock-offers", asked))[1]["code"] == "phone_unknown"


async def test_a_document_under_another_claim_code_is_refused_by_the_lock(world: Doorway) -> None:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = waiting(world, gate.id)
    await lock.online()
    lock.driver.feed(ButtonPressed())
    _, got = await offer(world, owner, lock)
    claim = {"offer": got["offer"], "claim_code": b64(bytes(16)), "door_id": str(gate.id)}
    _, made = await ask(world, owner, "/locks", claim)
    e3 = write_e3(unb64(made["document"]), unb64(made["mac"]))
    status, answer = await ask(
        world, owner, f"/lock-offers/{lock.driver.factory.serial}/enrol", {"e3": b64(e3)}
    )
    assert (status, answer["code"]) == (422, "claim_refused")
    assert lock.driver.lock is not None
    assert lock.driver.lock.identity is None


async def admitted(
    world: Doorway, name: str, password: bytes, heard: list[bytes] | None = None
) -> BrokerLink | None:
    """A connection under this name, or None."""
    address = BrokerAddress("127.0.0.1", world.nats.mqtt_port, name, name, b64url(password))
    kept = [] if heard is None else heard
    link = BrokerLink(address, lambda _topic, payload, _retained: kept.append(payload))
    try:
        await link.connect()
    except LinkLost:
        return None
    return link


async def test_a_lock_without_identity_proves_its_factorys_key(world: Doorway) -> None:
    """Its own, for its own serial, and not with what an enrolment has shown to others."""
    owner = await world.person()
    gate, _ = await world.house(owner)
    a, b = world.unpack(gate.id), world.unpack(gate.id)
    one, other = a.driver.factory, b.driver.factory
    proof = login_offer(one, world.services.random)
    enrolling = world.offer(a, owner.signer.public)
    for name, password in (
        (f"factory-{other.serial}", proof),  # another's serial
        (f"factory-{one.serial}", enrolling),  # an offer that phone and server have seen
        (f"factory-{one.serial}", proof[:-1] + bytes([proof[-1] ^ 1])),
        (f"factory-{one.serial}", b""),
        ("factory-*", proof),
        (f"factory-{one.serial}.>", proof),
    ):
        assert await admitted(world, name, password) is None, name
    link = await admitted(world, f"factory-{one.serial}", proof)
    assert link is not None
    await link.close()


async def trespass(world: Doorway, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """One lock out of its box speaks and listens for another; what succeeded."""
    owner = await world.person()
    gate, _ = await world.house(owner)
    a, b = world.unpack(gate.id), world.unpack(gate.id)
    told: list[tuple[str, bytes]] = []
    monkeypatch.setattr(Offers, "heard", lambda _self, serial, payload: told.append((serial, payload)))
    mine, theirs = a.driver.factory.serial, b.driver.factory.serial
    name = f"factory-{mine}"
    heard: list[bytes] = []
    proof = login_offer(a.driver.factory, world.services.random)
    link = await admitted(world, name, proof, heard)
    for topic in (f"e/{theirs}/down", "e/+/down", "l/+/+/down/#", "#", f"e/{mine}/down"):
        if link is None or link.lost.is_set():
            link = await admitted(world, name, proof, heard)
        assert link is not None
        with suppress(LinkLost):
            await link.subscribe([topic])
    assert link is not None
    link.publish(enrol_up(theirs), b"forged")
    if link.lost.is_set():
        link = await admitted(world, name, proof, heard)
        assert link is not None
    link.publish(enrol_up(mine), b"honest")
    server = BrokerLink(world.bridge_address(), lambda *_: None)
    await server.connect()
    server.publish(enrol_down(theirs), b"for b")
    server.publish(enrol_down(mine), b"for a")
    async with asyncio.timeout(10):  # what is in order came; whatever else was to come has come
        while (mine, b"honest") not in told or b"for a" not in heard:
            await asyncio.sleep(0.02)
            link.publish(enrol_up(mine), b"honest")
            server.publish(enrol_down(mine), b"for a")
    await server.close()
    await link.close()
    spoke = {"publish"} if (theirs, b"forged") in told else set()
    return spoke | ({"subscribe"} if b"for b" in heard else set())


async def test_L18_a_lock_without_identity_is_only_itself(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await trespass(world, monkeypatch) == set()


async def test_L18_mutant_permissions_of_all_that_enrol(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Granted, "permissions", property(lambda _self: (["e.>"], ["e.>"])))
    assert "publish" in await trespass(world, monkeypatch)
