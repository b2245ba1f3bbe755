"""The lock as a GATT peripheral on bumble: one characteristic to write, one to hear or read.

The answer characteristic is READ | NOTIFY: phones subscribe; a page whose browser cannot hear
notifications writes and then reads, one queued fragment a read, empty when there is none.

Every characteristic that may be written has a handler, and a failure there answers with an ATT
error: an ATT write without any answer would hang the client for 30 s.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bumble import att, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import (
    AdvertisingEventProperties,
    AdvertisingParameters,
    AdvertisingType,
    Device,
    DeviceConfiguration,
)
from bumble.gatt import (
    GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
    Characteristic,
    CharacteristicValue,
    Service,
)
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from firmware_sim.core.events import RadioBroken, RadioConnected, RadioGone, RadioMessage
from lockserver.protocol import gatt
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.framing import Fragmenter, Reassembler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bumble.device import AdvertisingSet, Connection
    from bumble.transport.common import TransportSink, TransportSource

    from firmware_sim.core.events import Event

#: Phones at one door at once; while they are there the door does not advertise, and a further one waits.
CONNECTIONS_LIMIT = 4
#: Fragments waiting for one slow peer. A parcel is at most 4 KiB: 4096 / 20 bytes, and some room.
UNREAD_LIMIT = 512
#: ATT_MTU before the exchange (Bluetooth Core Vol 3 Part G 5.2.1).
DEFAULT_MTU = 23
#: Bytes of opcode and handle before a notified value.
NOTIFY_HEAD = 3
#: Application error (Core Vol 3 Part F 3.4.1.1: 0x80-0x9F): the lock does not take this write.
ATT_REFUSED = 0x80


class RadioEvents(Protocol):
    """What a peripheral tells its lock. All calls come from the event loop's thread."""

    def connected(self, connection: int, mtu: int) -> None:
        """A phone has connected."""

    def received(self, connection: int, data: bytes) -> bool:
        """A phone has written `data`; False refuses the write."""

    def disconnected(self, connection: int) -> None:
        """The connection has ended."""


def static_address(seed: bytes) -> hci.Address:
    """A static random address (Core Vol 6 Part B 1.3.2.1) that stays the same for one `seed`."""
    raw = bytearray(hashlib.sha256(b"LK1 radio address" + seed).digest()[:6])
    raw[5] |= 0xC0
    return hci.Address(bytes(raw), hci.Address.RANDOM_DEVICE_ADDRESS)


@dataclass
class _Peer:
    link: Connection
    unread: deque[bytes] = field(default_factory=deque)
    subscribed: bool = False


