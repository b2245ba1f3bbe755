"""Who means harm: replays on the radio and at the broker, keys that outlived their right, pooled material,
strangers, a thief of a session, old documents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.envelope import Envelope, Position, seal_report
from lockserver.protocol.journal import Entry, How, What
from lockserver.protocol.reports import JournalBatch
from lockserver.protocol.wish import WishOperation
from mobile_api.phone.door import DoorKey
from tests.sim.plan import DAY
from tests.sim.town import new_phone, newcomer
from tests.sim.visits import Replay, Stranger, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.chance import Chance
    from tests.sim.locks import LockActor
    from tests.sim.people import PhoneActor
    from tests.sim.plan import Item
    from tests.sim.world import World

STRANGERS = (1, 9)
_NAMES = {
    "revocation_list": DocumentKind.REVOCATION,
    "access_state": DocumentKind.STATE,
    "time": DocumentKind.TIME,
}


def _dice(world: World, item: Item) -> Chance:
    return world.dice.of("item", item.number)


def replay_radio(world: World, item: Item) -> None:
    """Somebody overheard an opening and plays it again, here or at another door."""
    dice = _dice(world, item)
    if not world.air:
        return
    heard = dice.one(world.air)
    lock = heard.lock if dice.happens(0.7) else dice.one(world.locks)
    if lock.lock is not None:
        world.weather.struck["radio.replay"] += 1
        Replay(world, lock, heard).start()


def replay_command(world: World, item: Item) -> None:
    """The broker sends again what it saw, to the same lock or to another."""
    dice = _dice(world, item)
    for _ in range(dice.between(1, 4)):
        if not world.broker.commands:
            return
        lock_id, payload = dice.one(world.broker.commands[-12:])
        lock = world.by_id[lock_id] if dice.happens(0.8) else dice.one(world.locks)
        retained = dice.happens(0.3)
        kind = "retain" if retained else ("replay" if lock.id == lock_id else "elsewhere")
        world.weather.struck[f"broker.{kind}"] += 1
        why = "retained" if retained else "a replay"

        def again(
            lock: LockActor = lock, payload: bytes = payload, retained: bool = retained, why: str = why
        ) -> None:
            lock.received(payload, retained=retained, why=why)

        world.agenda.after(dice.between(1, 30_000), "the broker replays", again)


def replay_report(world: World, item: Item) -> None:
    """The broker gives the bridge again what it saw, as the same lock or as another."""
    dice = _dice(world, item)
    for _ in range(dice.between(1, 5)):
        if not world.broker.reports:
            return
        lock_id, payload = dice.one(world.broker.reports)
        named = lock_id if dice.happens(0.8) else dice.one(sorted(world.by_id))
        retained = dice.happens(0.2)
        world.weather.struck["broker.report_replay"] += 1
        world.broker.hand_up(named, payload, retained=retained)


def hold(world: World, item: Item) -> None:
    """The broker holds the next commands back: past their deadline, or just about."""
    dice = _dice(world, item)
    world.broker.holding.append(
        (world.agenda.ms + 120_000, "hold", dice.one((4_000, 15_000, 19_500, 22_000, 60_000)))
    )


def retain(world: World, item: Item) -> None:
    """The broker lets the next commands come as retained ones."""
    dice = _dice(world, item)
    world.broker.holding.append((world.agenda.ms + 120_000, "retain", dice.one((5, 3_000, 25_000))))


def double(world: World, item: Item) -> None:
    """The broker hands over each of the next commands twice, or once more after a while."""
    dice = _dice(world, item)
    world.broker.holding.append((world.agenda.ms + 120_000, "double", dice.one((2, 700, 3_000, 9_000))))


def ambush(world: World, item: Item) -> None:
    """Somebody turns a lock's clock back and has the broker hold back what its tenant then asks for."""
    from tests.sim.acts import from_afar

    dice = _dice(world, item)
    now = world.agenda.seconds
    rights = [
        one
        for one in world.oracle.rights
        if one.kind == "tenant" and one.lives(now) and world.door(one.door).online
    ]
    if not rights:
        return
    right = dice.one(rights)
    lock = world.door(right.door)
    seconds = dice.one((5, 9, 18, 300))
    world.weather.struck["clock.back"] += 1
    lock.pass_time()
    lock.clocks.shift(-seconds)
    world.book.of(lock).befalls(seconds)
    world.say(f"{lock.name}: its clock is turned back by {seconds} s, and the broker waits")
    world.broker.holding.insert(0, (world.agenda.ms + 2_000, "hold", dice.one((21_500, 24_000, 40_000))))
    from_afar(world, world.people[right.person], lock)


