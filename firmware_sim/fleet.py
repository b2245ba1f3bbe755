"""Some locks in one process: each with its flash file, its radio and its broker connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from firmware_sim.core.events import (
    BatteryReading,
    BrokerDown,
    ButtonPressed,
    CylinderTurned,
    DoorSensor,
    HandleTurned,
    ResetHeld,
    TamperSensor,
)
from firmware_sim.factory import factory_files, load_lock, make_lock, open_ca, qr_payload
from firmware_sim.gateway.station import Station
from firmware_sim.links.ble import BleLink, Peripheral, static_address
from firmware_sim.links.drive import Driver
from firmware_sim.links.flash_file import FileMedium
from firmware_sim.links.mqtt import BrokerAddress, MqttLink
from firmware_sim.links.radio import Ether
from lockserver.protocol.bolt import BoltState

if TYPE_CHECKING:
    from pathlib import Path

    from firmware_sim.core.core import Settings
    from firmware_sim.core.identity import FactoryIdentity
    from firmware_sim.links.radio import RadioController


class SimLock:
    """One lock with everything around it."""

    def __init__(
        self,
        factory: FactoryIdentity,
        flash: Path,
        ether: Ether,
        broker: BrokerAddress | None,
        settings: Settings | None,
    ) -> None:
        self.factory = factory
        self._ether = ether
        self._medium = FileMedium(flash)
        self.driver = Driver(factory, self._medium, settings=settings)
        self.mqtt = None if broker is None else MqttLink(broker, self.driver.feed)
        self.driver.broker = self.mqtt
        self._link: BleLink | None = None
        self._controller: RadioController | None = None

    async def power_on(self) -> None:
        """Plug in: the radio gets a fresh controller, the lock boots from its flash."""
        if self.driver.on:
            return
        link = BleLink(self.driver.feed)
        controller = self._ether.controller(self.factory.serial)
        address = static_address(self.factory.serial.encode())
        link.attach(Peripheral.beside(controller, self.factory.serial, address, link))
        self._link, self._controller = link, controller
        self.driver.radio = link
        self.driver.power_on()
        await link.start()

    async def power_off(self) -> None:
        """Pull the plug: nothing is said to anybody, and the radio is silent at once."""
        self.driver.power_off()
        self.driver.radio = None
        link, self._link = self._link, None
        controller, self._controller = self._controller, None
        if controller is not None:
            self._ether.forget(controller)
        if link is not None:
            link.abandon()
        if self.mqtt is not None:
            await self.mqtt.stop()

    async def close(self) -> None:
        """Switch off in good order."""
        link = self._link
        self.driver.power_off()
        if self.mqtt is not None:
            await self.mqtt.stop()
        if link is not None:
            await link.stop()
        if self._controller is not None:
            self._ether.forget(self._controller)
        self._medium.close()

    def press_button(self) -> None:
        """Somebody presses the button."""
        self.driver.feed(ButtonPressed())

    def hold_reset(self) -> None:
        """Somebody holds the button for ten seconds."""
        self.driver.feed(ResetHeld())

    def swing(self, *, is_open: bool) -> None:
        """Somebody opens the leaf, or closes it."""
        self.driver.mechanics.leaf_open = is_open
        self.driver.feed(DoorSensor(is_open))

    def tamper(self, *, is_open: bool) -> None:
        """Somebody opens the case, or closes it."""
        self.driver.mechanics.case_open = is_open
        self.driver.feed(TamperSensor(is_open))

    def handle(self) -> None:
        """Somebody leaves by the inside handle, power or no power."""
        self.driver.mechanics.state = BoltState.UNLOCKED
        self.driver.feed(HandleTurned())

    def cylinder(self, *, locked: bool) -> None:
        """Somebody turns the mechanical key."""
        self.driver.mechanics.state = BoltState.LOCKED if locked else BoltState.UNLOCKED
        self.driver.feed(CylinderTurned(locked))

    def battery(self, percent: float | None, *, frozen: bool) -> None:
        """Fresh or empty batteries; `frozen`: from now on the gauge hangs at what it says then."""
        mechanics = self.driver.mechanics
        mechanics.battery, mechanics.frozen = percent, None
        mechanics.frozen = mechanics.gauge if frozen else None
        self.driver.feed(BatteryReading(mechanics.gauge))

    def cut_network(self) -> None:
        """The lock's network fails."""
        if self.mqtt is not None:
            self.mqtt.cut_network()
        else:
            self.driver.feed(BrokerDown())

    def heal(self) -> None:
        """The lock's network is back."""
        if self.mqtt is not None:
            self.mqtt.heal()

    def state(self) -> dict[str, Any]:
        """What somebody who stands at the door, and may look inside, sees."""
        lock = self.driver.lock
        mechanics = self.driver.mechanics
        identity = None if lock is None else lock.identity
        held = None if lock is None else lock.held
        return {
            "serial": self.factory.serial,
            "qr": qr_payload(self.factory),
            "claim_code": self.factory.claim_code.hex(),
            "on": lock is not None,
            "lock_id": None if identity is None else identity.lock_id.hex(),
            "connected": self.mqtt is not None and self.mqtt.up,
            "bolt": "off" if lock is None else lock.bolt.name.lower(),
            "position": mechanics.state.name.lower(),
            "moves": mechanics.moves,
            "openings": mechanics.openings,
            "alarms": list(self.driver.alarms),
            "journal": 0 if lock is None else lock.journal.head.number,
            "unacknowledged": 0 if lock is None else len(lock.journal.held),
            "epoch": None if held is None or held.identity.shared else held.epoch,
            "occupied": None if held is None else held.occupied,
            "list_number": 0 if held is None else held.list_number,
            "state_version": 0 if held is None else held.state_version,
            "key_set_number": 0 if held is None else held.trust.key_set.number,
            **({} if lock is None else lock.position),
        }


class Fleet:
    """`locks` on one `ether`, from the files in `folder`."""

    def __init__(self, folder: Path, ether: Ether | None = None) -> None:
        self._folder = folder
        self.ether = ether or Ether()
        self.locks: list[SimLock] = []
        self.gateways: list[Station] = []

    async def start(
        self, count: int, broker: BrokerAddress | None = None, settings: Settings | None = None
    ) -> None:
        """Switch on `count` locks: those that the folder knows first, then new ones."""
        ca = open_ca(self._folder)
        factories = [load_lock(file) for file in factory_files(self._folder)][:count]
        factories += [make_lock(self._folder, ca) for _ in range(count - len(factories))]
        for factory in factories:
            flash = self._folder / f"{factory.serial}.flash"
            lock = SimLock(factory, flash, self.ether, broker, settings)
            self.locks.append(lock)
            await lock.power_on()

    async def start_gateways(self, count: int, broker: BrokerAddress | None = None) -> None:
        """Switch on `count` gateways, those that the folder knows first; one that nobody named waits to be."""
        for number in range(1, count + 1):
            station = Station(self._folder / f"gateway-{number}.gateway.json", self.ether, broker)
            self.gateways.append(station)
            await station.power_on()

    def find(self, serial: str) -> SimLock | None:
        """The lock with this serial number, or with this id in hex."""
        for lock in self.locks:
            identity = None if lock.driver.lock is None else lock.driver.lock.identity
            if serial == lock.factory.serial or (identity and serial == identity.lock_id.hex()):
                return lock
        return None

    async def stop(self) -> None:
        """Switch everything off; flash stays."""
        await asyncio.gather(*(gateway.close() for gateway in self.gateways))
        await asyncio.gather(*(lock.close() for lock in self.locks))
        await self.ether.close()
