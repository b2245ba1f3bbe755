"""A bleak backend whose radio is bumble.

bleak calls its backend interface unstable: this is written for bleak 3.1.0, pinned. `backends(radio)`
returns the two classes to pass as `BleakScanner(…, backend=…)` and `BleakClient(…, backend=…)`;
a class is what bleak takes, so the radio is bound to the classes.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str
from bumble import att, core, hci
from bumble.core import AdvertisingData
from bumble.device import Device, Peer

from lockserver.protocol import gatt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bleak.args import SizedBuffer
    from bleak.assigned_numbers import CharacteristicPropertyName
    from bleak.backends.device import BLEDevice
    from bumble.device import Advertisement, Connection

    from mobile_api.phone.radio import PhoneRadio

T = TypeVar("T")

#: Seconds, at most, between tries to connect: with phones in a queue the door is busy now and then.
WAIT = 0.05
#: Bytes of opcode and handle before a written value.
WRITE_HEAD = 3

_PROPERTIES: tuple[tuple[int, CharacteristicPropertyName], ...] = (
    (0x01, "broadcast"),
    (0x02, "read"),
    (0x04, "write-without-response"),
    (0x08, "write"),
    (0x10, "notify"),
    (0x20, "indicate"),
    (0x40, "authenticated-signed-writes"),
    (0x80, "extended-properties"),
)


def backends(radio: PhoneRadio) -> tuple[type[BaseBleakScanner], type[BaseBleakClient]]:
    """The scanner and client classes of one phone's radio."""
    scanner = type("ScannerBumble", (BumbleScanner,), {"radio": radio})
    client = type("ClientBumble", (BumbleClient,), {"radio": radio})
    return scanner, client


class BumbleScanner(BaseBleakScanner):
    """Scans with the radio bound by `backends`."""

    radio: PhoneRadio

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        **_kwargs: object,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Start to scan."""
        self.seen_devices = {}
        device = self.radio.device
        device.on(Device.EVENT_ADVERTISEMENT, self._heard)
        try:
            await device.start_scanning(active=self._active, filter_duplicates=False)
        except BaseException:
            device.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)
            raise

    async def stop(self) -> None:
        """Stop scanning."""
        device = self.radio.device
        device.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)
        if device.is_scanning:
            await device.stop_scanning()

    def _heard(self, advertisement: Advertisement) -> None:
        data = _advertisement_data(advertisement)
        if not self.is_allowed_uuid(data.service_uuids):
            return
        address = str(advertisement.address)
        device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
        self.call_detection_callbacks(device, data)


def _advertisement_data(advertisement: Advertisement) -> AdvertisementData:
    kinds = AdvertisingData
    name: str | None = None
    manufacturer: dict[int, bytes] = {}
    services: list[str] = []
    for kind, value in advertisement.data.ad_structures:
        if kind in {kinds.COMPLETE_LOCAL_NAME, kinds.SHORTENED_LOCAL_NAME}:
            name = value.decode("utf-8", "replace")
        elif kind == kinds.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:  # noqa: PLR2004
            manufacturer[int.from_bytes(value[:2], "little")] = value[2:]
        elif kind in {
            kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
            kinds.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        }:
            services += [
                _uuid(core.UUID.from_bytes(value[i : i + 16])) for i in range(0, len(value) - 15, 16)
            ]
    return AdvertisementData(
        local_name=name,
        manufacturer_data=manufacturer,
        service_data={},
        service_uuids=services,
        tx_power=None,
        rssi=advertisement.rssi,
        platform_data=(advertisement,),
    )


def _uuid(uuid: core.UUID) -> str:
    """Bleak's form of a UUID: 36 lower-case characters."""
    return normalize_uuid_str(uuid.to_hex_str("-").lower())


