"""The ether: virtual Bluetooth controllers that hear one another.

Every lock and every phone owns one controller (bumble's, which speaks real HCI). Controllers in this
process are attached directly; other processes connect over loopback TCP and speak HCI (H4 framing,
Bluetooth Core 5.4 Vol 4 Part A) on the socket, which is the only socket a phone then needs.

`QuietLink` differs from bumble's `LocalLink` in two ways that matter with a thousand locks: an
advertisement reaches only controllers that listen, and an address is looked up, not searched for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bumble import hci, ll
from bumble.controller import Controller
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

if TYPE_CHECKING:
    from collections.abc import Callable

#: A controller that does not read its socket is cut off beyond this many unsent bytes: one deaf
#: phone must not make the ether hold everybody's advertisements for it.
UNSENT_LIMIT = 1 << 20

#: Controllers on one ether. Loopback sockets, 67 KiB each: a bound, not a target.
CONTROLLERS_LIMIT = 4096


@dataclass
class PacketCount:
    """HCI packets that crossed one host/controller boundary, as the controller sees them."""

    to_controller: int = 0
    to_host: int = 0

    @property
    def total(self) -> int:
        """Both directions together."""
        return self.to_controller + self.to_host


class QuietLink(LocalLink):
    """A link on which only listeners hear advertisements and addresses are indexed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._by_address: dict[hci.Address, Controller] = {}
        self._address_of: dict[Controller, hci.Address] = {}
        self._listeners: set[Controller] = set()

    def remove_controller(self, controller: Controller) -> None:
        """Forget a controller that has gone."""
        self.controllers.discard(controller)
        self._listeners.discard(controller)
        self._unindex(controller)

    def _unindex(self, controller: Controller) -> None:
        old = self._address_of.pop(controller, None)
        if old is not None and self._by_address.get(old) is controller:
            del self._by_address[old]

    def on_address_changed(self, controller: Controller) -> None:
        """Index a controller under its new random address."""
        self._unindex(controller)
        self._by_address[controller.random_address] = controller
        self._address_of[controller] = controller.random_address

    def find_le_controller(self, address: hci.Address) -> Controller | None:
        """The controller that owns `address`, or None."""
        return self._by_address.get(address)

    def listening(self, controller: Controller, *, on: bool) -> None:
        """Note whether a controller scans or waits for a peer's advertisement."""
        if on:
            self._listeners.add(controller)
        else:
            self._listeners.discard(controller)

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        """Deliver a connection request to its addressee and an advertisement to the listeners."""
        loop = asyncio.get_running_loop()
        if isinstance(packet, ll.ConnectInd):
            loop.call_soon(self._connect, sender_controller, packet)
            return
        for controller in self._listeners:
            if controller is not sender_controller:
                loop.call_soon(controller.on_ll_advertising_pdu, packet)

    def _connect(self, initiator: Controller, packet: ll.ConnectInd) -> None:
        """Deliver a connection request; one that nobody heard ends the initiator's connection.

        bumble's initiator believes itself connected at once. An advertiser that has just fallen silent,
        or was connected to by somebody quicker, never answers it: error 0x3E (Core Vol 1 Part F 2.58).
        """
        peer = self._by_address.get(packet.advertiser_address)
        if peer is not None:
            peer.on_ll_advertising_pdu(packet)
            if packet.initiator_address in peer.le_connections:
                return
        connection = initiator.le_connections.get(packet.advertiser_address)
        if connection is not None:
            reason = hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
            initiator.on_le_disconnected(connection, reason)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """As bumble's, but a peer that has vanished loses the packet as real radio would."""
        if receiver_address in self._by_address:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)


