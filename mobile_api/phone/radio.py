"""The phone's radio: a bumble host on a virtual controller, counted.

`tcp:HOST:PORT` is the ether of `firmware_sim.links.radio` (or any HCI controller behind TCP, H4
framing). This socket is the only one a phone needs at a door.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bumble import hci
from bumble.device import Device, DeviceConfiguration
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink
from bumble.transport.tcp_client import open_tcp_client_transport

if TYPE_CHECKING:
    from bumble.controller import Controller
    from bumble.transport.common import Transport, TransportSink, TransportSource


@dataclass
class HciCount:
    """HCI packets between this phone's host and its controller."""

    sent: int = 0
    received: int = 0

    @property
    def total(self) -> int:
        """Both directions together."""
        return self.sent + self.received


class _CountingSink:
    def __init__(self, sink: TransportSink, count: HciCount, field: str) -> None:
        self._sink = sink
        self._count = count
        self._field = field

    def on_packet(self, packet: bytes) -> None:
        setattr(self._count, self._field, getattr(self._count, self._field) + 1)
        self._sink.on_packet(packet)


class _CountingSource:
    def __init__(self, source: TransportSource, count: HciCount) -> None:
        self._source = source
        self._count = count
        self.terminated = source.terminated

    def set_packet_sink(self, sink: TransportSink) -> None:
        self._source.set_packet_sink(_CountingSink(sink, self._count, "received"))
        # the source tells the host when the socket is lost, and looks for the host in its sink
        if hasattr(self._source, "on_transport_lost") and hasattr(sink, "on_transport_lost"):
            self._source.on_transport_lost = sink.on_transport_lost


class PhoneRadio:
    """One phone's Bluetooth: the bumble device behind the bleak backend.

    Use `PhoneRadio.open(spec)` for a controller behind a socket, `PhoneRadio.beside(controller)`
    for one in this process, and close it.
    """

    def __init__(
        self, source: TransportSource, sink: TransportSink, transport: Transport | None = None
    ) -> None:
        self.count = HciCount()
        self._transport = transport
        # a fresh random address: the phone is not to be recognised by its radio
        raw = bytearray(secrets.token_bytes(6))
        raw[5] |= 0xC0
        address = hci.Address(bytes(raw), hci.Address.RANDOM_DEVICE_ADDRESS)
        host = Host(_CountingSource(source, self.count), _CountingSink(sink, self.count, "sent"))
        self.device = Device(config=DeviceConfiguration(name="phone", address=address), host=host)

    @classmethod
    async def open(cls, spec: str) -> PhoneRadio:
        """Connect to a controller: `tcp:HOST:PORT`. Raises `ValueError` or `OSError`."""
        kind, _, where = spec.partition(":")
        if kind not in {"tcp", "tcp-client"} or ":" not in where:
            message = f"radio must be tcp:HOST:PORT, not {spec!r}"
            raise ValueError(message)
        transport = await open_tcp_client_transport(where)
        radio = cls(transport.source, transport.sink, transport)
        await radio.device.power_on()
        return radio

    @classmethod
    async def beside(cls, controller: Controller) -> PhoneRadio:
        """Use a bumble controller that lives in this process."""
        radio = cls(controller, AsyncPipeSink(controller))
        await radio.device.power_on()
        return radio

    async def close(self) -> None:
        """Power off and give the socket back."""
        await self.device.power_off()
        if self._transport is not None:
            await self._transport.close()
            self._transport = None