def turnover(world: World, item: Item) -> None:
    """Everybody leaves early, others move in and open at once, carrying nothing; then a former tenant is back."""
    from tests.sim import acts

    dice = _dice(world, item)
    now = world.agenda.seconds
    living = [
        one
        for one in world.tenancies
        if any(r.tenancy == one[0] and r.lives(now) for r in world.oracle.rights)
    ]
    if not living:
        return
    tenancy_id, door, leaving = dice.one(living)
    if any(one.door == door and one.kind == "tenant" and one.lower > now for one in world.oracle.rights):
        return  # a lease before one that is signed already: docs/open.md, "epochs follow signatures"
    lock, agenda = world.door(door), world.agenda
    acts.leave(world, tenancy_id, leaving, leaving)
    coming = newcomer(world, f"tenant-{item.number}-new")
    new_phone(world, coming)
    lower = agenda.ms + 1_000
    agenda.after(2_000, "moves in", lambda: acts.sign(world, door, [coming], lower, lower + 5 * DAY))
    for later in (5_000, 9_000):
        agenda.after(
            later,
            "syncs",
            lambda: acts.sync(world, coming.phone, lambda _k: acts.knock(world, coming, lock, bare=True)),
        )
    agenda.after(14_000, "is back", lambda: try_kept(world, leaving[0].phone, lock, lambda _visit: None))


def keeper(world: World, item: Item) -> None:
    """A former tenant, or one whose phone was removed, tries everything that he ever got, bringing nothing."""
    dice = _dice(world, item)
    phones = [one for person in world.people.values() for one in person.phones if one.attic]
    former = [one for one in phones if one.lost or not _lives(world, one.person.name)]
    if not former:
        return
    phone = dice.one(former)
    lock_id = dice.one(list(phone.attic))
    lock = next(one for one in world.locks if one.id is not None and one.id.bytes == lock_id)
    if lock.lock is None:
        return
    credential, documents = dice.one(phone.attic[lock_id])
    carried = documents if dice.happens(0.4) else {}
    world.weather.struck["key.kept"] += 1
    Visit(world, phone, lock, _key(phone, lock_id, credential, carried), kind="keeper").start()


def try_kept(world: World, phone: PhoneActor, lock: LockActor, done: Callable[[Visit], None]) -> None:
    """One phone tries the newest key that it ever got for a door, and brings nothing."""
    if lock.id is None or lock.lock is None or lock.id.bytes not in phone.attic:
        return
    credential, _ = phone.attic[lock.id.bytes][-1]
    key = _key(phone, lock.id.bytes, credential, {})
    Visit(world, phone, lock, key, kind="keeper", done=done).start()


def pool(world: World, item: Item) -> None:
    """Two hostile holders put together what they have."""
    dice = _dice(world, item)
    phones = [one for person in world.people.values() for one in person.phones if one.attic]
    if len(phones) < 2 or not world.locks:
        return
    one, other = dice.some(phones, 2)
    lock_id = dice.one(list(one.attic))
    credential, documents = dice.one(one.attic[lock_id])
    lock = next(at for at in world.locks if at.id is not None and at.id.bytes == lock_id)
    signer, holder = other.signer, other
    way = dice.one(("another's key", "another door", "another door", "self-issued"))
    if way == "another door":
        lock, signer, holder = dice.one([at for at in world.locks if at.id != lock.id]), one.signer, one
    elif way == "self-issued":
        signer = EcdsaSigner(private_key(dice.bytes))
    if lock.lock is None or lock.id is None or lock.lock.identity is None:
        return
    world.weather.struck["key.pooled"] += 1
    key = replace(
        _key(one, lock_id, credential, documents),
        lock_id=lock.id.bytes,
        lock_public=lock.lock.identity.signer.public,
    )
    Visit(world, holder, lock, key, signer=signer, own=False, kind="pool").start()


