"""Keep `connected` true: a lock is connected while it holds a connection to the broker, as far as anybody knows.

The broker says when a connection ends (NATS: system events, at once; a dead line after its keepalive). Where no
broker says so, silence does: a lock that said nothing for `SILENT` is asked, and has `ANSWER` to say hello. So
`connected` is wrong for six minutes at most, and `last_seen_at` says how old it is meanwhile (L-50).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.converge_access import ask_hello, hello_command

SILENT: Final = timedelta(minutes=5)
ANSWER: Final = timedelta(seconds=30)
VISIT: Final = timedelta(minutes=5)
"""How old the word of a lock behind a gateway may grow: each visit wakes its radio, and brings its journal."""
VISITS: Final = 64
"""Locks visited in one go: a gateway talks to a few at once, and acts come first."""


async def lock_gone(world: Bridging, lock_id: UUID) -> None:
    """A connection of this lock has ended; if it has another already, its hello says so in a moment."""
    lock = await world.lock(lock_id)
    if lock is None:
        return
    world.carrying.gone(lock_id)
    async with world.transactions.alone() as work:
        await work.lock_states.disconnected([lock_id])
    world.bus.publish(lock_id.bytes, world.seal(lock, hello_command(world)))


async def ask_the_silent(world: Bridging) -> None:
    """Ask locks that were silent for long; those that were asked and said nothing are gone."""
    now = world.clock.now()
    for lock_id in world.carrying.silent_since(now - SILENT, asked_before=now - ANSWER):
        await lock_gone(world, lock_id)
    for lock_id in world.carrying.to_be_asked(now - SILENT, now):
        lock = await world.lock(lock_id)
        if lock is not None:
            world.bus.publish(lock_id.bytes, world.seal(lock, hello_command(world)))


async def visit_the_carried(world: Bridging) -> None:
    """Ask locks that only gateways reach where they stand: they have no connection on which to say it by themselves."""
    now = world.clock.now()
    for lock_id in world.carrying.to_be_visited(now - VISIT, now)[:VISITS]:
        lock = await world.lock(lock_id)
        if lock is not None:
            ask_hello(world, lock)


async def correct_connections(world: Bridging, owns: Callable[[UUID], bool]) -> list[UUID]:
    """Take back `connected` from locks of ours that nobody of us has heard: what stood so before our start."""
    async with world.transactions.alone() as work:
        wrong = [
            lock_id
            for lock_id in await work.lock_states.connected()
            if owns(lock_id) and not world.carrying.is_direct(lock_id)
        ]
        if wrong:
            await work.lock_states.disconnected(wrong)
    return wrong
