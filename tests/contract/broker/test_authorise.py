"""L-18: a lock with a valid identity can speak and hear only as itself, on both brokers."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockserver.mqtt import authorise
from lockserver.mqtt.authorise import Asked, CalloutSigner, Granted, Kind
from lockserver.mqtt.link import BrokerLink, LinkLost
from tests.contract.broker.brokers import (
    MOSQUITTO,
    Credentials,
    MosquittoUnderTest,
    NatsUnderTest,
    NatsWithCertificates,
    Station,
    connect,
)

pytestmark = pytest.mark.contract

Broker = NatsUnderTest | MosquittoUnderTest
BROKERS = [
    NatsUnderTest,
    NatsWithCertificates,
    pytest.param(
        MosquittoUnderTest,
        marks=[
            pytest.mark.mosquitto,
            pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed"),
        ],
    ),
]


@asynccontextmanager
async def running(
    kind: Callable[..., Broker], folder: Path, victim: Kind = "lock", thief: Kind = "lock"
) -> AsyncIterator[tuple[Any, Any, Any]]:
    a = Credentials(secrets.token_hex(16), "0a", secrets.token_bytes(32), victim)
    b = Credentials(secrets.token_hex(16), "0b", secrets.token_bytes(32), thief)
    broker = kind(folder, [a, b])
    await broker.start()
    try:
        yield broker, a, b
    finally:
        await broker.stop()


async def stations(broker: Broker, a: Credentials, b: Credentials) -> tuple[Station, Station]:
    bridge = await connect(broker.bridge())
    await bridge.link.subscribe(["l/+/+/up/#", "g/+/+/up"])
    lock = await connect(broker.lock(a))
    await lock.link.subscribe([a.down])
    return bridge, lock


async def attack(broker: Broker, a: Credentials, b: Credentials) -> set[str]:
    """Let B try everything against A; the names of what succeeded."""
    breaches: set[str] = set()
    bridge, victim = await stations(broker, a, b)
    thief = await connect(broker.lock(b))
    # B publishes as A, then as itself: delivery is in order, so its own message is the proof that
    # the forged one is not merely late.
    own_up = b.up
    thief.link.publish(a.up, b"forged")
    thief = await honest_word(broker, b, thief, bridge, own_up)
    if any(payload == b"forged" for _, payload, _ in bridge.received):
        breaches.add("publish")
    # B listens to A, by name and by wildcard.
    for wanted in (a.down, "l/+/+/down/#", "g/+/+/down", "#"):
        try:
            await thief.link.subscribe([wanted])
        except LinkLost:
            if thief.link.lost.is_set():
                thief = await connect(broker.lock(b))
    await thief.link.subscribe([b.down])
    bridge.link.publish(a.down, b"for a only")
    bridge.link.publish(b.down, b"for b")
    await victim.until(b"for a only")
    await thief.until(b"for b")
    if any(payload == b"for a only" for _, payload, _ in thief.received):
        breaches.add("subscribe")
    await thief.link.close()
    # B comes in under A's client id.
    robber: BrokerLink | None = None
    with suppress(LinkLost):
        robber = (await connect(broker.lock(b, client_id=a.lock_id))).link
    bridge.link.publish(a.down, b"still here?")
    try:
        await victim.until(b"still here?")
    except (LinkLost, TimeoutError):
        breaches.add("client id")
    for link in (robber, victim.link, bridge.link):
        if link is not None:
            await link.close()
    return breaches


async def honest_word(
    broker: Broker, b: Credentials, thief: Station, bridge: Station, own_up: str
) -> Station:
    """B says a word of its own and the bridge hears it; B comes back first if it was thrown out."""
    for _ in range(3):
        if thief.link.lost.is_set():
            thief = await connect(broker.lock(b))
        thief.link.publish(own_up, b"honest")
        try:
            async with asyncio.timeout(1.5):
                await bridge.until(b"honest")
        except TimeoutError:
            continue
        return thief
    raise AssertionError("the broker delivers nothing at all")


@pytest.mark.parametrize("kind", BROKERS)
async def test_L18_a_lock_is_only_itself(kind: Callable[..., Broker], tmp_path: Path) -> None:
    async with running(kind, tmp_path) as (broker, a, b):
        assert await attack(broker, a, b) == set()


@pytest.mark.parametrize("kind", BROKERS)
@pytest.mark.parametrize(
    ("victim", "thief"), [("lock", "gateway"), ("gateway", "lock"), ("gateway", "gateway")]
)
async def test_L18_a_gateway_is_only_itself(
    kind: Callable[..., Broker], tmp_path: Path, victim: Kind, thief: Kind
) -> None:
    async with running(kind, tmp_path, victim, thief) as (broker, a, b):
        assert await attack(broker, a, b) == set()


async def test_L18_mutant_gateways_that_hear_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A responder that grants a gateway what all gateways have is caught."""
    monkeypatch.setattr(Granted, "permissions", property(lambda _self: (["g.>"], ["g.>"])))
    async with running(NatsUnderTest, tmp_path, "gateway", "gateway") as (broker, a, b):
        assert await attack(broker, a, b) == {"publish", "subscribe"}


