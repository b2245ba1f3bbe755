"""One connection to one door: whole messages over the GATT link."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from lockserver.protocol import gatt
from lockserver.protocol.framing import Fragmenter, Reassembler
from mobile_api.phone.bleak_bumble import backends
from mobile_api.phone.errors import DoorGoneError, NoSuchDoorError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice

    from mobile_api.phone.radio import PhoneRadio

#: Seconds to look for a door.
SCAN = 10.0
#: Seconds to wait for the lock's next message: longer than a motor moves.
ANSWER = 15.0


async def find(radio: PhoneRadio, name: bytes, *, claimable: bool = False) -> BLEDevice:
    """The lock that is known by `name` (its id, or its serial while unclaimed).

    Raises `NoSuchDoorError` when nobody answers to it within `SCAN` seconds.
    """
    scanner, _ = backends(radio)
    wanted = gatt.beacon(gatt.tag(name), claimable=claimable)[2:]
    device = await BleakScanner.find_device_by_filter(
        lambda _device, heard: heard.manufacturer_data.get(gatt.COMPANY) == wanted,
        timeout=SCAN,
        backend=scanner,
        service_uuids=[gatt.SERVICE],
    )
    if device is None:
        raise NoSuchDoorError(name.hex())
    return device


class Conversation:
    """Connected to a door: `async with Conversation(radio, device) as door: await door.ask(m1)`."""

    def __init__(self, radio: PhoneRadio, device: BLEDevice) -> None:
        _, client = backends(radio)
        self._client = BleakClient(
            device, disconnected_callback=lambda _client: self._ended(), backend=client
        )
        self._heard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reassembler = Reassembler()

    async def __aenter__(self) -> Self:
        await self._client.connect()
        try:
            await self._client.start_notify(gatt.ANSWER, self._fragment)
        except BaseException:
            await self._client.disconnect()
            raise
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._client.disconnect()

    @property
    def mtu(self) -> int:
        """The connection's ATT_MTU in bytes."""
        return self._client.mtu_size

    async def ask(self, message: bytes) -> bytes:
        """Send a whole message and wait for the next one. Raises `DoorGoneError`."""
        await self.send(message)
        return await self.hear()

    async def send(self, message: bytes) -> None:
        """Send a whole message: unacknowledged fragments, the last with an answer."""
        fragments = Fragmenter(self.mtu).split(message)
        try:
            for fragment in fragments[:-1]:
                await self._client.write_gatt_char(gatt.ASK, fragment, response=False)
            await self._client.write_gatt_char(gatt.ASK, fragments[-1], response=True)
        except BleakError as error:
            if self._heard.empty():
                raise DoorGoneError from error

    async def hear(self, seconds: float = ANSWER) -> bytes:
        """The lock's next message. Raises `DoorGoneError` if it hangs up or says nothing in time."""
        try:
            async with asyncio.timeout(seconds):
                message = await self._heard.get()
        except TimeoutError as error:
            raise DoorGoneError from error
        if message is None:
            self._heard.put_nowait(None)
            raise DoorGoneError
        return message

    def _fragment(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        for message in self._reassembler.push(bytes(data)):
            self._heard.put_nowait(message)

    def _ended(self) -> None:
        self._heard.put_nowait(None)
