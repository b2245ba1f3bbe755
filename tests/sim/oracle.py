"""The truth: who was entitled where and when, who asked for what, and how often each bolt really opened.

Written from leases, intents and what keys say on their face; it knows nothing of the product's `decide`, of
its database, or of what a lock believes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from lockserver.protocol.claims import Claims, HolderClass
from lockserver.protocol.cose import peek

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.people import PhoneActor


@dataclass(eq=False, slots=True)
class Right:
    """Somebody may enter somewhere, by what people agreed. Unix seconds; `ended`: taken back early, then."""

    person: str
    door: str
    kind: str
    lower: float
    upper: float | None
    tenancy: UUID | None = None
    ended: float | None = None
    phone: str | None = None
    """Only with this phone; None: with any of his."""
    doubtful: bool = False
    """It may be so, and nobody must be let in for it: a wish whose answer nobody has."""

    def holds(self, early: float, late: float) -> bool:
        """Whether it held, by its window, at some instant of a span."""
        return self.lower <= late and (self.upper is None or early < self.upper)

    def lives(self, at: float) -> bool:
        """Whether it gives a way in at an instant."""
        return not self.doubtful and self.holds(at, at) and (self.ended is None or at < self.ended)


@dataclass(frozen=True, slots=True)
class KeyFact:
    """A credential that a phone was given, as its face reads."""

    cti: bytes
    person: str
    phone: str
    lock_id: bytes
    claims: Claims
    raw: bytes

    @property
    def resident(self) -> bool:
        """Whether it is a tenant's or a guest's."""
        return self.claims.holder_class in {HolderClass.TENANT, HolderClass.GUEST}


@dataclass(eq=False, slots=True)
class Intent:
    """A person stood at a door, or wished, and his own phone signed for it. Good for one opening."""

    kind: str
    person: str
    phone: str
    lock: str
    cti: bytes | None
    at: int
    own: bool
    """Whether he acts for himself with his own key and material (a hostile phone's are not)."""
    wish_id: bytes = b""
    not_after: int = 0
    used: int = 0
    over: bool = False
    """The connection has ended: nothing may come of it any more, but what had begun."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A bolt was driven open."""

    lock: LockActor
    at: float
    """True Unix seconds."""
    how: str
    cti: bytes | None
    command_id: bytes | None
    cause: str
    intent: Intent | None
    key: KeyFact | None


@dataclass(slots=True)
class Oracle:
    """Everything that is true in one world."""

    rights: list[Right] = field(default_factory=list)
    keys: dict[bytes, KeyFact] = field(default_factory=dict)
    intents: list[Intent] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    lists: dict[str, set[bytes]] = field(default_factory=dict)
    """Lock → keys that any list named which this lock has certainly taken."""
    newest: dict[str, tuple[int, set[bytes]]] = field(default_factory=dict)
    """Lock → number of the newest such list, and the keys that it names."""
    turned: dict[str, int] = field(default_factory=dict)
    """Lock → the highest epoch of a resident's key that ever opened it."""
    lost_phones: dict[str, float] = field(default_factory=dict)

    def learn(self, phone: PhoneActor, claims: Claims, raw: bytes) -> None:
        """A phone was given a key."""
        self.keys[claims.cti] = KeyFact(
            claims.cti, phone.person.name, phone.name, claims.lock_id, claims, raw
        )

    def may(self, person: str, door: str, early: float, late: float) -> list[Right]:
        """The rights, living or taken back, whose window held at some instant of a span."""
        return [
            one for one in self.rights if one.person == person and one.door == door and one.holds(early, late)
        ]

    def residents(self, door: str, at: float) -> list[Right]:
        """Who lives behind a door."""
        return [one for one in self.rights if one.door == door and one.kind == "tenant" and one.lives(at)]

    def consents(self, door: str, person: str, at: float) -> bool:
        """Whether somebody who lives there let this person in, or an emergency was declared."""
        return any(
            one.kind in {"consent", "emergency"}
            and one.door == door
            and one.person == person
            and one.lives(at)
            for one in self.rights
        )

    def takes(self, lock: str, revocation: bytes) -> None:
        """A lock has certainly taken this list: what it names is dead there."""
        entries = peek(revocation).get(3)
        if isinstance(entries, list):
            number = peek(revocation).get(2)
            if isinstance(number, int):
                self.took(lock, number, {bytes(entry[0]) for entry in entries})

    def took(self, lock: str, number: int, names: set[bytes]) -> None:
        """A lock has this list, by its own word or by whoever brought it."""
        if number > self.newest.get(lock, (-1, names))[0]:
            self.newest[lock] = (number, names)
            self.lists.setdefault(lock, set()).update(names)
