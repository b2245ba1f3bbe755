"""Role bridge: MQTT both ways, and the keeper of the broker's door."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool
from lockserver.db.requests import PostgresRequests, serve_requests
from lockserver.db.shards import own_shards
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.canonical import unb64url
from lockserver.domain.errors import ClaimRefusedError, InvalidInputError
from lockserver.domain.ids import new_id
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.keys.keyring import load_bridge
from lockserver.mqtt.authorise import CalloutSigner, KnownLock, Proof
from lockserver.mqtt.bridge import Bridge, Bus
from lockserver.mqtt.callout import Callout, CalloutSettings
from lockserver.mqtt.link import BrokerAddress
from lockserver.mqtt.offers import AT_ONCE
from lockserver.mqtt.topics import share
from lockserver.protocol.errors import LocalError
from lockserver.protocol.topics import enrol_down
from lockserver.run.world import SystemClock, system_random

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from lockserver.app.ports import Transactions
    from lockserver.keys.devices import FactoryTrust
    from lockserver.keys.keyring import BridgeKeys
    from lockserver.mqtt.authorise import Kind
    from lockserver.settings import Settings

BUTTON_S = 28.0
"""How long a lock's button is waited for: within the API's own patience."""
ENROL_S = 10.0
MQTT_PORT, MQTTS_PORT = 1883, 8883
POOL_SPARE = 4
"""Connections beyond the workers': sweeps, the callout, the group commit."""


class LockDirectory:
    """Looks up who connects to the broker: a lock, or a gateway."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def known_lock(self, lock_id: str) -> KnownLock | None:
        """The lock or gateway of this id (hex), or None."""
        kind: Kind = "lock"
        async with self._transactions.begin() as work:
            found = await work.locks.for_broker(UUID(hex=lock_id))
            if found is None:
                kind, found = "gateway", await work.gateways.for_broker(UUID(hex=lock_id))
        if found is None:
            return None
        certificate = found.certificate
        return KnownLock(
            lock_id=found.id.hex,
            shard=found.shard,
            state=found.state,
            secret_hash=found.broker_secret_hash or b"",
            fingerprint=hashlib.sha256(certificate).digest() if certificate else b"",
            kind=kind,
        )


class Makers:
    """Asks whether a manufacturer of ours made a lock."""

    def __init__(self, trust: FactoryTrust) -> None:
        self._trust = trust

    def made(self, serial: str, certificate: bytes, now: int) -> bytes | None:
        """Return the public key that a factory certificate (DER) gives this serial, or None."""
        try:
            proof = self._trust.verify(certificate, from_seconds(now))
        except ClaimRefusedError:
            return None
        return proof.public if proof.serial == serial else None


WORKERS = AT_ONCE + 2
"""Requests answered at once: whoever waits for a button leaves hands for what phones carried here."""


class Doorkeeper:
    """Throws out who was retired, where the broker lets us."""

    def __init__(self) -> None:
        self.callout: Callout | None = None

    async def expel(self, name: UUID) -> None:
        """Disconnect a lock or gateway. mosquitto has no such door: there a name ends with its certificate."""
        if self.callout is not None:
            await self.callout.kick(name.hex)


async def run(settings: Settings, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    keys = load_bridge(settings.role_keys)
    url = settings.database_url.get_secret_value()
    pool = Pool(url, size=settings.database_pool + POOL_SPARE, application="lockserver-bridge")
    clock = SystemClock()
    try:
        async with PostgresChanges(
            url, "requests_bridge", "answers", "commands", "lock_state", "gateways", "inventory"
        ) as changes:
            transactions = PostgresTransactions(pool)
            bus, doorkeeper = Bus(), Doorkeeper()
            world = Bridging(
                transactions=transactions,
                clock=clock,
                random=system_random,
                requests=PostgresRequests(pool, changes, lambda: new_id(clock, system_random)),
                bus=bus,
                command_key=keys.command,
                report_key=keys.report.private,
                expel=doorkeeper.expel,
            )
            bridge = Bridge(
                world=world,
                bus=bus,
                changes=changes,
                address=broker_address(settings, keys),
                own=lambda wanted: own_shards(url, wanted),
                wanted=share(settings.bridge_number, settings.bridge_count),
                random=system_random,
            )
            async with _callout(settings, keys, transactions, bridge.gone) as doorkeeper.callout:
                await _serve(bridge, pool, changes, ready, stop)
    finally:
        await pool.close()


async def _serve(
    bridge: Bridge,
    pool: Pool,
    changes: PostgresChanges,
    ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Run bridge and request worker until told to stop; the first that fails ends both."""

    async def report(body: dict[str, Any]) -> dict[str, Any]:
        """`{lock_id, report}`: what a phone carried from a lock → `{taken}`."""
        try:
            lock_id, sealed = UUID(str(body["lock_id"])), unb64url(str(body["report"]))
        except (KeyError, ValueError) as error:
            raise InvalidInputError(field="lock_id") from error
        return {"taken": await bridge.report(lock_id, sealed)}

    async def offer(body: dict[str, Any]) -> dict[str, Any]:
        """`{serial, owner_key}` → `{offer}`: E1 over the broker until the button is pressed."""
        serial, owner_key = read_serial(body), _octets(body, "owner_key")
        return {"offer": await bridge.offers.offer(serial, owner_key, BUTTON_S)}

    async def enrol_over_broker(body: dict[str, Any]) -> dict[str, Any]:
        """`{serial, e3}` → `{report}`: E3 over the broker, and the lock's first report."""
        serial, e3 = read_serial(body), _octets(body, "e3")
        return {"report": await bridge.offers.enrol(serial, e3, ENROL_S)}

    answered = {"report": report, "offer": offer, "enrol_over_broker": enrol_over_broker}
    bridging = asyncio.create_task(bridge.run(ready), name="bridge")
    asking = asyncio.create_task(
        serve_requests("bridge", answered, stop, pool=pool, changes=changes, workers=WORKERS),
        name="requests",
    )
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([bridging, asking, stopping], return_when=asyncio.FIRST_COMPLETED)
        if bridging.done():
            bridging.result()
    finally:
        stopping.cancel()
        bridging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await bridging
        if stop.is_set():
            await asking
        else:
            asking.cancel()


