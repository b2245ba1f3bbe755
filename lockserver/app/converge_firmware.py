"""Bring a lock's firmware up to what was added for it: a piece, an answer, the next piece.

The server neither signs nor checks an image for the lock: the manufacturer's signature, the counter and the hash are
the lock's to judge (L-14). A lock that refused a counter is never offered it again; silence is met with a growing
pause, and after `TRIES` with rest until the lock next says hello.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.converge_access import ask_hello, command_id, pause
from lockserver.app.ports import UnitOfWork
from lockserver.domain.firmware import FirmwareImage
from lockserver.domain.lock import Lock, LockStatus
from lockserver.protocol.commands import Command as WireCommand
from lockserver.protocol.commands import CommandKind, FirmwareBody
from lockserver.protocol.errors import Denial
from lockserver.protocol.limits import MAX_CHUNK
from lockserver.protocol.reports import FirmwareState

TRIES: Final = 6
"""Pieces sent into silence, one after another, before we wait for the lock's next hello."""
REST: Final = timedelta(hours=1)
"""A lock whose update broke off is left alone for so long."""
NOT_FINAL: Final = frozenset({Denial.BUSY, Denial.BACK_OFF, Denial.WRONG_STATE, Denial.TORN})
"""Denials that say nothing about the image."""


@dataclass(frozen=True, slots=True)
class Update:
    """An update under way: what was sent last, how often, and when it may be sent again."""

    image: FirmwareImage
    offset: int
    tries: int
    again_at: datetime


async def offer_firmware(world: Bridging, lock_id: UUID) -> bool:
    """Ask a lock how far it is with the newest image for it; True: something was sent."""
    lock = await world.lock(lock_id)
    if lock is None:
        return False
    now = world.clock.now()
    under_way = world.updates.get(lock_id)
    if under_way is not None and now < under_way.again_at and under_way.offset < under_way.image.size:
        return False
    async with world.transactions.alone() as work:
        image = await work.firmware.newest(lock.serial)
        status = await work.lock_states.get(lock_id)
    if image is None or not _wants(status, image):
        world.updates.pop(lock_id, None)
        return False
    if under_way is not None and under_way.image == image and now < under_way.again_at:
        return False  # it has all of it, and has yet to boot
    return _send(world, lock, Update(image, 0, 0, now), None, now)


async def continue_firmware(world: Bridging, lock_id: UUID, said: FirmwareState) -> bool:
    """Send the piece that the lock wants next; True: one was sent. Its refusals are noted before."""
    update, lock = world.updates.get(lock_id), await world.lock(lock_id)
    if update is None or lock is None:
        return False
    image, now = update.image, world.clock.now()
    if said.counter >= image.counter or refuses(said) or said.target != image.counter:
        world.updates.pop(lock_id, None)
        return False
    if said.offset >= image.size:  # whole: it reboots when nobody stands at the door, and says hello
        world.updates[lock_id] = replace(update, offset=image.size, tries=1, again_at=now + pause(1))
        return False
    async with world.transactions.alone() as work:
        chunk = await work.firmware.part(image.id, said.offset, MAX_CHUNK)
    return _send(world, lock, Update(image, said.offset, 0, now), chunk, now)


async def repeat_firmware(world: Bridging) -> None:
    """Meet silence: what was sent last is asked about again, a few times."""
    now = world.clock.now()
    for lock_id, update in list(world.updates.items()):
        if now < update.again_at:
            continue
        lock = await world.lock(lock_id)
        if lock is None or update.tries >= TRIES:
            world.updates[lock_id] = replace(update, tries=0, again_at=now + REST)
        elif (
            update.offset >= update.image.size
        ):  # one behind a gateway says nothing by itself when it is up again
            world.updates[lock_id] = replace(
                update, tries=update.tries + 1, again_at=now + pause(update.tries + 1)
            )
            ask_hello(world, lock)
        else:
            _send(world, lock, update, None, now)


async def note_firmware(
    world: Bridging, work: UnitOfWork, lock: Lock, status: LockStatus, said: FirmwareState
) -> LockStatus:
    """Note what runs, and what the lock will not have: a refusal does not name the image, we know what we sent."""
    told = replace(status, firmware=said.counter, firmware_version=said.version)
    update = world.updates.get(lock.id)
    if update is None or said.denial is None or not refuses(said) or said.counter >= update.image.counter:
        return told
    counter, denial = update.image.counter, said.denial.word
    await work.audit.write(
        "role:bridge", "firmware_refused", f"lock:{lock.id}", counter=counter, denial=denial
    )
    return replace(told, firmware_refused=counter, firmware_denial=denial)


def refuses(said: FirmwareState) -> bool:
    """Tell whether the lock will not have this image, whenever it is offered."""
    return said.denial is not None and said.denial not in NOT_FINAL


def _wants(status: LockStatus, image: FirmwareImage) -> bool:
    """Tell whether the lock runs an older one, says what it runs, and did not refuse this."""
    return status.firmware is not None and status.firmware < image.counter != status.firmware_refused


def _send(world: Bridging, lock: Lock, update: Update, chunk: bytes | None, now: datetime) -> bool:
    tries = update.tries + 1
    world.updates[lock.id] = replace(update, tries=tries, again_at=now + pause(tries))
    body = FirmwareBody(update.image.manifest, update.offset, chunk)
    return world.send(lock, WireCommand(command_id(world, now), CommandKind.FIRMWARE, body))
