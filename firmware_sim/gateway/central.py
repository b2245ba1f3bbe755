"""The gateway's radio: a GATT central on bumble that listens all the time and talks to a few locks at once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bumble import core, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, DeviceConfiguration, Peer
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from firmware_sim.gateway.events import BeaconHeard, LockConnected, LockGone, LockSaid
from lockserver.protocol import gatt
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.framing import Fragmenter, Reassembler

if TYPE_CHECKING:
    from collections.abc import Callable

    from bumble.device import Advertisement, Connection

    from firmware_sim.gateway.events import Event
    from firmware_sim.links.radio import RadioController

#: Seconds for connecting, MTU and discovery together.
CONNECT_S: Final = 6.0
#: What a beacon's manufacturer data begins with: our company id, no flags (a lock that waits to be claimed has one).
BEACON: Final = gatt.beacon(b"", claimable=False)


@dataclass(slots=True)
class _Line:
    """One connection to a lock, and what waits to be said on it."""

    link: Connection | None = None
    peer: Peer | None = None
    ask: int = 0
    outgoing: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    stream: Reassembler = field(default_factory=Reassembler)
    task: asyncio.Task[None] | None = None


class Central:
    """Scans, connects, reads and writes. `attenuation` (dB) makes it hard of hearing; deaf from 127 on."""

    def __init__(
        self, controller: RadioController, address: hci.Address, feed: Callable[[Event], None]
    ) -> None:
        self._feed = feed
        self._where: dict[bytes, hci.Address] = {}
        self._lines: dict[int, _Line] = {}
        self._connecting = asyncio.Lock()
        self._dead = False
        self.attenuation = 0
        sink = AsyncPipeSink(controller)
        config = DeviceConfiguration(name="gateway", address=address)
        self.device = Device(config=config, host=Host(controller, sink))
        self.device.on(Device.EVENT_ADVERTISEMENT, self._advertisement)

    async def start(self) -> None:
        """Power the radio and listen."""
        await self.device.power_on()
        await self.device.start_scanning(active=False, filter_duplicates=False)

    async def stop(self) -> None:
        """Hang up and fall silent."""
        for connection in list(self._lines):
            self.hang_up(connection)
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.device.power_off()

    def abandon(self) -> None:
        """The power went, and the controller with it: wait for none of its answers."""
        self._dead = True
        self._feed = lambda _event: None
        for line in self._lines.values():
            if line.task is not None:
                line.task.cancel()
        self._lines.clear()

    def connect(self, connection: int, tag: bytes) -> None:
        """Connect to the lock that advertises this tag; say how it went."""
        line = self._lines[connection] = _Line()
        line.task = asyncio.get_running_loop().create_task(self._talk(connection, line, tag))

    def say(self, connection: int, data: bytes) -> None:
        """Send a whole message, after those before it."""
        line = self._lines.get(connection)
        if line is not None:
            line.outgoing.put_nowait(data)

    def hang_up(self, connection: int) -> None:
        """End the connection, after what was said."""
        line = self._lines.get(connection)
        if line is not None:
            line.outgoing.put_nowait(None)

    # ---- hearing

    def _advertisement(self, advertisement: Advertisement) -> None:
        for kind, value in advertisement.data.ad_structures:
            if kind == AdvertisingData.MANUFACTURER_SPECIFIC_DATA and value.startswith(BEACON):
                tag = bytes(value[len(BEACON) :])
                rssi = advertisement.rssi - self.attenuation
                if len(tag) == gatt.TAG_SIZE and rssi >= -127:  # noqa: PLR2004 - the least that HCI has
                    self._where[tag] = advertisement.address
                    self._feed(BeaconHeard(tag, min(rssi, 20)))

    # ---- talking

    async def _talk(self, connection: int, line: _Line, tag: bytes) -> None:
        """One connection from its first try to its end."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._reach(connection, line, tag)
            self._feed(LockConnected(connection))
            while (message := await line.outgoing.get()) is not None:
                await self._write(line, message)
        except (TimeoutError, core.BaseBumbleError, hci.HCI_Error, KeyError, RuntimeError):
            pass  # out of reach, or gone in the middle: the core is told below
        finally:
            self._lines.pop(connection, None)
            if line.link is not None and not self._dead:
                with contextlib.suppress(core.BaseBumbleError, hci.HCI_Error, asyncio.CancelledError):
                    await line.link.disconnect()
            self._feed(LockGone(connection))

    async def _reach(self, connection: int, line: _Line, tag: bytes) -> None:
        async with self._connecting:  # a controller has one connection request under way at most
            link = await self.device.connect_le(self._where[tag], timeout=CONNECT_S)
        if self.device.connections.get(link.handle) is not link:
            raise KeyError(tag)  # it ended as it began, and its end was told before we could listen
        line.link = link
        link.on(link.EVENT_DISCONNECTION, lambda _reason: self._ended(connection, line))
        line.peer = peer = Peer(link)
        await peer.request_mtu(gatt.WANTED_MTU)
        await peer.discover_services([UUID(gatt.SERVICE)])
        await peer.discover_characteristics()
        answer = next(c for c in peer.get_characteristics_by_uuid(UUID(gatt.ANSWER)))
        ask = next(c for c in peer.get_characteristics_by_uuid(UUID(gatt.ASK)))
        line.ask = ask.handle
        await peer.discover_descriptors(answer)
        await peer.subscribe(answer, lambda data: self._heard(connection, line, bytes(data)))

    async def _write(self, line: _Line, message: bytes) -> None:
        assert line.peer is not None  # noqa: S101 - `_reach` has set it
        assert line.link is not None  # noqa: S101
        fragments = Fragmenter(int(line.link.att_mtu)).split(message)
        for fragment in fragments[:-1]:
            await line.peer.write_value(line.ask, fragment, with_response=False)
        async with asyncio.timeout(CONNECT_S):
            await line.peer.write_value(line.ask, fragments[-1], with_response=True)

    def _heard(self, connection: int, line: _Line, data: bytes) -> None:
        try:
            messages = line.stream.push(data)
        except RemoteError:
            self.hang_up(connection)
            return
        for message in messages:
            self._feed(LockSaid(connection, message))

    def _ended(self, connection: int, line: _Line) -> None:
        line.link = None
        self.hang_up(connection)
