"""Ask locks what their keypads and readers really hold: once a day, and when somebody wants to know."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.ports import UnitOfWork
from lockserver.domain.ids import uuid7
from lockserver.protocol.commands import Command, CommandKind, InventoryBody

EVERY: Final = timedelta(days=1)
HEARD_WITHIN: Final = timedelta(hours=1)
"""A lock that has been away longer is asked when it is back."""


async def request_inventories(work: UnitOfWork, now: datetime) -> int:
    """Have the bridge ask every lock whose last inventory is a day old (a job of the role jobs); how many."""
    due = await work.lock_states.due_for_inventory(now - EVERY, now - HEARD_WITHIN)
    for lock_id in due:
        await request_inventory(work, lock_id)
    return len(due)


async def request_inventory(work: UnitOfWork, lock_id: UUID) -> None:
    """Have the bridge ask one lock, when this transaction commits."""
    await work.notify("inventory", lock_id.hex)


async def ask_inventory(world: Bridging, lock_id: UUID) -> bool:
    """Ask the lock; False: nobody was there to carry the question."""
    lock = await world.lock(lock_id)
    if lock is None:
        return False
    command_id = uuid7(world.clock.now(), world.random(10)).bytes
    return world.send(lock, Command(command_id, CommandKind.INVENTORY, InventoryBody()))
