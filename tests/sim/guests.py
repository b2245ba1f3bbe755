"""Guests: a tenant names one, then freezes, thaws, cuts, widens or takes back what he gave, each by a signed wish.

What the wishes say is added up here by our own arithmetic (`Span`, `Given`), for the law that an edit never widens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lockserver.app.change_grant import Changed
from lockserver.domain.errors import DomainError
from lockserver.protocol.curve import sha256
from lockserver.protocol.wish import WishOperation
from mobile_api.phone.bundle import b64
from tests.sim.agenda import T0, instant
from tests.sim.oracle import Right
from tests.sim.plan import DAY, HOUR, MINUTE, SECOND
from tests.sim.town import new_phone, newcomer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from tests.sim.chance import Chance
    from tests.sim.people import Person
    from tests.sim.plan import Item
    from tests.sim.world import World

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALWAYS: Final = frozenset(range(7 * 24))
MOST_GUESTS: Final = 4
#: The words for what a lock lets somebody do; everything a guest may ever be given.
VERBS: Final = ("unlock", "hold_open", "lock")


@dataclass(frozen=True, slots=True)
class Span:
    """How far a right goes: milliseconds of the world, verbs, hours of the week on the house's wall clock."""

    lower: int
    upper: int
    verbs: frozenset[str]
    hours: frozenset[int] = ALWAYS

    def within(self, other: Span) -> bool:
        """Whether nothing of it lies outside the other."""
        inside = other.lower <= self.lower and self.upper <= other.upper
        return inside and self.verbs <= other.verbs and self.hours <= other.hours

    def joined(self, other: Span) -> Span:
        """Whatever one of the two allows, and what lies between."""
        lower, upper = min(self.lower, other.lower), max(self.upper, other.upper)
        return Span(lower, upper, self.verbs | other.verbs, self.hours | other.hours)


@dataclass(eq=False, slots=True)
class Given:
    """What one tenant gave one guest at one door, by the wishes alone."""

    giver: Person
    guest: Person
    door: str
    span: Span
    """As it stands by the last wish of which the giver was told that it is so."""
    bound: Span
    """As far as it can reach now, whatever became of wishes of which nobody was told."""
    ever: Span
    """As far as it ever could reach: keys of then may still be in hands."""
    live: Right
    may: Right
    grant_id: UUID | None = None
    state: str = "active"
    """What it certainly is: `frozen`, `revoked`; otherwise nothing is claimed."""
    waits: bool = True
    """Its giver waits for an answer."""
    doubtful: bool = False
    """Some answer never came: from here on it is known only how far it can reach at most."""

    def reaches(self, span: Span) -> None:
        """From now on it may go so far."""
        self.bound, self.ever = self.bound.joined(span), self.ever.joined(span)
        self.may.lower = T0 + self.ever.lower / 1000
        self.may.upper = T0 + self.ever.upper / 1000

    def stands(self, span: Span) -> None:
        """The giver was told so."""
        self.span = span
        if not self.doubtful:
            self.bound = span
        self.live.lower, self.live.upper = T0 + span.lower / 1000, T0 + span.upper / 1000


# ---- acts


