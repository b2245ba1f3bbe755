"""Read out a PIN that works with no network: the issuer alone computes it, the asking phone alone reads it.

What it can open, and until when, follows from its code and start hour, so both must lie inside what the
asking holder has himself. A PIN of a room's next epoch would end the present tenancy at the lock: none is
given for an hour that begins before its lease does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.find_presence import find_presence
from lockserver.app.find_standing import Standing, find_standing, is_adult_tenant, spend_at_lock
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_wish import Taken, check_same_phone, read_holders_wish
from lockserver.app.tend_slots import open_seed
from lockserver.domain.errors import (
    InvalidInputError,
    LockMissingError,
    NotAllowedError,
    TenancyLivesError,
    TenantProtectedError,
    WindowFarError,
    WindowPastError,
    WindowWideError,
)
from lockserver.domain.grant import Grant
from lockserver.domain.ids import uuid7
from lockserver.domain.pin_errors import PinHourFullError
from lockserver.domain.slot import GivenPin
from lockserver.domain.times import Window, from_seconds, whole_seconds
from lockserver.protocol.curve import private_key
from lockserver.protocol.limits import MAX_HOUR, PIN_TWINS, REQUEST_SKEW
from lockserver.protocol.pin import HOUR, OfflinePin, PinCode, pin_digits
from lockserver.protocol.sealed import Box, box_info, seal
from lockserver.protocol.wish import Wish, WishOperation

AHEAD: Final = timedelta(days=30)
"""How long before its start a PIN may be read out: one that lies about for a season is lost by then."""


@dataclass(frozen=True, slots=True, repr=False)
class ReadOut:
    """The digits in a box for the phone that asked, and what they can open when."""

    given: GivenPin
    box: bytes


async def give_offline_pin(world: Issuing, holder_id: UUID, lock_id: UUID, raw: bytes) -> ReadOut:
    """Answer a wish READ_PIN {code, start}; the same wish again is answered with the same PIN.

    Raises NotFoundError, InvalidInputError, NotAllowedError, TenantProtectedError, TenancyLivesError,
    GrantMissingError, WindowPastError, WindowFarError, WindowWideError, PinHourFullError, KeyWithheldError,
    LockMissingError (it has no seed), Wish…Error, PhoneUnknownError.
    """
    now = world.clock.now()
    async with world.transactions.begin() as work:
        standing = await find_standing(work, holder_id, lock_id, now)
        wished = await read_holders_wish(work, holder_id, raw)
        given = await work.given_pins.by_wish(UUID(bytes=wished.wish.wish_id))
        if given is None or (given.holder_id, given.lock_id) != (holder_id, lock_id):
            given, wished = await _give(world, work, standing, wished, raw, now)
        await check_same_phone(work, wished)
        box = await _box(world, work, standing, given, wished.phone.ecdh_pub)
    return ReadOut(given, box)


async def _give(
    world: Issuing, work: UnitOfWork, standing: Standing, wished: Taken, raw: bytes, now: datetime
) -> tuple[GivenPin, Taken]:
    code, start_hour = _asked(wished.wish)
    grant, epoch = await _may_give(work, standing, code, now)
    pin = OfflinePin(epoch, code, start_hour)
    await _check_window(work, standing, grant, pin, now)
    taken = await spend_at_lock(work, standing, grant, raw, WishOperation.READ_PIN, now)
    await work.locks.lock(standing.lock.id)  # one after the other: an hour has two PINs of a kind
    used = {one.n for one in await work.given_pins.twins(standing.lock.id, epoch, int(code), start_hour)}
    free = [n for n in range(PIN_TWINS) if n not in used]
    if not free:
        raise PinHourFullError(kind=code.name.lower(), most=PIN_TWINS)
    given = GivenPin(
        id=uuid7(now, world.random(10)),
        lock_id=standing.lock.id,
        holder_id=standing.holder_id,
        grant_id=grant.id,
        wish_id=UUID(bytes=taken.wish.wish_id),
        epoch=epoch,
        code=int(code),
        start_hour=start_hour,
        n=free[0],
        lower=from_seconds(pin.start),
        upper=from_seconds(pin.until),
    )
    await work.given_pins.add(given)
    await work.audit.write(
        f"holder:{standing.holder_id}",
        "give_offline_pin",
        f"lock:{standing.lock.id}",
        grant=str(grant.id),
        kind=code.name.lower(),
        start_hour=start_hour,
    )
    return given, taken


def _asked(wish: Wish) -> tuple[PinCode, int]:
    """Read code and start hour; raises InvalidInputError."""
    code, start = wish.args.get("code"), wish.args.get("start")
    if type(code) is not int or code not in set(PinCode):
        raise InvalidInputError(field="code")
    if type(start) is not int or not 0 <= start <= MAX_HOUR * HOUR or set(wish.args) != {"code", "start"}:
        raise InvalidInputError(field="start")
    return PinCode(code), start // HOUR


async def _may_give(work: UnitOfWork, standing: Standing, code: PinCode, now: datetime) -> tuple[Grant, int]:
    """Return the grant that this PIN would hang on, and its epoch.

    A room's guests are its adult tenants' own; its owner lets himself in while nobody lives there, and
    may then clear the keypad. Raises TenantProtectedError, NotAllowedError, GrantMissingError.
    """
    room = standing.door.kind == "room"
    tenants = [one for one in standing.grants if one.class_ == "tenant" and one.schedule is None]
    if code is not PinCode.OWNER and tenants and (room or code is not PinCode.CLEAR):
        grant = tenants[0]
        if not await is_adult_tenant(work, grant):
            raise NotAllowedError
        return grant, grant.epoch or 0
    if room and code not in (PinCode.OWNER, PinCode.CLEAR):
        # Guests of a room are its tenant's to name, whether or not there is one just now.
        raise TenantProtectedError
    if not room and code is PinCode.OWNER:
        raise NotAllowedError
    grant = standing.grant("owner") if room or code is PinCode.CLEAR else standing.grant("owner", "staff")
    if grant.schedule is not None:
        raise NotAllowedError
    if room and standing.home is not None:
        raise TenantProtectedError if code is PinCode.CLEAR else TenancyLivesError
    if code is PinCode.OWNER:
        return grant, 0  # owners' epochs are never raised by this server
    return grant, (await find_presence(work, standing.door, now)).epoch or 0


async def _check_window(
    work: UnitOfWork, standing: Standing, grant: Grant, pin: OfflinePin, now: datetime
) -> None:
    """Refuse what begins too early or late, or reaches outside what the giver holds.

    Raises WindowPastError, WindowFarError, WindowWideError, TenancyLivesError.
    """
    # a PIN of an hour that has begun is of use from now on: what lies before is nobody's to open
    starts, ends = from_seconds(pin.start), from_seconds(pin.until)
    if pin.start_hour < (whole_seconds(now) - REQUEST_SKEW) // HOUR:
        raise WindowPastError
    if starts > now + AHEAD:
        raise WindowFarError(days=AHEAD.days)
    if pin.code is not PinCode.CLEAR and not _inside(grant, max(starts, now), ends):
        held = {"from": grant.lower, "until": grant.upper}
        detail: dict[str, object] = {name: at and at.isoformat() for name, at in held.items()}
        raise WindowWideError("", **detail)
    if grant.class_ == "owner" and standing.door.kind == "room":
        for tenancy in await work.tenancies.of_house(standing.door.house_id):
            if (
                tenancy.door_id == standing.door.id
                and tenancy.state == "signed"
                and tenancy.window.overlaps(Window(starts, ends))
            ):
                raise TenancyLivesError


def _inside(grant: Grant, starts: datetime, ends: datetime) -> bool:
    """Tell whether the PIN's life lies in its giver's. An owner's begins with his house, to the hour or not."""
    lower = min(starts, grant.lower) if grant.class_ == "owner" else grant.lower
    return Window(starts, ends).lies_in(Window(lower, grant.upper))


async def _box(world: Issuing, work: UnitOfWork, standing: Standing, given: GivenPin, to: bytes) -> bytes:
    """Compute the digits and seal them to the phone; they are nowhere else, and kept by nobody."""
    seed = await open_seed(world, work, standing.lock.id)
    if seed is None:
        raise LockMissingError
    digits = pin_digits(seed, OfflinePin(given.epoch, PinCode(given.code), given.start_hour, given.n))
    info = box_info(Box.PIN, standing.lock.id.bytes)
    return seal(to, digits.encode("ascii"), info, private_key(world.random))
