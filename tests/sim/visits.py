"""A phone at a door, message by message: the wire's own handshake, and the reports that it takes along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.cose import peek
from lockserver.protocol.curve import Signer, private_key
from lockserver.protocol.errors import AirCode, RemoteError
from lockserver.protocol.handshake import REFUSAL, Answer, PhoneHandshake
from lockserver.protocol.parcels import Channel, ParcelKind
from mobile_api.phone.door import DoorKey, news_for
from tests.sim.oracle import Intent
from tests.sim.radio import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.locks import LockActor
    from tests.sim.people import PhoneActor
    from tests.sim.world import World

#: Milliseconds that a person stands at a door.
PATIENCE_MS = 12_000
#: Milliseconds of silence after which the lock has said all.
QUIET_MS = 1_200


class Visit:
    """One attempt at one door. `outcome`: granted, denied…, refused (7F), gone, fake."""

    patience = PATIENCE_MS
    link: type[Connection] = Connection
    """What is between phone and lock."""

    def __init__(
        self,
        world: World,
        phone: PhoneActor,
        lock: LockActor,
        key: DoorKey,
        *,
        signer: Signer | None = None,
        operation: Operation = Operation.UNLOCK,
        kind: str = "visit",
        own: bool = True,
        everything: bool = False,
        done: Callable[[Visit], None] | None = None,
    ) -> None:
        self.world = world
        self.phone = phone
        self.lock = lock
        self.key = key
        self.signer = signer or phone.signer
        self.operation = operation
        self.kind = kind
        self.own = own
        self.everything = everything
        """Whether it brings all its documents, however old: an honest phone brings what is news."""
        self.done = done
        self.failure = 0
        self.hurried = False
        self.outcome = ""
        self.answer: Answer | None = None
        self.intent: Intent | None = None
        self.began = world.agenda.ms
        self.asked = 0
        self.dark = lock.dark
        self.said: list[bytes] = []
        self.documents: tuple[SignedDocument, ...] = ()
        self._handshake = PhoneHandshake(
            key.lock_id, key.lock_public, private_key(world.dice.of("visit", world.visits).bytes)
        )
        world.visits += 1
        self._channel: Channel | None = None
        self._heard_at = 0
        self._step: Callable[[bytes], None] = self._m2
        world.at_doors.append(self)
        self.connection = self.link(world, lock, self, world.visits)

    def start(self) -> Visit:
        """Send M1."""
        self._say(self._handshake.hello())
        self.world.agenda.after(self.patience, "patience", self._impatient)
        return self

    @property
    def cti(self) -> bytes | None:
        """The id of the key that it shows."""
        value = peek(self.key.credential).get(7)
        return value if isinstance(value, bytes) else None

    @property
    def plain(self) -> bool:
        """Whether it asks for nothing but to be let in, as an honest phone does."""
        return self.kind in {"visit", "probe"} and self.operation is Operation.UNLOCK

    @property
    def faulted(self) -> bool:
        """Whether link or power interfered."""
        return self.connection.faulted or self.dark != self.lock.dark

    # ---- what the lock says

    def heard(self, message: bytes) -> None:
        """Take the lock's next message."""
        if self.outcome and self._channel is None:
            return
        try:
            self._step(message)
        except RemoteError:
            self._end("refused" if message == REFUSAL else "fake")

    def hung_up(self) -> None:
        """The connection ended."""
        self._end("gone")
        self._channel = None

    def _m2(self, message: bytes) -> None:
        info = self._handshake.receive_m2(message)
        known = self.key.documents
        self.documents = tuple(known if self.everything else news_for(info, known))
        door = self.phone.bundle.doors.get(self.key.lock_id)
        if door is not None and self.own:
            door.nonce = info.time_nonce
        self.intent = self.world.intends(self)
        self.asked = self.world.agenda.ms
        m3 = self._handshake.request(self.key.credential, self.operation, self.signer, list(self.documents))
        self._step = self._m4
        self._say(m3)

    def _m4(self, message: bytes) -> None:
        self.answer = self._handshake.receive_m4(message)
        for document in self.documents:
            if document.kind is DocumentKind.REVOCATION and not self.connection.faulted:
                self.world.oracle.takes(self.lock.name, document.raw)
        granted = self.answer.code is AirCode.GRANTED
        if granted:
            self._channel = self._handshake.channel()
            self._step = self._parcel
            self._quiet_later()
        self._end("granted" if granted else self.answer.code.word)

    def _parcel(self, message: bytes) -> None:
        if self._channel is None:
            return
        parcel = self._channel.unpack(message)
        self._heard_at = self.world.agenda.ms
        if parcel.kind is ParcelKind.REPORT and self.own:
            self.phone.bundle.reports.append((self.key.lock_id, parcel.content))

    # ---- ends

    def _say(self, message: bytes) -> None:
        self.said.append(message)
        self.connection.say(message)

    def _quiet_later(self) -> None:
        self._heard_at = self.world.agenda.ms

        def look() -> None:
            if self.world.agenda.ms - self._heard_at < QUIET_MS and self.connection.alive:
                self.world.agenda.after(QUIET_MS, "quiet?", look)
            else:
                self.connection.hang_up()

        self.world.agenda.after(QUIET_MS, "quiet?", look)

    def _impatient(self) -> None:
        if not self.outcome:
            self.connection.hang_up()
            self._end("gone")

    def _end(self, outcome: str) -> None:
        if self.outcome:
            return
        self.outcome = outcome
        if self.intent is not None:
            self.intent.over = True
        if outcome in {"refused", "fake"}:
            self.connection.hang_up()
        self.world.visited(self)
        if self.done is not None:
            self.done(self)


class Replay(Visit):
    """Says what another visit said, byte for byte, whatever the lock answers."""

    def __init__(self, world: World, lock: LockActor, heard: Visit) -> None:
        super().__init__(world, heard.phone, lock, heard.key, kind="replay", own=False)
        self._script = list(heard.said)
        self._step = self._next

    def start(self) -> Visit:
        """Send the recorded M1."""
        self._say(self._script.pop(0))
        self.world.agenda.after(self.patience, "patience", self._impatient)
        return self

    def _next(self, message: bytes) -> None:
        if message == REFUSAL:
            self._end("refused")
        elif self._script:
            self._say(self._script.pop(0))
        else:
            self._end("granted" if message[:1] == b"\x04" else "told something")


class Stranger(Visit):
    """Has no key: agrees on keys with the lock, and then has nothing to say that opens."""

    patience = 90_000

    def __init__(self, world: World, lock: LockActor, then: Callable[[Visit], None]) -> None:
        phone = world.landlord.phone
        assert lock.lock is not None
        assert lock.lock.identity is not None
        key = DoorKey(lock.lock.identity.lock_id, lock.lock.identity.signer.public, b"")
        super().__init__(world, phone, lock, key, kind="stranger", own=False, done=then)

    @property
    def cti(self) -> bytes | None:
        """None: he has none."""
        return None

    def _m2(self, message: bytes) -> None:
        if message == REFUSAL:
            self._end("refused")
            return
        others = [one for one in self.world.at_doors if one.lock is self.lock and one.kind != "visit"]
        self.hurried = self.faulted or len(others) > 1
        self.asked = self.world.agenda.ms
        self._step = self._refused
        self._say(b"\x03" + bytes(64))

    def _refused(self, message: bytes) -> None:
        self.hurried = self.hurried or self.faulted
        if not self.hurried:
            watch = self.world.book.of(self.lock)
            watch.stranger_failed(self.asked)
            self.failure = watch.failures
        self._end("refused" if message == REFUSAL else "told something")