def guest(world: World, item: Item) -> None:
    """A tenant lets a guest in, at his room or at the gate too."""
    dice = world.dice.of("item", item.number)
    now = world.agenda.ms
    homes = [one for one in world.oracle.rights if one.kind == "tenant" and _stays(one, world, 2 * MINUTE)]
    if not homes or len({one.guest.name for one in world.given}) >= MOST_GUESTS:
        return
    home = dice.one(homes)
    giver, person = world.people[home.person], newcomer(world, f"guest-{item.number}")
    phone = new_phone(world, person)
    assert home.upper is not None
    last = int(home.upper - T0) * 1000
    lower = _whole(max(now, int(home.lower - T0) * 1000) + SECOND)
    upper = min(lower + dice.one((MINUTE, HOUR, DAY, 20 * DAY)), last)
    hours = _some_hours(dice) if dice.happens(0.4) else None
    verbs = dice.one((("unlock",), ("unlock", "lock")))
    doors = [home.door, "gate"] if dice.happens(0.3) else [home.door]
    key = sha256(phone.bundle.sign_public)
    body: dict[str, Any] = {
        "door_ids": [str(world.door(one).door_id) for one in doors],
        "class": "guest",
        "guest_key": b64(key),
        "window": _window(lower, upper),
        "capabilities": list(verbs),
    }
    if hours is not None:
        body["schedule"] = _schedule(hours)
    span = Span(lower, upper, frozenset(verbs), ALWAYS if hours is None else _cells(hours))
    fresh = [_promised(world, giver, person, door, span, home) for door in doors]
    target = world.door(home.door).door_id.bytes
    wished = giver.phone.wished_body(WishOperation.NAME_GUEST, target, body, {"key": key})

    def told(answer: Any) -> None:
        for one in fresh:
            one.waits = False
        if not isinstance(answer, Sequence):
            for one in fresh:
                one.doubtful = True
            return
        world.say(f"{giver.name} lets {person.name} in at {', '.join(doors)}")
        for one in fresh:
            one.grant_id = next(at.id for at in answer if at.door_id == world.door(one.door).door_id)
            _alive(world, one)
        _visits(world, person)

    world.call(giver.phone, "name guest", lambda: world.api.name_guest(giver, wished), told)


def change_guest(world: World, item: Item) -> None:
    """A tenant changes what he gave: often a part of it only, now and then without the word that widening takes."""
    dice = world.dice.of("item", item.number)
    if not any(one.grant_id for one in world.given):
        guest(world, item)
    for number in range(dice.between(1, 4)):
        world.agenda.after(1 + number * dice.between(1_500, 5_000), "changes", lambda: _change(world, dice))


def _change(world: World, dice: Chance) -> None:
    mine = [one for one in world.given if one.grant_id and not one.waits and one.state != "revoked"]
    if not mine or world.healing:
        return
    given = dice.one(mine)
    what = dice.weighted({"edit": 12, "freeze": 3, "unfreeze": 4, "revoke": 1})
    if what == "edit":
        _edit(world, given, dice)
    else:
        _say(world, given, WishOperation[what.upper()])


def guest_visit(world: World, item: Item) -> None:
    """A guest comes, with news or without."""
    dice = world.dice.of("item", item.number)
    people = list(dict.fromkeys(one.guest.name for one in world.given))
    if not people:
        guest(world, item)
    else:
        _visits(world, world.people[dice.one(people)], bare=dice.happens(0.4), news=dice.happens(0.6))


# ---- what is signed


def _edit(world: World, given: Given, dice: Chance) -> None:
    """One wish that mentions some members and not the others."""
    span, now = given.span, _whole(world.agenda.ms)
    said: dict[str, Any] = {}
    after = span
    for member in dice.some(("until", "from", "capabilities", "schedule"), 1 + dice.happens(0.3)):
        if member == "until":
            upper = dice.one((span.upper + HOUR, span.upper + 2 * DAY, max(now, span.lower) + 20 * MINUTE))
            said.setdefault("window", {})["until"] = instant(upper).isoformat()
            after = replace(after, upper=upper)
        elif member == "from":
            lower = dice.one((span.lower - HOUR, span.lower + 5 * SECOND))
            said.setdefault("window", {})["from"] = instant(lower).isoformat()
            after = replace(after, lower=lower)
        elif member == "capabilities":
            verbs = dice.one((("unlock",), ("unlock", "lock"), VERBS))
            said["capabilities"] = list(verbs)
            after = replace(after, verbs=frozenset(verbs))
        else:
            hours = None if dice.happens(0.3) else _some_hours(dice)
            said["schedule"] = None if hours is None else _schedule(hours)
            after = replace(after, hours=ALWAYS if hours is None else _cells(hours))
    widens = dice.happens(0.4)
    if widens:
        said["widen"] = True
        given.reaches(after)
    given.waits, given.live.doubtful = True, True
    giver = given.giver
    assert given.grant_id is not None
    grant_id = given.grant_id
    wished = giver.phone.wished_body(WishOperation.EDIT_GRANT, grant_id.bytes, said)

    def told(answer: Any) -> None:
        given.waits, given.live.doubtful = False, False
        if isinstance(answer, Changed):
            world.book.edited += 1
            if not widens and not after.within(span) and not given.doubtful:
                world.widened.append(f"{giver.name} was told that {sorted(said)} is so: it reaches further")
            world.say(f"{giver.name} edits what {given.guest.name} may at {given.door}: {sorted(said)}")
            given.stands(after)
        elif not isinstance(answer, DomainError) or widens:
            given.doubtful = True
        if given.doubtful:
            given.live.doubtful = True

    world.call(giver.phone, "edit guest", lambda: world.api.edit_guest(giver, grant_id, wished), told)


