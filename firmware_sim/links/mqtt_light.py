"""A lock at its broker for crowds: MQTT 3.1.1 on a bare asyncio transport, as little of it as a lock uses.

paho needs a socket object, queues, locks and a look at its timers for every client; ten thousand of those do
not fit one process. This client speaks CONNECT, SUBSCRIBE, PUBLISH at QoS 0 and PINGREQ (OASIS MQTT 3.1.1,
sections 3.1 to 3.12), a few hundred bytes a lock besides its transport. It offers what `MqttLink` offers, so a
lock does not know the difference; the two pass the same tests. No TLS: that is `MqttLink`'s.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from firmware_sim.core.events import BrokerDown, BrokerMessage, BrokerUp
from firmware_sim.links.login import lock_login
from firmware_sim.links.mqtt import CONNECT, KEEPALIVE, WAIT
from lockserver.protocol.limits import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_sim.core.events import Event
    from firmware_sim.core.identity import Identity
    from firmware_sim.links.login import Login
    from firmware_sim.links.mqtt import BrokerAddress

#: Bytes of a packet that we take: an envelope and its topic. A broker that says more is hung up on.
PACKET: Final = MAX_ENVELOPE + 1024

_CONNACK, _PUBLISH, _SUBACK, _PINGRESP = 2, 3, 9, 13
_PING: Final = b"\xc0\x00"
_RETAINED: Final = 0x01


class BrokenError(Exception):
    """The broker's bytes are no MQTT, or more than we take."""


def packet(kind: int, body: bytes) -> bytes:
    """One packet: `kind` is the whole first byte; the length in base 128, low first (2.2.3)."""
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([kind]) + bytes(length) + body


def text(value: bytes) -> bytes:
    """A string as MQTT writes it (1.5.3)."""
    return len(value).to_bytes(2, "big") + value


def connect_packet(client_id: str, user: str, password: str) -> bytes:
    """CONNECT with a clean session, user name and password (3.1)."""
    head = text(b"MQTT") + bytes([4, 0xC2]) + KEEPALIVE.to_bytes(2, "big")
    return packet(0x10, head + text(client_id.encode()) + text(user.encode()) + text(password.encode()))


def split(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take whole packets off the front: (first byte, body). Raises BrokenError."""
    whole: list[tuple[int, bytes]] = []
    while True:
        size, shift, at = 0, 0, 1
        while at < len(buffer):
            digit = buffer[at]
            size |= (digit & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not digit & 0x80:
                break
            if shift > 21:  # noqa: PLR2004 - four bytes of length at most (2.2.3)
                raise BrokenError
        else:
            return whole
        if size > PACKET:
            raise BrokenError
        if len(buffer) < at + size:
            return whole
        whole.append((buffer[0], bytes(buffer[at : at + size])))
        del buffer[: at + size]


class LightMqttLink(asyncio.Protocol):
    """One lock's connection, as `MqttLink`; `login` or `identity` name it, and before that it stays away."""

    __slots__ = (
        "_address",
        "_alive",
        "_buffer",
        "_cut",
        "_feed",
        "_login",
        "_timer",
        "_transport",
        "_up",
        "_wait",
    )

    def __init__(self, address: BrokerAddress, feed: Callable[[Event], None]) -> None:
        self._address = address
        self._feed = feed
        self._login: Login | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = bytearray()
        self._wait = WAIT[0]
        self._up = False
        self._cut = False
        self._alive = True

    @property
    def up(self) -> bool:
        """Whether the broker has accepted connection and subscription."""
        return self._up

    def identity(self, identity: Identity) -> None:
        """Connect as this lock from now on."""
        self.login(lock_login(identity))

    def login(self, login: Login | None) -> None:
        """Connect as this from now on, or stay away. What was said before is sent first."""
        fresh = self._login is None
        self._login = login
        if fresh:
            self._later(0.0, self._dial)
        elif self._transport is not None:
            self._transport.close()

    def publish(self, data: bytes) -> None:
        """Send a report, or lose it: the journal is what lasts."""
        if self._up and self._transport is not None and self._login is not None:
            self._transport.write(packet(_PUBLISH << 4, text(self._login.up.encode()) + data))

    def cut_network(self) -> None:
        """The network fails: no goodbye is said, and nothing gets through until `heal`."""
        self._cut = True
        self._hang_up()

    def heal(self) -> None:
        """The network is back."""
        self._cut = False
        if self._transport is None and self._login is not None:
            self._later(0.0, self._dial)

    async def stop(self) -> None:
        """Leave for good."""
        self._alive = False
        if self._timer is not None:
            self._timer.cancel()
        self._hang_up()

    # ---- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are."""
        if (
            self._login is None
            or self._cut
            or not self._alive
            or not isinstance(transport, asyncio.Transport)
        ):
            transport.close()
            return
        self._transport = transport
        login = self._login
        transport.write(connect_packet(login.name, login.name, login.password))
        self._later(CONNECT[1], self._hang_up)

    def data_received(self, data: bytes) -> None:
        """Take what came; anything that is not as it should be ends the connection."""
        self._buffer += data
        try:
            for kind, body in split(self._buffer):
                self._take(kind, body)
        except (BrokenError, IndexError):
            self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back after a growing, jittered pause."""
        del exc
        self._transport = None
        self._buffer.clear()
        if self._up:
            self._up = False
            self._wait = WAIT[0]
            self._feed(BrokerDown())
        self._again()

    # ---- the conversation

    def _take(self, kind: int, body: bytes) -> None:
        if kind >> 4 == _CONNACK:
            if body[1] != 0 or self._login is None or self._transport is None:
                raise BrokenError
            topic = self._login.down.encode()
            self._transport.write(packet(0x82, b"\x00\x01" + text(topic) + b"\x00"))
        elif kind >> 4 == _SUBACK:
            if body[2] != 0:
                raise BrokenError
            self._up = True
            self._ping()
            self._feed(BrokerUp())
        elif kind >> 4 == _PUBLISH and self._up:
            size = int.from_bytes(body[:2], "big")
            self._feed(BrokerMessage(body[2 + size :], retained=bool(kind & _RETAINED)))

    def _ping(self) -> None:
        if self._transport is not None:
            self._transport.write(_PING)
            # jitter keeps a crowd's pings apart; nothing secret hangs on it
            self._later(KEEPALIVE * random.uniform(0.6, 0.9), self._ping)  # noqa: S311

    def _dial(self) -> None:
        if self._transport is None and self._alive and not self._cut and self._login is not None:
            loop = asyncio.get_running_loop()
            dialling = loop.create_connection(lambda: self, self._address.host, self._address.port)
            task = loop.create_task(dialling)
            task.add_done_callback(self._dialled)

    def _dialled(self, task: asyncio.Task[object]) -> None:
        if not task.cancelled() and isinstance(task.exception(), OSError):
            self._again()

    def _again(self) -> None:
        if self._alive and not self._cut:
            pause = self._wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads a fleet over time
            self._wait = min(2 * self._wait, WAIT[1])
            self._later(pause, self._dial)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()
