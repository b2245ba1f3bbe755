"""Take what a gateway says: who it reaches, what became of an errand, and reports, which only locks sign."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.domain.gateway import Sighting
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.gateway import (
    AskGatewayHello,
    CarriedReport,
    CarryMaterial,
    GatewayHello,
    Handed,
    Heard,
    decode_up,
    encode_down,
)

BATCH: Final = 24
"""Credentials and door documents in one frame: it fits an envelope with room."""
NOTED_AGAIN: Final = timedelta(seconds=30)
"""A sight as loud as before is written down again after so long."""
LOUDER_DB: Final = 6


async def hear_gateway(
    world: Bridging, gateway_id: UUID, payload: bytes, *, keeper: bool = True
) -> CarriedReport | None:
    """Take one frame; a report that it carried is returned, to be verified as any other.

    Every bridge hears every gateway, since locks of all shards are carried by it; its `keeper` writes down what
    it says of itself and gives it what it needs.

    Raises RemoteError: no frame at all, or no gateway of ours.
    """
    frame = decode_up(payload)
    now = world.clock.now()
    carrying = world.carrying
    if not carrying.knows(gateway_id) and not await seat_gateway(world, gateway_id, keeper=keeper):
        raise RemoteError(Denial.UNKNOWN_KEY, "no gateway of ours")
    if isinstance(frame, CarriedReport):
        return frame
    if isinstance(frame, GatewayHello):
        news = carrying.gateway_says(gateway_id, frame.boot, frame.free, now)
        if not keeper:
            return None
        if news:  # it has started anew, and knows nothing
            await seat_gateway(world, gateway_id)
        async with world.transactions.alone() as work:
            await work.gateways.says(gateway_id, frame.boot, frame.free, now)
    elif isinstance(frame, Heard):
        heard = carrying.gateway_hears(gateway_id, frame.sights, now)
        if keeper:
            await _saw(world, gateway_id, heard, now)
    elif isinstance(frame, Handed):
        moves = carrying.handed(gateway_id, frame.ref, frame.fault, now)
        world.hand_out(moves)
        await world.note(moves)
    return None


async def seat_gateway(world: Bridging, gateway_id: UUID, *, keeper: bool = True) -> bool:
    """Look a gateway up anew and give it what it needs; one that was removed loses its seat and its connection."""
    now = world.clock.now()
    async with world.transactions.begin() as work:
        gateway = await work.gateways.get(gateway_id)
        held = await work.gateway_credentials.living(gateway_id, now)
    if gateway is None or gateway.state != "active":
        moves = world.carrying.unseat(gateway_id, now)
        world.hand_out(moves)
        await world.note(moves)
        if gateway is not None and keeper:
            await world.expel(gateway_id)
        return False
    world.carrying.seat(gateway_id, [one.lock_id for one in held], now)
    for start in range(0, len(held) if keeper else 0, BATCH):
        part = held[start : start + BATCH]
        material = CarryMaterial(tuple(one.raw for one in part), tuple(one.door for one in part))
        world.bus.publish_gateway(gateway_id.bytes, encode_down(material))
    return True


async def greet_gateways(world: Bridging) -> None:
    """Ask every gateway where it stands: it does not know that we were away."""
    async with world.transactions.alone() as work:
        found = await work.gateways.active()
    for gateway in found:
        world.bus.publish_gateway(gateway.id.bytes, encode_down(AskGatewayHello()))


async def gateway_gone(world: Bridging, gateway_id: UUID) -> None:
    """The broker says that a gateway's connection ended: what it had goes another way."""
    moves = world.carrying.unseat(gateway_id, world.clock.now())
    world.hand_out(moves)
    await world.note(moves)


async def _saw(world: Bridging, gateway_id: UUID, heard: list[tuple[UUID, int]], now: datetime) -> None:
    """Write down what is news: a lock heard for the first time, much louder or fainter, or after a while."""
    news = []
    for lock_id, rssi in heard:
        before = world.sights.get((gateway_id, lock_id))
        if before is None or abs(before[0] - rssi) >= LOUDER_DB or now - before[1] >= NOTED_AGAIN:
            world.sights[gateway_id, lock_id] = (rssi, now)
            news.append(Sighting(gateway_id, lock_id, rssi, now))
    if news:
        async with world.transactions.alone() as work:
            await work.gateways.saw(news)
