"""Locks without a broker of their own and gateways that carry for them: bumble's radio, NATS, everything else real."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from firmware_sim.gateway.station import Station
from firmware_sim.links.ble import BleLink, Peripheral, static_address
from firmware_sim.links.drive import Driver
from firmware_sim.links.radio import Ether, RadioController
from lockserver.domain.canonical import dumps
from lockserver.domain.house import Door
from lockserver.protocol.wish import Wish, WishOperation, digest_of, sign_wish
from tests.support.database import Database
from tests.support.doorway import Doorway, Person, SimLock, b64, doorway


def wished(person: Person, operation: WishOperation, target: UUID, body: dict[str, Any]) -> dict[str, Any]:
    """A body under its owner's wish, as a phone sends it."""
    salt = secrets.token_bytes(16)
    import time

    wish = Wish(
        secrets.token_bytes(16), target.bytes, operation, int(time.time()) + 60,
        {"of": digest_of(salt, dumps(body))},
    )  # fmt: skip
    return body | {"salt": b64(salt), "wish": b64(sign_wish(wish, person.signer))}


class OnAir:
    """A lock's radio on the ether."""

    def __init__(self, ether: Ether, driver: Driver, name: str) -> None:
        self.link = BleLink(driver.feed)
        self.controller: RadioController = ether.controller(name)
        self.link.attach(Peripheral.beside(self.controller, name, static_address(name.encode()), self.link))


class Lane(Doorway):
    """A doorway whose locks may live on the radio alone."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        self.ether = Ether()
        self.stations: list[Station] = []
        self.airs: list[OnAir] = []

    async def close(self) -> None:
        for station in self.stations:
            await station.close()
        for lock in self.locks:
            lock.driver.power_off()
        for air in self.airs:
            await air.link.stop()
            self.ether.forget(air.controller)
        await super().close()
        await self.ether.close()

    async def gateway(self, owner: Person, house_id: UUID, *, places: int = 2, near: int = 0) -> Station:
        """A new gateway, named by the owner, on air and at the broker."""
        name = f"gw{len(self.stations) + 1}"
        station = Station(
            self.folder / "gateways" / f"{name}.gateway.json", self.ether, self.lock_broker(), places=places
        )
        station.deafen(near)
        self.stations.append(station)
        answer = await self.name_gateway(owner, house_id, station)
        assert answer.status_code == 201, answer.text
        await station.adopt(answer.json())
        async with asyncio.timeout(10):
            while not station.up:
                await asyncio.sleep(0.02)
        return station

    async def name_gateway(
        self, owner: Person, house_id: UUID, station: Station, **changes: Any
    ) -> Any:  # an httpx answer
        offer = {name: b64(value) for name, value in station.offer(house_id.bytes).items()}
        body = {"name": station.name, **offer} | changes
        sent = wished(owner, WishOperation.NAME_GATEWAY, house_id, body)
        return await self.http.post(f"/v1/houses/{house_id}/gateways", json=sent, headers=owner.headers)

    async def ble_lock(self, owner: Person, door: Door) -> SimLock:
        """A lock in service that has no network: claimed by hand, then on air, its broker out of reach."""
        lock = self.unpack(door.id)
        lock.link.cut_network()
        answer = await self.claim(owner, lock)
        assert answer.status_code == 200, answer.text
        air = OnAir(self.ether, lock.driver, lock.driver.factory.serial)
        self.airs.append(air)
        lock.driver.radio = air.link
        lock.driver.power_off()
        lock.driver.power_on()
        await air.link.start()
        return lock

    async def heard(self, lock: SimLock, gateways: int = 1, within: float = 15) -> None:
        """Wait until so many gateways reach the lock, as the bridge's own rows say."""
        async with asyncio.timeout(within):
            while True:
                ((count,),) = self.database.execute(
                    "SELECT count(*) FROM gateway_sights WHERE lock_id = %s", lock.id
                )
                if count >= gateways:
                    return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def lane(database: Database, folder: Path) -> AsyncIterator[Lane]:
    async with doorway(database, folder, Lane) as made:
        assert isinstance(made, Lane)
        yield made
