"""Who pretends to be a lock: a fake one before an honest phone, and a man in the middle who passes on what he likes.

What is there at a door is a `Between`. It notes whether what the phone took for M2 is what the genuine lock said to
what the phone had said: that is the truth that L-03 asks for, and no key is needed to know it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.handshake import M1, M2, M3, LockHandshake, LockInfo, PhoneHandshake
from mobile_api.phone.errors import NoKeyError
from tests.sim.acts import dice_of
from tests.sim.benders import BENDS, deliver_bent
from tests.sim.neighbours import NEIGHBOURS
from tests.sim.radio import Connection
from tests.sim.spilled import SPILLS
from tests.sim.visits import Visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from tests.sim.locks import LockActor
    from tests.sim.people import PhoneActor
    from tests.sim.plan import Item
    from tests.sim.world import World

#: Ways of standing between phone and lock; the last passes everything on and is no imposture.
WAYS = ("own key", "own key", "neighbour", "in the middle", "in the middle", "recorded", "altered", "relay")


@dataclass(slots=True)
class Harm:
    """What those did who pretend, in one world."""

    lured: int = 0
    """Phones that said M1 to something that was not the lock."""
    bend: Callable[[World, LockActor, bytes, int], None] = deliver_bent
    """What the broker does with a command that it is to bend."""
    own_words: int = 0
    """How often a lock might speak, and listen, for itself."""
    accepted: list[str] = field(default_factory=list)
    overheard: list[str] = field(default_factory=list)
    robbed: list[str] = field(default_factory=list)
    """What a lock got at the broker that is another's: a word in its name, its commands, its connection."""
    minted: set[bytes] = field(default_factory=set)
    """Keys that somebody made himself with what he found in a lock's flash."""
    forged: set[tuple[UUID, int]] = field(default_factory=set)
    """Reports that he made in another lock's name: lock, and the boot that they claim."""
    spilled: list[str] = field(default_factory=list)
    """What else of another lock he got with it."""


class Between(Connection):
    """Something stands between: `way` says what it does. `genuine`: lock and phone hear each other's very words."""

    def __init__(self, world: World, lock: LockActor, caller: Lured, number: int) -> None:
        self.way = caller.way
        self.genuine = False
        self._phone = caller
        self._dice = world.dice.of("between", number)
        self._m1 = b""
        self._to_phone_said = b""
        self._asked: PhoneHandshake | None = None
        super().__init__(world, lock, caller, number)

    def say(self, message: bytes) -> None:
        """The phone speaks."""
        if message[:1] != bytes([M1]):
            if self.way in {"relay", "altered"}:
                super().say(message)
            return
        self._m1 = message
        if self.way in {"own key", "neighbour"}:
            self._pretend(message)
        elif self.way in {"in the middle", "recorded"}:
            self._ask_himself()
        else:
            super().say(message)

    def answer(self, message: bytes) -> None:
        """The lock speaks."""
        if message[:1] == bytes([M2]) and self.way != "relay":
            message = self._turned(message)
        elif message[:1] == bytes([M2]):
            self.genuine = True
        super().answer(message)

    # ---- what he does

    def _lock_id(self) -> bytes:
        return self._phone.key.lock_id

    def _pretend(self, m1: bytes) -> None:
        """A lock of his own, or the key of the next door's lock, under the id that the phone looks for."""
        signer = EcdsaSigner(private_key(self._dice.bytes))
        others = [one for one in self.world.locks if one is not self.lock and one.lock is not None]
        if self.way == "neighbour" and others:
            other = self._dice.one(others).lock
            assert other is not None
            assert other.identity is not None
            signer = other.identity.signer
        self._as_lock(
            LockInfo(self._lock_id(), self.world.agenda.unix, 0, 1, self._dice.bytes(8)), signer, m1
        )

    def _as_lock(self, info: LockInfo, signer: Any, m1: bytes) -> None:
        try:
            m2 = LockHandshake(info, signer, private_key(self._dice.bytes)).greet(m1)
        except RemoteError:
            return
        super().answer(m2)

    def _ask_himself(self) -> None:
        """He says an M1 of his own to the genuine lock."""
        self._asked = PhoneHandshake(
            self._lock_id(), self._phone.key.lock_public, private_key(self._dice.bytes)
        )
        super().say(self._asked.hello())

    def _turned(self, m2: bytes) -> bytes:
        """What he makes of the genuine lock's M2."""
        if self.way == "altered":
            at = self._dice.below(len(m2))
            return m2[:at] + bytes([m2[at] ^ 1 << self._dice.below(8)]) + m2[at + 1 :]
        if self.way == "recorded" or self._asked is None:
            return m2
        # the lock's own words and signature, under keys that he shares with the phone
        self._asked._agree(m2[2:67], m2[:67])
        said = decode(self._asked._open(2, m2[67:]))
        mine = LockHandshake(LockInfo(bytes(16), 0, 0, 0, bytes(8)), _Mute(), private_key(self._dice.bytes))
        mine._m1 = self._m1
        head = m2[:2] + mine._point
        mine._agree(self._m1[2:], head)
        return head + mine._seal(2, encode(said))


class _Mute:
    """Signs nothing: he has the lock's signature already."""

    kid = bytes(8)
    public = bytes(65)

    def sign(self, data: bytes) -> bytes:
        """Nobody asks."""
        raise NotImplementedError(data)


class Lured(Visit):
    """An honest phone before something that may be no lock."""

    link = Between
    connection: Between

    def __init__(self, world: World, phone: PhoneActor, lock: LockActor, way: str) -> None:
        self.way = way
        assert lock.id is not None
        super().__init__(world, phone, lock, phone.bundle.door_key(lock.id.bytes), kind="lured")

    @property
    def named_himself(self) -> bool:
        """Whether the phone has said who its holder is."""
        return any(one[:1] == bytes([M3]) for one in self.said)


def impostor(world: World, item: Item) -> None:
    """A tenant's phone meets something that answers like his lock."""
    dice = dice_of(world, item)
    phones = [one for person in world.people.values() for one in person.phones if one.bundle.doors]
    phones = [one for one in phones if not one.lost]
    if not phones:
        return
    phone = dice.one(phones)
    lock = dice.one(world.locks)
    if lock.lock is None:
        return
    try:
        visit = Lured(world, phone, lock, dice.one(WAYS))
    except NoKeyError:
        return
    world.harm.lured += visit.way != "relay"
    world.weather.struck[f"lock.{visit.way}"] += 1
    visit.start()


IMPOSTURES: dict[str, Any] = {"impostor": impostor, **BENDS, **NEIGHBOURS, **SPILLS}
