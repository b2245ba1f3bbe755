"""The lock at its broker: paho on the event loop, QoS 0, clean sessions, nothing retained.

Durability is the lock's journal, so a lost message costs time and nothing else. Reconnects are
jittered and back off: after a broker's restart a thousand locks come back over some seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim.core.events import BrokerDown, BrokerMessage, BrokerUp
from firmware_sim.links.login import lock_login

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware_sim.core.events import Event
    from firmware_sim.core.identity import Identity
    from firmware_sim.links.login import Login

#: Seconds: the first wait before a reconnect, and the longest. Each wait is drawn from [half, whole].
WAIT: Final = (0.5, 30.0)
#: Seconds between pings on an idle connection; a dead one is noticed after one and a half.
KEEPALIVE: Final = 30
#: Seconds for TCP, TLS and CONNACK together: at first, and at most. A broker that has just started
#: may take a CONNECT and never answer it (seen with NATS), so the first patience is short.
CONNECT: Final = (3.0, 15.0)


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is. With `ca` (a PEM file) the lock speaks TLS, its certificate is its identity."""

    host: str
    port: int
    ca: Path | None = None


class MqttLink:
    """One lock's connection. `login` or `identity` name it; before that it stays away."""

    def __init__(self, address: BrokerAddress, feed: Callable[[Event], None]) -> None:
        self._address = address
        self._feed = feed
        self._login: Login | None = None
        self._as: Login | None = None
        """As whom the connection that stands was made."""
        self._client: paho.Client | None = None
        self._runner: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._ended = False
        self._up = False
        self._cut = False
        self._healed = asyncio.Event()
        self._healed.set()

    @property
    def up(self) -> bool:
        """Whether the broker has accepted connection and subscription."""
        return self._up

    def identity(self, identity: Identity) -> None:
        """Connect as this lock from now on."""
        self.login(lock_login(identity))

    def login(self, login: Login | None) -> None:
        """Connect as this from now on, or stay away. What was said before is sent first."""
        self._login = login
        # not now: we may stand in a callback of paho's, and it waits for itself
        asyncio.get_running_loop().call_soon(self._leave)
        if login is not None and (self._runner is None or self._runner.done()):
            self._runner = asyncio.get_running_loop().create_task(self._run())

    def publish(self, data: bytes) -> None:
        """Send a report, or lose it: the journal is what lasts."""
        if self._client is not None and self._up and self._as is not None:
            self._client.publish(self._as.up, data, qos=0, retain=False)
            self._client.loop_write()

    def cut_network(self) -> None:
        """The network fails: no goodbye is said, and nothing gets through until `heal`."""
        self._cut = True
        self._healed.clear()
        self._hang_up()

    def heal(self) -> None:
        """The network is back."""
        self._cut = False
        self._healed.set()

    async def stop(self) -> None:
        """Leave for good."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await runner
        self._hang_up()

    async def _run(self) -> None:
        wait, patience = WAIT[0], CONNECT[0]
        while self._login is not None:
            await self._healed.wait()
            self._ended = False
            try:
                was_up = await self._connected(patience)
            finally:
                self._drop()
            wait = WAIT[0] if was_up else min(2 * wait, WAIT[1])
            patience = CONNECT[0] if was_up else min(2 * patience, CONNECT[1])
            # jitter spreads a fleet over time; nothing secret hangs on it
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311

    async def _connected(self, patience: float) -> bool:
        """Connect and stay until the connection ends. Whether it ever stood."""
        if self._login is None:
            return False
        self._as = self._login
        client = self._client = self._make(self._as)
        loop = asyncio.get_running_loop()
        was_up = False
        try:
            async with asyncio.timeout(patience):
                await loop.run_in_executor(
                    None, client.connect, self._address.host, self._address.port, KEEPALIVE
                )
                while not self._up and not self._ended:
                    await self._turn(client)
            was_up = self._up
            while not self._ended:
                await self._turn(client)
        except (OSError, TimeoutError, ValueError):
            pass
        return was_up

    async def _turn(self, client: paho.Client) -> None:
        """Let paho look at its timers, once a second and whenever something has changed."""
        client.loop_misc()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._changed.wait()
        self._changed.clear()

    def _make(self, login: Login) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=login.name, clean_session=True)
        client.connect_timeout = CONNECT[1]
        if self._address.ca is not None:
            client.tls_set_context(_client_context(self._address.ca, login))
        else:
            client.username_pw_set(login.name, login.password)
        loop = asyncio.get_running_loop()

        # connect() runs in a thread (a name look-up or a TLS handshake may block): what it watches is
        # handed to the loop. All later calls come from the loop itself and take effect at once, so that
        # no watch is left on a number that the next socket gets.
        home = threading.get_ident()

        def watch(add: Callable[..., None], sock: Any, callback: Callable[[], object]) -> None:
            if threading.get_ident() == home:
                add(sock, callback)
            else:
                loop.call_soon_threadsafe(_watch, add, sock, callback)

        def opened(_c: paho.Client, _u: object, sock: Any) -> None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watch(loop.add_reader, sock, client.loop_read)

        def closed(_c: paho.Client, _u: object, sock: Any) -> None:
            loop.remove_reader(sock)
            loop.remove_writer(sock)

        def writing(_c: paho.Client, _u: object, sock: Any) -> None:
            watch(loop.add_writer, sock, client.loop_write)

        def written(_c: paho.Client, _u: object, sock: Any) -> None:
            loop.remove_writer(sock)

        client.on_socket_open = opened
        client.on_socket_close = closed
        client.on_socket_register_write = writing
        client.on_socket_unregister_write = written
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = lambda *_: self._end(client)
        return client

    def _on_connect(self, client: paho.Client, _u: object, _f: object, reason: Any, _p: object) -> None:
        if client is not self._client or self._as is None:
            client.disconnect()  # the plug was pulled while this one was still connecting
            return
        if reason.is_failure:
            self._end(client)
        else:
            client.subscribe(self._as.down, qos=0)

    def _on_subscribe(
        self, client: paho.Client, _u: object, _mid: int, reasons: list[Any], _p: object
    ) -> None:
        if client is not self._client:
            return
        if any(reason.is_failure for reason in reasons):
            self._end(client)
            return
        self._up = True
        self._changed.set()
        self._feed(BrokerUp())

    def _on_message(self, client: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        if client is self._client and not self._cut:
            self._feed(BrokerMessage(bytes(message.payload), retained=bool(message.retain)))

    def _end(self, client: paho.Client) -> None:
        if client is self._client:
            self._ended = True
            self._changed.set()

    def _hang_up(self) -> None:
        """Close the socket without a DISCONNECT, as a cut does."""
        sock: Any = None if self._client is None else self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._drop()
        self._ended = True
        self._changed.set()

    def _leave(self) -> None:
        """End what stands, in good order; the runner goes on as whoever we are now."""
        if self._as is not self._login:
            self._drop()
            self._ended = True
            self._changed.set()

    def _drop(self) -> None:
        """Say goodbye if the line still stands, and close it; paho closes once it has written."""
        client, self._client = self._client, None
        if client is not None and client.socket() is not None:
            client.disconnect()
            client.loop_write()
        if self._up:
            self._up = False
            self._feed(BrokerDown())


def _client_context(ca: Path, login: Login) -> ssl.SSLContext:
    """TLS as this lock. Python reads keys from files only, so they are in one for a moment."""
    context = ssl.create_default_context(cafile=str(ca))
    key = login.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = x509.load_der_x509_certificate(login.certificate).public_bytes(Encoding.PEM)
    with tempfile.NamedTemporaryFile(prefix="lock-", suffix=".pem") as file:  # mode 0600
        file.write(key + certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _watch(add: Callable[..., None], sock: Any, callback: Callable[[], object]) -> None:
    """Watch a socket that may have been closed since."""
    if sock.fileno() >= 0:
        add(sock, callback)
