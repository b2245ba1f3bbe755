"""Role issuer: answers request rows with signatures, after checking everything itself."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from lockserver.app.enrol_gateway import GatewayOffer, enrol_gateway, equip_gateways
from lockserver.app.enrol_lock import Claim, enrol_lock
from lockserver.app.issue_access_documents import refresh_access
from lockserver.app.issuing import Issuing
from lockserver.app.phone_sync import DoorKit, Kit, SeenRequests, phone_sync
from lockserver.app.release_lock import release_lock, renew_releases
from lockserver.app.spend_owners_wish import Wished
from lockserver.app.state_time import state_time
from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool
from lockserver.db.requests import serve_requests
from lockserver.db.sealed import SealedFields
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.canonical import loads
from lockserver.domain.errors import InvalidInputError
from lockserver.keys.keyring import load_issuer
from lockserver.run.roles.bodies import octets as _octets
from lockserver.run.roles.bodies import uuid as _uuid
from lockserver.run.roles.pins import pin_handlers
from lockserver.run.world import SystemClock, system_random

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lockserver.app.ports.asking import Handler
    from lockserver.settings import Settings

log = structlog.get_logger(__name__)

SWEEP_S = 2.0
"""How long a tenancy's end by the clock, or a lost request, may leave a lock's documents behind."""
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


async def run(settings: Settings, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    keys = load_issuer(settings.role_keys)
    pool = Pool(
        settings.database_url.get_secret_value(),
        size=settings.database_pool,
        application="lockserver-issuer",
    )
    world = Issuing(
        transactions=PostgresTransactions(pool),
        clock=SystemClock(),
        random=system_random,
        signer=keys.signer,
        factories=keys.factories,
        devices=keys.devices,
        seeds=SealedFields(keys.seed_key),
        pins=keys.pins,
    )
    try:
        async with PostgresChanges(settings.database_url.get_secret_value(), "requests_issuer") as changes:
            sweeping = asyncio.create_task(_sweep(world), name="sweep")
            try:
                ready()
                await serve_requests("issuer", handlers(world), stop, pool=pool, changes=changes)
            finally:
                sweeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sweeping
    finally:
        await pool.close()


def handlers(world: Issuing) -> Mapping[str, Handler]:
    """Return what the issuer answers, by kind. Bodies are JSON; binary is base64url."""
    seen = SeenRequests()

    async def enrol(body: dict[str, Any]) -> dict[str, Any]:
        """`{holder_id, door_id, offer, claim_code}` → `{lock_id, document, mac}`."""
        claim = Claim(
            holder_id=_uuid(body, "holder_id"),
            door_id=_uuid(body, "door_id"),
            offer=_octets(body, "offer"),
            claim_code=_octets(body, "claim_code"),
        )
        made = await enrol_lock(world, claim)
        return {"lock_id": made.lock_id, "document": made.document, "mac": made.mac}

    async def sync(body: dict[str, Any]) -> dict[str, Any]:
        """`{request, asks}` → the phone's kit."""
        kit = await phone_sync(world, seen, _octets(body, "request"), _octets(body, "asks"))
        return _kit(kit)

    async def time(body: dict[str, Any]) -> dict[str, Any]:
        """`{lock_id, nonce}` → `{statement}`."""
        statement = await state_time(world, _uuid(body, "lock_id"), _octets(body, "nonce"))
        return {"statement": statement}

    async def gateway(body: dict[str, Any]) -> dict[str, Any]:
        """`{holder_id, house_id, sent, salt, wish}` → the gateway's identity; `sent`: the request's JSON body."""
        return await name_gateway(world, body)

    async def release(body: dict[str, Any]) -> dict[str, Any]:
        """`{holder_id, lock_id, wish}` → `{lock_id, state, document}`: LK1-RELEASE for a phone to carry."""
        holder_id, lock_id = _uuid(body, "holder_id"), _uuid(body, "lock_id")
        made = await release_lock(world, holder_id, lock_id, _octets(body, "wish"))
        return {"lock_id": lock_id, "state": made.lock.state, "document": made.order}

    async def access(body: dict[str, Any]) -> dict[str, Any]:
        """`{lock_ids: […]}` → `{changed: […]}`: bring these locks' documents up to the present."""
        named = body.get("lock_ids")
        if not isinstance(named, list):
            raise InvalidInputError(field="lock_ids")
        changed = await refresh_access(world, [_uuid({"id": one}, "id") for one in named])
        return {"changed": [str(one) for one in changed]}

    return {
        "enrol": enrol,
        "sync": sync,
        "time": time,
        "gateway": gateway,
        "release": release,
        "access": access,
        **pin_handlers(world),
    }


async def name_gateway(world: Issuing, body: Mapping[str, Any]) -> dict[str, Any]:
    """Read an offer as the API passed it on, the owner's own bytes included, and answer with the identity."""
    wished = Wished(_octets(body, "wish"), _octets(body, "salt"), _octets(body, "sent"))
    asked = loads(wished.sent)
    made = await enrol_gateway(
        world,
        GatewayOffer(
            holder_id=_uuid(body, "holder_id"),
            house_id=_uuid(body, "house_id"),
            name=str(asked.get("name", "")),
            sign_pub=_octets(asked, "sign_pub"),
            ecdh_pub=_octets(asked, "ecdh_pub"),
            proof=_octets(asked, "proof"),
            wished=wished,
        ),
    )
    gateway = made.gateway
    return {
        "gateway_id": gateway.id,
        "shard": gateway.shard,
        "certificate": gateway.certificate,
        "broker_secret": made.broker_secret,
        "site_root": made.site_root,
        "key_set": made.key_set,
    }


async def _sweep(world: Issuing) -> None:
    """Find what no request told us: windows that closed, requests that were lost in a crash."""
    since = BEGINNING
    while True:
        try:
            since = await _sweep_once(world, since)
        except Exception:
            log.exception("issuer.sweep_failed")
        await asyncio.sleep(SWEEP_S)


async def _sweep_once(world: Issuing, since: datetime) -> datetime:
    now = world.clock.now()
    async with world.transactions.begin() as work:
        turned = set(await work.locks.at_turning_doors(since, now))
        turned |= set(await work.locks.with_stale_access(now))
        turned |= set(await work.slots.locks_to_refresh(now))
        turned |= set(await work.gateway_credentials.with_stale(now))
    if turned:
        changed = await refresh_access(world, sorted(turned))
        log.info("issuer.swept", looked_at=len(turned), changed=len(changed))
    await equip_gateways(world)
    await renew_releases(world)
    # A row may be committed a little after the instant that it names.
    return now - timedelta(seconds=30)


def _kit(kit: Kit) -> dict[str, Any]:
    return {
        "phone_id": kit.phone_id,
        "now": kit.now,
        "site_root": kit.site_root,
        "key_set": kit.key_set,
        "doors": [_door(one) for one in kit.doors],
    }


def _door(one: DoorKit) -> dict[str, Any]:
    key = one.credential
    held = one.withheld
    return {
        "door_id": one.door.id,
        "house_id": one.door.house_id,
        "name": one.door.name,
        "kind": one.door.kind,
        "lock_id": one.lock.id,
        "door": one.door_document,
        "credential": None if key is None else key.raw,
        "not_before": None if key is None else key.not_before,
        "expires_at": None if key is None else key.expires_at,
        "withheld": None if held is None else held.reason,
        "withheld_until": None if held is None else held.until,
        "revocation_list": one.revocation,
        "access_state": one.state,
        "time": one.time,
        "release": one.release,
    }