def stranger(world: World, item: Item) -> None:
    """Somebody without any key fails handshakes, one after the other."""
    dice = _dice(world, item)
    lock = dice.one(world.locks)
    left = dice.between(*STRANGERS)

    def next_one(_visit: Any = None) -> None:
        nonlocal left
        left -= 1
        if left >= 0 and lock.lock is not None and not world.healing:
            world.weather.struck["radio.stranger"] += 1
            Stranger(world, lock, next_one).start()

    next_one()


def thief(world: World, item: Item) -> None:
    """Somebody has a tenant's session: he wishes with his own key, or with a wish that was used."""
    dice = _dice(world, item)
    tenants = [one for one in world.people.values() if one is not world.landlord and one.phones]
    if not tenants:
        return
    victim = dice.one(tenants)
    lock = dice.one(world.locks)
    lock_id = lock.id
    if lock_id is None:
        return
    old = [raw for person, at, raw in world.wishes if person is victim and at is lock]
    if old and dice.happens(0.5):
        raw = dice.one(old)
    else:
        _, raw = world.landlord.phone.wished(WishOperation.UNLOCK, lock_id.bytes)
    world.weather.struck["session.stolen"] += 1
    key = dice.bytes(12).hex()
    world.call(world.landlord.phone, "stolen unlock", lambda: world.api.unlock(victim, lock_id, raw, key))


def old_documents(world: World, item: Item) -> None:
    """A tenant with a good key brings the oldest documents that he finds."""
    dice = _dice(world, item)
    phones = [one for person in world.people.values() for one in person.phones if one.attic and not one.lost]
    if not phones:
        return
    phone = dice.one(phones)
    lock_id = dice.one(list(phone.attic))
    lock = next(one for one in world.locks if one.id is not None and one.id.bytes == lock_id)
    kept = phone.attic[lock_id]
    if lock.lock is None:
        return
    world.weather.struck["documents.old"] += 1
    key = _key(phone, lock_id, kept[-1][0], dice.one(kept)[1])
    Visit(world, phone, lock, key, kind="old documents", everything=True).start()


def forge(world: World, item: Item) -> None:
    """A lock's own firmware lies: another history under its own signature, one that does not continue the kept one."""
    dice = _dice(world, item)
    lock = dice.one(world.locks)
    if lock.lock is None or lock.id is None or lock.lock.held is None:
        return
    status = next(iter(world.store.rows("lock_status", lock_id=lock.id)), None)
    if status is None or not status["journal_number"]:
        return
    entry = Entry(
        number=status["journal_number"] + 1,
        prev_hash=dice.bytes(32),
        what=What.UNLOCKED,
        how=How.BLE,
        subject=dice.bytes(16),
        at=world.agenda.unix,
        uncertainty=1,
    )
    position = Position(status["boot"] or 1, (status["seq"] or 0) + 1)
    identity = lock.lock.held.identity
    envelope = Envelope(identity.lock_id, position, JournalBatch((entry,)))
    key = lock.lock.held.trust.key_set.report_key
    sealed = seal_report(envelope, identity.signer, key, private_key(dice.bytes))
    world.weather.struck["lock.forged"] += 1
    world.broker.hand_up(lock.id, sealed)


def _key(phone: PhoneActor, lock_id: bytes, credential: bytes, documents: dict[str, bytes]) -> DoorKey:
    """What a phone shows at a door, put together by hand."""
    carried = tuple(SignedDocument(_NAMES[name], raw) for name, raw in documents.items() if name in _NAMES)
    pinned = phone.pinned[lock_id]
    return DoorKey(lock_id, pinned, credential, carried)


def _lives(world: World, person: str) -> bool:
    now = world.agenda.seconds
    return any(one.person == person and one.lives(now) for one in world.oracle.rights)


ATTACKS: dict[str, Any] = {
    "replay_radio": replay_radio,
    "replay_command": replay_command,
    "replay_report": replay_report,
    "hold": hold,
    "retain": retain,
    "keeper": keeper,
    "pool": pool,
    "stranger": stranger,
    "thief": thief,
    "old_documents": old_documents,
    "forge": forge,
    "double": double,
    "ambush": ambush,
    "turnover": turnover,
}