async def test_L18_mutant_permissions_of_all_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A responder that grants `l.>` to everybody is caught."""
    signed = CalloutSigner._sign

    def generous(self: CalloutSigner, claims: dict[str, Any], now: int) -> bytes:
        if "pub" in claims["nats"]:
            claims["nats"]["pub"] = claims["nats"]["sub"] = {"allow": [">"]}
        return signed(self, claims, now)

    monkeypatch.setattr(CalloutSigner, "_sign", generous)
    async with running(NatsUnderTest, tmp_path) as (broker, a, b):
        assert await attack(broker, a, b) == {"publish", "subscribe"}


async def test_L18_mutant_client_id_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A responder that does not compare the client id lets B throw A out."""
    judged = authorise.claimed_name

    def careless(asked: Asked, proof: authorise.Proof) -> str | authorise.Refused:
        return judged(replace(asked, client_id=asked.user), proof)

    monkeypatch.setattr("lockserver.mqtt.callout.claimed_name", careless)
    async with running(NatsUnderTest, tmp_path) as (broker, a, b):
        assert await attack(broker, a, b) == {"client id"}


@pytest.mark.mosquitto
@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
async def test_L18_mutant_mosquitto_without_patterns(tmp_path: Path) -> None:
    class Open(MosquittoUnderTest):
        acl = "pattern readwrite #\n"
        client_id_rule = ""

    async with running(Open, tmp_path) as (broker, a, b):
        assert await attack(broker, a, b) == {"publish", "subscribe", "client id"}


async def test_names_that_would_widen_permissions_are_refused(tmp_path: Path) -> None:
    async with running(NatsUnderTest, tmp_path) as (broker, a, _):
        for name in ("*", ">", f"{a.lock_id}.>", a.lock_id.upper(), a.lock_id + "\n", ""):
            wild = Credentials(name, "0a", a.secret)
            with pytest.raises(LinkLost):
                await connect(broker.lock(wild))
        with pytest.raises(ValueError, match="subject"):
            CalloutSigner(broker.signer.seed).admit(ASKED, Granted("*", "0a"), "LOCKS", 0)


async def test_a_wrong_secret_and_a_retired_lock_are_refused(tmp_path: Path) -> None:
    async with running(NatsUnderTest, tmp_path) as (broker, a, _):
        with pytest.raises(LinkLost):
            await connect(broker.lock(replace(a, secret=secrets.token_bytes(32))))
        sitting = await connect(broker.lock(a))
        broker.directory.retire(a.lock_id)
        assert await broker.callout.kick(a.lock_id) == 1
        async with asyncio.timeout(5):
            await sitting.link.lost.wait()
        with pytest.raises(LinkLost):
            await connect(broker.lock(a))


async def test_a_certificate_that_we_did_not_give_this_lock_is_refused(tmp_path: Path) -> None:
    """Signed by the right CA, under the right name, and yet not the one of its enrolment."""
    async with running(NatsWithCertificates, tmp_path) as (broker, a, b):
        broker.files[a.lock_id] = broker.authority.issue(a.lock_id)
        with pytest.raises(LinkLost):
            await connect(broker.lock(a))
        # B's certificate under A's name and secret is B, and B's client id is not A's
        broker.files[a.lock_id] = broker.files[b.lock_id]
        with pytest.raises(LinkLost):
            await connect(broker.lock(a))


async def test_fails_closed_when_the_directory_is_away_or_nobody_answers(tmp_path: Path) -> None:
    async with running(NatsUnderTest, tmp_path) as (broker, a, b):
        sitting = await connect(broker.lock(a))
        broker.directory.broken = True
        with pytest.raises(LinkLost):
            await connect(broker.lock(b))
        broker.directory.broken = False
        await broker.callout.close()
        broker.callout = None
        with pytest.raises(LinkLost):
            await connect(broker.lock(b))
        assert not sitting.link.lost.is_set()


async def test_a_lock_may_speak_mqtt_only(tmp_path: Path) -> None:
    """The same name and secret over NATS' own protocol are refused."""
    async with running(NatsUnderTest, tmp_path) as (broker, a, _):
        password = base64.urlsafe_b64encode(a.secret).rstrip(b"=").decode()
        hello = json.dumps({"user": a.lock_id, "pass": password, "verbose": True})
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.nats_port)
        writer.write(f"CONNECT {hello}\r\nPING\r\n".encode())
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert b"Authorization Violation" in answer
        assert b"PONG" not in answer


ASKED = Asked("U", "N", "n1", 1, "mqtt", "x", "x", "", ())


@pytest.mark.parametrize("junk", [b"", b"a.b", b"a.!!.c", b"a.e30.c", b"a.AAA.c", b"." * 70_000])
def test_nothing_readable_ends_in_value_error(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        authorise.read_request(junk)