def _say(world: World, given: Given, operation: WishOperation) -> None:
    """Freeze, thaw or take back."""
    giver, word = given.giver, operation.name.lower()
    assert given.grant_id is not None
    grant_id = given.grant_id
    _, raw = giver.phone.wished(operation, grant_id.bytes)
    if operation is WishOperation.UNFREEZE:
        given.state = ""
        given.may.ended = None
    given.waits, given.live.doubtful = True, True

    def told(answer: Any) -> None:
        given.waits = False
        if isinstance(answer, Changed):
            world.say(f"{giver.name} wishes: {word} {given.guest.name} at {given.door}")
            if operation is WishOperation.UNFREEZE:
                _alive(world, given)
            elif operation is WishOperation.REVOKE or not given.doubtful:
                given.state = "frozen" if operation is WishOperation.FREEZE else "revoked"
                given.live.ended = given.may.ended = world.agenda.seconds
        else:
            given.doubtful = True

    world.call(
        giver.phone, f"{word} guest", lambda: world.api.change_guest(giver, operation, grant_id, raw), told
    )


def _promised(world: World, giver: Person, person: Person, door: str, span: Span, home: Right) -> Given:
    """A wish is out: from here on it may be so."""
    lower, upper = T0 + span.lower / 1000, T0 + span.upper / 1000
    live = Right(person.name, door, "guest", lower, upper, home.tenancy, doubtful=True)
    may = Right(person.name, door, "guest, perhaps", lower, upper, home.tenancy, doubtful=True)
    world.oracle.rights += [live, may]
    given = Given(giver, person, door, span, span, span, live, may)
    world.given.append(given)
    return given


def _alive(world: World, given: Given) -> None:
    """Its giver was told that it lives; unless the lease is over by now."""
    over = given.live.tenancy is not None and any(
        one.tenancy == given.live.tenancy and one.kind == "tenant" and one.ended is not None
        for one in world.oracle.rights
    )
    if not over:
        given.state, given.live.ended, given.may.ended = "active", None, None
        given.live.doubtful = given.doubtful


def _visits(world: World, person: Person, *, bare: bool = False, news: bool = True) -> None:
    from tests.sim.acts import knock, sync

    door = world.door(next(one.door for one in world.given if one.guest is person))
    go: Callable[[Any], object] = lambda _kit: knock(world, person, door, bare=bare)  # noqa: E731
    if news:
        sync(world, person.phone, go)
    else:
        go(None)


# ---- words for windows and hours


def _stays(right: Right, world: World, ms: int) -> bool:
    now = world.agenda.seconds
    return right.lives(now) and right.lives(now + ms / 1000)


def _whole(ms: int) -> int:
    return ms - ms % 1000


def _window(lower: int, upper: int) -> Mapping[str, str]:
    return {"from": instant(lower).isoformat(), "until": instant(upper).isoformat()}


def _some_hours(dice: Chance) -> tuple[tuple[str, ...], int, int]:
    """Days, and two full hours of each."""
    begins = dice.between(0, 12)
    return tuple(dice.some(DAYS, dice.between(3, 7))), begins, begins + dice.between(4, 12)


def _schedule(hours: tuple[tuple[str, ...], int, int]) -> dict[str, Any]:
    days, begins, ends = hours
    line = {"days": list(days), "from": f"{begins:02}:00", "until": f"{ends:02}:00"}
    return {"zone": "Asia/Shanghai", "weekly": [line]}


def _cells(hours: tuple[tuple[str, ...], int, int]) -> frozenset[int]:
    days, begins, ends = hours
    return frozenset(DAYS.index(day) * 24 + hour for day in days for hour in range(begins, ends))


GUESTS: dict[str, Any] = {"guest": guest, "change_guest": change_guest, "guest_visit": guest_visit}