class Peripheral:
    """One lock's radio: advertises, serves the door service, restarts after each disconnect."""

    def __init__(
        self,
        name: str,
        address: hci.Address,
        events: RadioEvents,
        *,
        source: TransportSource,
        sink: TransportSink,
        interval_ms: float = 20.0,
    ) -> None:
        self._events = events
        self._interval = interval_ms
        self._peers: dict[int, _Peer] = {}
        self._names: dict[Connection, int] = {}
        self._last = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._advertisement = b""
        self._on = False
        self._advertising = asyncio.Lock()
        self._set: AdvertisingSet | None = None
        config = DeviceConfiguration(name=name, address=address)
        self.device = Device(config=config, host=Host(source, sink))
        self._answer: Characteristic[bytes] = Characteristic(
            UUID(gatt.ANSWER),
            Characteristic.Properties.READ | Characteristic.Properties.NOTIFY,
            Characteristic.READABLE,
            CharacteristicValue(read=self._read),
        )
        ask: Characteristic[bytes] = Characteristic(
            UUID(gatt.ASK),
            Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=self._write),
        )
        self.device.add_service(Service(UUID(gatt.SERVICE), [ask, self._answer]))
        _refuse_other_writes(self.device.gatt_server.attributes)
        self.device.on(Device.EVENT_CONNECTION, self._connected)
        self._answer.on(Characteristic.EVENT_SUBSCRIPTION, self._subscribed)

    @classmethod
    def beside(
        cls,
        controller: TransportSource,
        name: str,
        address: hci.Address,
        events: RadioEvents,
        *,
        interval_ms: float = 20.0,
    ) -> Peripheral:
        """A peripheral on a controller in this very process."""
        sink = AsyncPipeSink(controller)  # type: ignore[arg-type]
        return cls(name, address, events, source=controller, sink=sink, interval_ms=interval_ms)

    async def start(self, advertisement: bytes) -> None:
        """Power the radio and advertise."""
        self._advertisement = advertisement
        await self.device.power_on()
        self._on = True
        # One set for the radio's whole life, started again and never made anew: a set that is removed
        # while somebody connects to it leaves him connected to nobody.
        self._set = await self.device.create_advertising_set(
            advertising_parameters=AdvertisingParameters(
                advertising_event_properties=AdvertisingEventProperties.from_advertising_type(
                    AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE
                ),
                primary_advertising_interval_min=self._interval,
                primary_advertising_interval_max=self._interval,
            ),
            advertising_data=advertisement,
            auto_start=True,
        )

    async def advertise(self, advertisement: bytes) -> None:
        """Advertise `advertisement` (AD structures, at most 31 bytes) from now on."""
        self._advertisement = advertisement
        async with self._advertising:
            if self._on and self._set is not None:
                await self._set.set_advertising_data(advertisement)

    async def stop(self) -> None:
        """Hang up on everybody and fall silent."""
        self._on = False
        for connection in list(self._peers):
            await self._hang_up(connection)
        while self._tasks:  # not cancelled: an HCI command cut in the middle leaves the host waiting
            await asyncio.wait(self._tasks)
        async with self._advertising:
            if self._set is not None:
                await self._set.stop()
        await self.device.power_off()

    @property
    def on(self) -> bool:
        """Whether the radio has power."""
        return self._on

    def abandon(self) -> None:
        """The power went, and the controller with it: wait for none of its answers."""
        self._on = False
        self._peers.clear()
        self._names.clear()
        for task in list(self._tasks):
            task.cancel()

    def send(self, connection: int, data: bytes) -> None:
        """Notify `data` (one fragment), or keep it for the peer's next read."""
        peer = self._peers.get(connection)
        if peer is None:
            return
        if peer.subscribed:
            # bumble sends a notification without waiting for anything, so tasks keep their order
            self._spawn(self.device.notify_subscriber(peer.link, self._answer, data))
        elif len(peer.unread) >= UNREAD_LIMIT:
            self.close(connection)
        else:
            peer.unread.append(data)

    def close(self, connection: int) -> None:
        """Hang up, after what has been sent."""
        if connection in self._peers:
            self._spawn(self._hang_up(connection))

    def mtu(self, connection: int) -> int:
        """The connection's ATT_MTU in bytes."""
        peer = self._peers.get(connection)
        return DEFAULT_MTU if peer is None else int(peer.link.att_mtu)

    async def _hang_up(self, connection: int) -> None:
        peer = self._peers.get(connection)
        if peer is not None:
            try:
                await peer.link.disconnect()
            except hci.HCI_Error:
                self._gone(connection)  # the peer was quicker

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _connected(self, link: Connection) -> None:
        if self.device.connections.get(link.handle) is not link:
            self._spawn(self._advertise_again())  # it ended before we were told that it began
            return
        # Names of our own: the controller gives a handle out again at once, and what was meant for the
        # last phone must not reach the next.
        self._last += 1
        connection = self._last
        self._peers[connection] = _Peer(link)
        self._names[link] = connection
        link.on(link.EVENT_DISCONNECTION, lambda _reason: self._gone(connection))
        # A controller stops advertising when it is connected to; the next phone must be heard too.
        if len(self._peers) < CONNECTIONS_LIMIT:
            self._spawn(self._advertise_again())
        self._events.connected(connection, int(link.att_mtu))

    async def _advertise_again(self) -> None:
        async with self._advertising:
            if self._on and self._set is not None:
                await self._set.start()

    def _gone(self, connection: int) -> None:
        peer = self._peers.pop(connection, None)
        if peer is not None:
            self._names.pop(peer.link, None)
            self._events.disconnected(connection)
            if len(self._peers) == CONNECTIONS_LIMIT - 1:
                self._spawn(self._advertise_again())

    def _peer(self, link: Connection | None) -> tuple[int, _Peer] | None:
        name = None if link is None else self._names.get(link)
        return None if name is None else (name, self._peers[name])

    def _subscribed(self, link: Connection, notify: bool, _indicate: bool) -> None:  # noqa: FBT001
        found = self._peer(link)
        if found is None:
            return
        connection, peer = found
        peer.subscribed = notify
        while notify and peer.unread:
            self.send(connection, peer.unread.popleft())

    def _write(self, link: Connection | None, value: bytes) -> None:
        found = self._peer(link)
        if found is None:
            raise att.ATT_Error(ATT_REFUSED)
        try:
            taken = self._events.received(found[0], bytes(value))
        except Exception as error:
            self.close(found[0])
            raise att.ATT_Error(att.ATT_UNLIKELY_ERROR_ERROR) from error
        if not taken:
            raise att.ATT_Error(ATT_REFUSED)

    def _read(self, link: Connection | None) -> bytes:
        found = self._peer(link)
        return found[1].unread.popleft() if found is not None and found[1].unread else b""