class RadioController(Controller):
    """A controller that counts its HCI packets and tells the link when it listens."""

    def __init__(self, name: str, link: QuietLink) -> None:
        self.count = PacketCount()
        self._quiet = link
        super().__init__(name, link=link)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Count and obey a packet from the host."""
        self.count.to_controller += 1
        super().on_hci_packet(packet)
        if isinstance(packet, hci.HCI_Command):
            self._tell_listening()

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Count a packet to the host and send it."""
        self.count.to_host += 1
        super().send_hci_packet(packet)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Connect, and stop listening if that was what we listened for."""
        super().create_le_connection(peer_address)
        self._tell_listening()

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Give up connecting, and say so to the host (bumble's own answers and keeps trying)."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            self.send_hci_packet(
                hci.HCI_LE_Connection_Complete_Event(
                    status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                    connection_handle=0,
                    role=hci.Role.CENTRAL,
                    peer_address_type=pending.peer_address.address_type,
                    peer_address=pending.peer_address,
                    connection_interval=0,
                    peripheral_latency=0,
                    supervision_timeout=0,
                    central_clock_accuracy=0,
                )
            )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_link_acl_data(self, sender_address: hci.Address, transport: Any, data: bytes) -> None:
        """Drop data of a connection that has just ended, as a radio would."""
        if sender_address in self.le_connections:
            super().on_link_acl_data(sender_address, transport, data)

    def leave(self) -> None:
        """Vanish from the ether: the peers' connections time out at once."""
        self.le_legacy_advertiser.stop()
        for advertising_set in self.advertising_sets.values():
            advertising_set.stop()
        for connection in list(self.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR))
        self.le_connections.clear()
        self._quiet.remove_controller(self)
        self.host = None

    def _tell_listening(self) -> None:
        on = bool(self.le_scan_enable or self.pending_le_connection)
        self._quiet.listening(self, on=on)


class _HciSocket(asyncio.Protocol):
    """One TCP connection = one host; it gets a controller of its own."""

    def __init__(self, ether: Ether) -> None:
        self._ether = ether
        self._transport: asyncio.Transport | None = None
        self._controller: RadioController | None = None
        self._parser = PacketParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        if self._ether.full:
            transport.abort()
            return
        self._controller = self._ether.controller("tcp")
        self._controller.host = _SocketSink(transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except Exception:  # noqa: BLE001 - a host that speaks no HCI is cut off, the others go on
            if self._transport is not None:
                self._transport.abort()

    def on_packet(self, packet: bytes) -> None:
        if self._controller is not None:
            self._controller.on_packet(packet)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._controller is not None:
            self._ether.forget(self._controller)
            self._controller = None


class _SocketSink:
    """Writes HCI packets to a socket and cuts a host off that does not read."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def on_packet(self, packet: bytes) -> None:
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNSENT_LIMIT:
            self._transport.abort()
            return
        self._transport.write(packet)


@dataclass
class Ether:
    """All controllers that can hear one another, with a door for other processes."""

    link: QuietLink = field(default_factory=QuietLink)
    #: Packets of controllers that have left, so that the total never falls.
    departed: PacketCount = field(default_factory=PacketCount)
    _present: set[RadioController] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def full(self) -> bool:
        """Whether another controller would pass `CONTROLLERS_LIMIT`."""
        return len(self._present) >= CONTROLLERS_LIMIT

    def controller(self, name: str) -> RadioController:
        """A new controller on this ether. The caller sets its host."""
        controller = RadioController(name, self.link)
        self._present.add(controller)
        return controller

    def forget(self, controller: RadioController) -> None:
        """Take a controller off the ether; its packets stay counted."""
        if controller in self._present:
            self._present.discard(controller)
            self.departed.to_controller += controller.count.to_controller
            self.departed.to_host += controller.count.to_host
            controller.leave()

    def packets(self) -> PacketCount:
        """HCI packets of all controllers, present and departed."""
        live = [c.count for c in self._present]
        return PacketCount(
            self.departed.to_controller + sum(c.to_controller for c in live),
            self.departed.to_host + sum(c.to_host for c in live),
        )

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Offer controllers over TCP; port 0 picks a free one. Returns the bound address.

        HCI gives full power over a controller, so only loopback is accepted as `host`.
        """
        if host not in {"127.0.0.1", "::1", "localhost"}:
            message = f"the simulated radio listens on loopback only, not on {host}"
            raise ValueError(message)
        loop = asyncio.get_running_loop()
        make: Callable[[], asyncio.Protocol] = lambda: _HciSocket(self)  # noqa: E731
        self._server = await loop.create_server(make, host, port)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def close(self) -> None:
        """Stop listening and silence every controller."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for controller in list(self._present):
            self.forget(controller)
        await asyncio.sleep(0)
