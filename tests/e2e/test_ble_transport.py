"""The radio by itself: real HCI, L2CAP, ATT and GATT between a bumble peripheral and a bleak client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError, BleakGATTProtocolError

from firmware_sim.links.ble import Peripheral, advertisement, static_address
from firmware_sim.links.radio import Ether
from lockserver.protocol import gatt
from mobile_api.phone.bleak_bumble import backends
from mobile_api.phone.radio import PhoneRadio

TAG = gatt.tag(b"one door")


class Echo:
    """A lock that says everything back in upper case, refuses `no`, hangs up on `bye`."""

    def __init__(self) -> None:
        self.radio: Peripheral | None = None
        self.events: list[str] = []

    def connected(self, _connection: int, _mtu: int) -> None:
        self.events.append("connected")

    def received(self, connection: int, data: bytes) -> bool:
        assert self.radio is not None
        if data == b"crash":
            raise RuntimeError
        if data == b"bye":
            self.radio.close(connection)
            return True
        self.radio.send(connection, data.upper())
        return data != b"no"

    def disconnected(self, _connection: int) -> None:
        self.events.append("disconnected")


@asynccontextmanager
async def door(ether: Ether) -> AsyncIterator[Echo]:
    echo = Echo()
    controller = ether.controller("lock")
    echo.radio = Peripheral.beside(controller, "lock", static_address(TAG), echo)
    await echo.radio.start(advertisement(TAG, claimable=False))
    try:
        yield echo
    finally:
        await echo.radio.stop()
        ether.forget(controller)


@asynccontextmanager
async def phone(ether: Ether, *, over_tcp: bool) -> AsyncIterator[PhoneRadio]:
    if over_tcp:
        host, port = await ether.listen("127.0.0.1", 0)
        radio = await PhoneRadio.open(f"tcp:{host}:{port}")
    else:
        radio = await PhoneRadio.beside(ether.controller("phone"))
    try:
        yield radio
    finally:
        await radio.close()


async def find(radio: PhoneRadio, tag: bytes = TAG) -> BLEDevice:
    scanner, _ = backends(radio)
    wanted = gatt.beacon(tag, claimable=False)[2:]
    device = await BleakScanner.find_device_by_filter(
        lambda _d, ad: ad.manufacturer_data.get(gatt.COMPANY) == wanted,
        timeout=5.0,
        backend=scanner,
        service_uuids=[gatt.SERVICE],
    )
    assert device is not None
    return device


@pytest.mark.parametrize("over_tcp", [False, True])
async def test_a_phone_scans_connects_writes_hears_and_reads(over_tcp: bool) -> None:
    ether = Ether()
    async with door(ether) as echo, phone(ether, over_tcp=over_tcp) as radio:
        _, client_backend = backends(radio)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        async with BleakClient(await find(radio), backend=client_backend) as client:
            assert client.mtu_size == gatt.WANTED_MTU
            await client.write_gatt_char(gatt.ASK, b"read me", response=True)
            assert await client.read_gatt_char(gatt.ANSWER) == b"READ ME"
            assert await client.read_gatt_char(gatt.ANSWER) == b""
            await client.start_notify(gatt.ANSWER, lambda _c, d: heard.put_nowait(bytes(d)))
            for i in range(20):
                await client.write_gatt_char(gatt.ASK, b"m%d" % i, response=False)
            said = [await asyncio.wait_for(heard.get(), 5) for _ in range(20)]
            assert said == [b"M%d" % i for i in range(20)]
            long = b"x" * 500
            await client.write_gatt_char(gatt.ASK, long, response=True)
            assert (await asyncio.wait_for(heard.get(), 5)).startswith(b"X" * 200)
        for _ in range(100):
            if "disconnected" in echo.events:
                break
            await asyncio.sleep(0.02)
        assert echo.events == ["connected", "disconnected"]
        assert radio.count.total > 50
        assert ether.packets().total > radio.count.total
        # the door is heard again after somebody has left
        async with BleakClient(await find(radio), backend=client_backend) as client:
            assert client.is_connected
    await ether.close()


async def test_a_failing_write_is_answered_and_harms_nobody_else() -> None:
    ether = Ether()
    async with door(ether), phone(ether, over_tcp=False) as radio:
        _, client_backend = backends(radio)
        device = await find(radio)
        async with BleakClient(device, backend=client_backend) as client:
            with pytest.raises(BleakGATTProtocolError):
                await client.write_gatt_char(gatt.ASK, b"no", response=True)
            with pytest.raises(BleakGATTProtocolError):
                await client.write_gatt_char(gatt.ANSWER, b"not yours", response=True)
            for service in client.services:
                for characteristic in service.characteristics:
                    declaration = characteristic.handle - 1
                    with pytest.raises(Exception, match=r"(?i)write"):
                        await client._backend._live().write_value(  # type: ignore[attr-defined]
                            declaration, b"vandal", with_response=True
                        )
        async with BleakClient(device, backend=client_backend) as client:
            with pytest.raises(BleakError):
                await client.write_gatt_char(gatt.ASK, b"crash", response=True)
        async with BleakClient(device, backend=client_backend) as client:
            await client.write_gatt_char(gatt.ASK, b"still here", response=True)
            assert await client.read_gatt_char(gatt.ANSWER) == b"STILL HERE"
    await ether.close()


async def test_the_phone_learns_that_the_lock_hung_up() -> None:
    ether = Ether()
    async with door(ether), phone(ether, over_tcp=True) as radio:
        _, client_backend = backends(radio)
        gone = asyncio.Event()
        client = BleakClient(
            await find(radio), backend=client_backend, disconnected_callback=lambda _c: gone.set()
        )
        await client.connect()
        await client.write_gatt_char(gatt.ASK, b"bye", response=False)
        await asyncio.wait_for(gone.wait(), 5)
        assert not client.is_connected
    await ether.close()


async def test_a_phone_whose_process_dies_frees_the_door() -> None:
    ether = Ether()
    async with door(ether) as echo:
        host, port = await ether.listen("127.0.0.1", 0)
        radio = await PhoneRadio.open(f"tcp:{host}:{port}")
        _, client_backend = backends(radio)
        await BleakClient(await find(radio), backend=client_backend).connect()
        assert radio._transport is not None
        await radio._transport.close()
        for _ in range(100):
            if "disconnected" in echo.events:
                break
            await asyncio.sleep(0.02)
        assert echo.events == ["connected", "disconnected"]
    await ether.close()


async def test_the_radio_listens_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        await Ether().listen("0.0.0.0", 0)
