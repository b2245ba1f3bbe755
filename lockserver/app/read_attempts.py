"""Every action at a lock as an attempt with its result and fault, for those whom it concerns (L-51).

A holder reads his own. The landlord reads his own and his staff's, and no resident's: who was let in how often is
a list of comings and goings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.app.read_lock import know_lock
from lockserver.domain.command import Command
from lockserver.domain.fault import fault_of
from lockserver.domain.grant import GrantClass

SHOWN = 100
"""Newest attempts in one answer."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One command as its reader may see it."""

    command: Command
    whose: Literal["mine", "owner", "staff"]

    @property
    def fault(self) -> str | None:
        """What stood in its way."""
        return fault_of(self.command.state, self.command.code, self.command.fault)


async def read_attempts(work: UnitOfWork, reader: UUID, lock_id: UUID, now: datetime) -> Sequence[Attempt]:
    """Return what this reader may see, newest first. Raises NotFoundError."""
    known = await know_lock(work, reader, lock_id, now)
    door = await work.doors.one(known.lock.door_id)
    house = await work.houses.one(door.house_id)
    found = await work.commands.attempts(
        lock_id, reader, also=("owner", "staff") if house.owner_holder_id == reader else (), limit=SHOWN
    )
    return [Attempt(command, _whose(command, class_, reader)) for command, class_ in found]


def _whose(command: Command, class_: GrantClass, reader: UUID) -> Literal["mine", "owner", "staff"]:
    if command.holder_id == reader:
        return "mine"
    return "owner" if class_ == "owner" else "staff"
