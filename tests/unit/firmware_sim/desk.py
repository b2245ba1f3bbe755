"""A lock on a desk with a site behind it: the pair that most lock tests drive."""

from __future__ import annotations

from dataclasses import dataclass, field

from firmware_sim.core.core import Settings
from firmware_sim.core.events import (
    BrokerMessage,
    BrokerUp,
    ButtonPressed,
    RadioConnected,
    RadioGone,
    RadioMessage,
)
from firmware_sim.links.memory import MemoryLock
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.carried import SignedDocument
from lockserver.protocol.curve import private_key
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.errors import Denial
from lockserver.protocol.handshake import REFUSAL, Answer, PhoneHandshake
from lockserver.protocol.journal import Entry, What
from lockserver.protocol.reports import Hello, Report, Result, TimeRequest
from tests.support.site import T0, Enrolled, Holder, Site, ask_claim, burn, claim_offer, source


@dataclass
class Desk:
    """`lock` by hand, `site` as its server; the site's clock is the true time."""

    kind: DoorKind = DoorKind.ROOM
    seed: int = 7
    settings: Settings = field(default_factory=lambda: Settings(auto_lock=0))

    def __post_init__(self) -> None:
        self.site = Site(source(self.seed))
        self.random = source(self.seed + 1)
        self.factory = burn(self.seed)
        self.lock = MemoryLock(self.factory, self.random, settings=self.settings)
        self.owner = self.site.holder()
        self._connections = 0
        self.enrolled = self._enrol()
        self.read = len(self.lock.published)

    def _enrol(self) -> Enrolled:
        self.lock.feed(ButtonPressed())
        connection = self.connect()
        e2 = self.say(connection, ask_claim(self.owner))
        e3, enrolled = self.site.enrol(claim_offer(e2[0]), self.factory.claim_code, kind=self.kind)
        e4 = self.say(connection, e3)
        assert e4[0] != REFUSAL
        return enrolled

    # ---- radio

    def connect(self) -> int:
        self._connections += 1
        self.lock.feed(RadioConnected(self._connections))
        return self._connections

    def say(self, connection: int, data: bytes) -> list[bytes]:
        before = len(self.lock.said.get(connection, []))
        self.lock.feed(RadioMessage(connection, data))
        return self.lock.said.get(connection, [])[before:]

    def hang_up(self, connection: int) -> None:
        self.lock.feed(RadioGone(connection))

    def phone(self, *, public: bytes | None = None) -> PhoneHandshake:
        return PhoneHandshake(
            self.enrolled.lock_id, public or self.enrolled.sign_public, private_key(self.random)
        )

    def open(
        self,
        holder: Holder,
        credential: bytes,
        *documents: SignedDocument,
        operation: Operation = Operation.UNLOCK,
    ) -> Answer | None:
        """A whole handshake; None if the lock said `7F` (or nothing)."""
        connection = self.connect()
        phone = self.phone()
        m2 = self.say(connection, phone.hello())
        phone.receive_m2(m2[0])
        said = self.say(connection, phone.request(credential, operation, holder.signer, documents))
        self.last = connection
        if not said or said[0] == REFUSAL:
            return None
        return phone.receive_m4(said[0])

    # ---- broker

    def broker_up(self, *, attest: bool = True) -> None:
        self.lock.feed(BrokerUp())
        if attest:
            self.attest()

    def attest(self) -> None:
        """Answer the last question for the time, at once."""
        for report in reversed(self.news(keep=True)):
            if isinstance(report, TimeRequest):
                self.deliver(self.site.documents(self.enrolled, self.site.time(self.enrolled, report.nonce)))
                return

    def deliver(self, sealed: bytes, *, retained: bool = False) -> None:
        self.lock.feed(BrokerMessage(sealed, retained))

    def news(self, *, keep: bool = False) -> list[Report]:
        """Reports since the last look."""
        fresh = self.site.reports(self.enrolled, self.lock.published[self.read :])
        if not keep:
            self.read = len(self.lock.published)
        return fresh

    def results(self) -> list[Result]:
        return [r for r in self.news() if isinstance(r, Result)]

    def hello(self) -> Hello:
        return next(r for r in reversed(self.news()) if isinstance(r, Hello))

    # ---- time and truth

    def wait(self, seconds: float) -> None:
        """True time passes for site and lock."""
        self.lock.wait(seconds, step=0.5 if seconds <= 60 else seconds / 60)
        self.site.now = T0 + round(self.lock.clocks.true)

    def journalled(self, what: What) -> int:
        """How many journal entries of this kind, counting counts."""
        assert self.lock.lock is not None
        return sum(e.count for e in self.lock.lock.journal.held if e.what is what)

    def denials(self) -> list[Denial]:
        assert self.lock.lock is not None
        return [e.denial for e in self.lock.lock.journal.held if e.denial is not None]

    def entries(self, *whats: What) -> list[Entry]:
        """Journal entries of these kinds, in order."""
        assert self.lock.lock is not None
        return [e for e in self.lock.lock.journal.held if e.what in whats]

    @property
    def bolt(self) -> BoltState:
        """What the lock says of its bolt."""
        assert self.lock.lock is not None
        return self.lock.lock.bolt

    @property
    def openings(self) -> int:
        return self.lock.door.openings