def _refuse_other_writes(attributes: Iterable[att.Attribute[Any]]) -> None:
    """Make every attribute that nobody may write say so.

    bumble checks no permission on a write: without this a passer-by could overwrite a declaration,
    and an attribute with a read handler alone would never answer.
    """
    writable = {UUID(gatt.ASK), GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR}

    async def refuse(_bearer: att.Bearer, _value: bytes) -> None:
        raise att.ATT_Error(att.ATT_WRITE_NOT_PERMITTED_ERROR)

    for attribute in attributes:
        if attribute.type not in writable:
            attribute.write_value = refuse  # type: ignore[method-assign,assignment]


def advertisement(tag: bytes, *, claimable: bool) -> bytes:
    """AD structures: flags, the door service, and which lock this is (`gatt.tag`). 31 bytes."""
    data = AdvertisingData(
        [
            (AdvertisingData.FLAGS, bytes([0x06])),
            (
                AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
                bytes(UUID(gatt.SERVICE)),
            ),
            (AdvertisingData.MANUFACTURER_SPECIFIC_DATA, gatt.beacon(tag, claimable=claimable)),
        ]
    )
    return bytes(data)


def _nobody(_event: Event) -> None:
    """Nobody is at home."""


class BleLink:
    """Binds a peripheral to a lock: fragments on air, whole messages inside."""

    def __init__(self, feed: Callable[[Event], None]) -> None:
        self._feed = feed
        self._peripheral: Peripheral | None = None
        self._streams: dict[int, Reassembler] = {}
        self._advertised = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, peripheral: Peripheral) -> None:
        """Use this peripheral; `start` it after the lock has said what to advertise."""
        self._peripheral = peripheral

    async def start(self) -> None:
        """Power the radio."""
        if self._peripheral is not None:
            await self._peripheral.start(self._advertised)

    async def stop(self) -> None:
        """Fall silent."""
        if self._peripheral is not None:
            await self._peripheral.stop()
        self._streams.clear()

    def abandon(self) -> None:
        """The power went: this radio says nothing more to anybody."""
        self._feed = _nobody
        if self._peripheral is not None:
            self._peripheral.abandon()

    # ---- from the radio

    def connected(self, connection: int, _mtu: int) -> None:
        """A phone has connected."""
        self._streams[connection] = Reassembler()
        self._feed(RadioConnected(connection))

    def received(self, connection: int, data: bytes) -> bool:
        """A phone has written a fragment."""
        stream = self._streams.get(connection)
        if stream is None:
            return False
        try:
            messages = stream.push(data)
        except RemoteError:
            self._streams.pop(connection, None)
            self._feed(RadioBroken(connection))
            return True
        for message in messages:
            self._feed(RadioMessage(connection, message))
        return True

    def disconnected(self, connection: int) -> None:
        """A phone has left."""
        self._streams.pop(connection, None)
        self._feed(RadioGone(connection))

    # ---- from the lock

    def send(self, connection: int, data: bytes) -> None:
        """Send a whole message."""
        if self._peripheral is not None:
            for fragment in Fragmenter(self._peripheral.mtu(connection)).split(data):
                self._peripheral.send(connection, fragment)

    def close(self, connection: int) -> None:
        """Hang up, after what was sent."""
        self._streams.pop(connection, None)
        if self._peripheral is not None:
            self._peripheral.close(connection)

    def advertise(self, tag: bytes, *, claimable: bool) -> None:
        """Advertise from now on."""
        self._advertised = advertisement(tag, claimable=claimable)
        if self._peripheral is not None and self._peripheral.on:
            task = asyncio.get_running_loop().create_task(self._peripheral.advertise(self._advertised))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