def read_serial(body: dict[str, Any]) -> str:
    """Return a serial number that fits a topic; raises InvalidInputError."""
    serial = str(body.get("serial", ""))
    try:
        enrol_down(serial)
    except LocalError as error:
        raise InvalidInputError(field="serial") from error
    return serial


def _octets(body: dict[str, Any], name: str) -> bytes:
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidInputError(field=name)
    return unb64url(value)


@contextlib.asynccontextmanager
async def _callout(
    settings: Settings, keys: BridgeKeys, transactions: Transactions, gone: Callable[[str], None]
) -> AsyncIterator[Callout | None]:
    """Answer NATS' auth callout, where the broker is NATS."""
    if settings.nats_url is None:
        yield None
        return
    clock = SystemClock()
    callout = Callout(
        CalloutSettings(
            url=settings.nats_url,
            auth_user="auth",
            auth_password=keys.passwords["auth"],
            system_user="sys",
            system_password=keys.passwords["sys"],
            proof=Proof.CERTIFICATE if settings.broker_url.startswith("mqtts") else Proof.SECRET,
        ),
        CalloutSigner(keys.callout_seed),
        LockDirectory(transactions),
        lambda: whole_seconds(clock.now()),
        factories=Makers(keys.factories),
        gone=gone,
    )
    await callout.open()
    try:
        yield callout
    finally:
        await callout.close()


def broker_address(settings: Settings, keys: BridgeKeys) -> BrokerAddress:
    """Where the broker is and who this bridge is there. The client id gets a secret tail later."""
    parts = urlsplit(settings.broker_url)
    secure = parts.scheme == "mqtts"
    context = None
    if secure:
        context = ssl.create_default_context(cafile=settings.broker_ca)
        if settings.broker_certificate is not None and settings.broker_key is not None:
            context.load_cert_chain(settings.broker_certificate, settings.broker_key)
    by_password = settings.broker_certificate is None
    return BrokerAddress(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (MQTTS_PORT if secure else MQTT_PORT),
        client_id=f"bridge-{settings.bridge_number}",
        user="bridge" if by_password else None,
        password=keys.passwords["bridge"] if by_password else None,
        tls=context,
    )