class BumbleClient(BaseBleakClient):
    """Connects with the radio bound by `backends`."""

    radio: PhoneRadio

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None = None,
        timeout: float = 30.0,
        **_kwargs: object,
    ) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=disconnected_callback,
            timeout=timeout,
        )
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._up = False
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """The peer's address: doors have no names on air."""
        return self.address

    @property
    def mtu_size(self) -> int:
        """The negotiated ATT_MTU."""
        return 23 if self._connection is None else int(self._connection.att_mtu)

    @property
    def is_connected(self) -> bool:
        """Whether the link is up."""
        return self._connection is not None

    async def connect(self, pair: bool, **_kwargs: object) -> None:  # noqa: FBT001 - bleak's signature
        """Connect, exchange the MTU, discover. Raises `BleakDeviceNotFoundError` on timeout."""
        if pair:
            message = "doors are not paired with: the handshake proves both sides"
            raise BleakError(message)
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    try:
                        await self._connect()
                    except BleakError:
                        # somebody was quicker, or the door had just fallen silent: it advertises again
                        await self.disconnect()
                        await asyncio.sleep(random.uniform(0, WAIT))  # noqa: S311 - keeps phones apart
                    else:
                        self._up = True
                        return
        except TimeoutError as error:
            await self.disconnect()
            raise BleakDeviceNotFoundError(self.address) from error
        except BaseException:
            await self.disconnect()
            raise

    async def _connect(self) -> None:
        address = hci.Address(self.address.split("/")[0], hci.Address.RANDOM_DEVICE_ADDRESS)
        try:
            connection = await self.radio.device.connect_le(address, timeout=self._timeout)
        except (core.TimeoutError, core.ConnectionError) as error:
            raise BleakDeviceNotFoundError(self.address) from error
        if self.radio.device.connections.get(connection.handle) is not connection:
            message = "the connection ended as it began"  # and its end was told before we could listen
            raise BleakError(message)
        connection.on(connection.EVENT_DISCONNECTION, self._gone)
        self._connection = connection
        self._peer = Peer(connection)
        await self._lost(self._peer.request_mtu(gatt.WANTED_MTU))
        self.services = await self._lost(self._discover(self._peer))

    async def disconnect(self) -> None:
        """Hang up."""
        connection = self._connection
        if connection is not None:
            try:
                await connection.disconnect()
            except (core.BaseBumbleError, asyncio.CancelledError):
                self._gone(0)

    async def pair(self, *_args: object, **_kwargs: object) -> None:
        """Not offered."""
        raise NotImplementedError

    async def unpair(self) -> None:
        """Not offered."""
        raise NotImplementedError

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_kwargs: object) -> bytearray:
        """Read a value."""
        return bytearray(await self._lost(self._live().read_value(characteristic.handle)))

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_kwargs: object) -> bytearray:
        """Read a descriptor."""
        return bytearray(await self._lost(self._live().read_value(descriptor.handle)))

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001
    ) -> None:
        """Write a value; with a response, longer than the MTU becomes a long write."""
        raw = bytes(data)
        if not response and len(raw) > self.mtu_size - WRITE_HEAD:
            message = f"{len(raw)} bytes do not fit a write without response"
            raise BleakError(message)
        await self._lost(self._live().write_value(characteristic.handle, raw, with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        await self._lost(self._live().write_value(descriptor.handle, bytes(data), with_response=True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_kwargs: object
    ) -> None:
        """Subscribe."""

        def heard(value: bytes) -> None:
            callback(bytearray(value))

        self._subscribers[characteristic.handle] = heard
        await self._lost(self._live().subscribe(characteristic.obj, heard))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        heard = self._subscribers.pop(characteristic.handle, None)
        if heard is not None:
            await self._lost(self._live().unsubscribe(characteristic.obj, heard))

    def _live(self) -> Peer:
        if self._peer is None:
            message = "Not connected"
            raise BleakError(message)
        return self._peer

    async def _lost(self, work: Awaitable[T]) -> T:
        """Await `work` and put its failures in bleak's words, a lost link among them."""
        try:
            return await work
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except core.BaseBumbleError as error:
            raise BleakError(str(error)) from error
        except asyncio.CancelledError as error:
            # bumble cancels a pending request when the link goes; our own task was not cancelled
            task = asyncio.current_task()
            if self._connection is None and not (task and task.cancelling()):
                message = "the lock hung up"
                raise BleakError(message) from error
            raise

    def _gone(self, _reason: int) -> None:
        if self._connection is None:
            return
        was_up, self._up = self._up, False
        self._connection = self._peer = None
        self._subscribers.clear()
        if was_up and self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _discover(self, peer: Peer) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for proxy in await peer.discover_services():
            service = BleakGATTService(proxy, proxy.handle, _uuid(proxy.uuid))
            found.add_service(service)
            for char in await proxy.discover_characteristics():
                properties = [name for bit, name in _PROPERTIES if char.properties & bit]
                characteristic = BleakGATTCharacteristic(
                    char,
                    char.handle,
                    _uuid(char.uuid),
                    properties,
                    lambda: self.mtu_size - WRITE_HEAD,
                    service,
                )
                found.add_characteristic(characteristic)
                for descriptor in await char.discover_descriptors():
                    found.add_descriptor(
                        BleakGATTDescriptor(
                            descriptor, descriptor.handle, _uuid(descriptor.type), characteristic
                        )
                    )
        return found
