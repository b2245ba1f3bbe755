"""What the chapters share: who plays, where, and what they have made so far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.protocol.wish import WishOperation
from lockserver.run.demo.cast import draw_actor
from lockserver.run.demo.player import Player

if TYPE_CHECKING:
    from pathlib import Path

    from lockserver.run.demo.stage import Stage
    from lockserver.run.demo.world import BoxedLock, World

ROLES = ("landlord", "tenant_a", "tenant_b", "tenant_c", "staff", "guest")
LEASE_DAYS = 365
CONVERGE_S = 20
POLL_S = 0.2


@dataclass(slots=True)
class Story:
    """One run of the story. Names of doors are keys: `gate`, `room 1`, `room 2`."""

    stage: Stage
    world: World
    players: dict[str, Player]
    folder: Path
    house: str = ""
    address_id: str = ""
    doors: dict[str, str] = field(default_factory=dict)
    locks: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, BoxedLock] = field(default_factory=dict)
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    registrations: dict[str, dict[str, Any]] = field(default_factory=dict)
    grants: dict[str, str] = field(default_factory=dict)

    @property
    def landlord(self) -> Player:
        """Who owns the house."""
        return self.players["landlord"]

    async def sign_lease(self, room: str, role: str) -> dict[str, Any]:
        """The landlord signs a lease from now on with a tenant's phone number: his phone's wish."""
        now, door = datetime.now(UTC).replace(microsecond=0), self.doors[room]
        until = now + timedelta(days=LEASE_DAYS)
        body = {
            "door_id": door,
            "window": {
                "from": instant(now),
                "until": instant(until),
            },
            "tenants": [self.players[role].actor.phone],
        }
        lasts = {"from": int(now.timestamp()), "until": int(until.timestamp())}
        phone = self.landlord.phone
        signed = phone.wish_for(WishOperation.SIGN_TENANCY, UUID(door).bytes, body, lasts)
        lease: dict[str, Any] = await self.landlord.app.post("/tenancies", signed)
        self.leases[role] = lease
        return lease

    async def seen(self, door: str) -> dict[str, Any]:
        """What somebody who stands at a door, and may look inside the lock, sees."""
        return await self.world.lock(self.boxes[door].serial)

    async def heal(self, door: str) -> None:
        """Give a lock its network back, and wait until it speaks to the broker. Raises TimeoutError."""
        await self.world.hand("heal", self.boxes[door].serial)
        async with asyncio.timeout(CONVERGE_S):
            while not (await self.seen(door))["connected"]:  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(POLL_S)

    async def landed(self, door: str) -> None:
        """Wait until a lock has reported that it holds every document of today. Raises TimeoutError."""
        async with asyncio.timeout(CONVERGE_S):
            while (await self.landlord.app.get(f"/locks/{self.locks[door]}"))["documents_pending"]:  # noqa: ASYNC110 - the server's state
                await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        """Put all phones away."""
        for player in self.players.values():
            await player.close()


def open_story(stage: Stage, world: World, folder: Path) -> Story:
    """Draw a fresh cast."""
    players = {role: Player(draw_actor(role), world, folder) for role in ROLES}
    return Story(stage, world, players, folder)


def instant(when: datetime) -> str:
    """Write an instant as the API does."""
    return when.replace(microsecond=0).isoformat().replace("+00:00", "Z")
