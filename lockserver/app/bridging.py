"""What role bridge works with: the broker on one side, the database on the other.

It holds the site's command key, which opens nothing alone: what moves a bolt is the holder's own wish
inside. It reads what locks report, and believes only their signatures.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.app.carrying import Carrying, Hand, Move, Noted, Publish
from lockserver.app.ports import Clock, Random, Requests, Signer, Transactions
from lockserver.domain.lock import Lock
from lockserver.protocol.commands import Command as WireCommand
from lockserver.protocol.curve import private_key
from lockserver.protocol.envelope import seal_command
from lockserver.protocol.errors import LocalError
from lockserver.protocol.gateway import encode_down

if TYPE_CHECKING:
    from lockserver.app.converge_firmware import Update

KNOWN_LOCKS = 20_000
"""Locks whose public keys are kept at hand; a process serves 10,000 in the first step."""


class CommandBus(Protocol):
    """Carries sealed envelopes towards locks, and promises nothing."""

    @property
    def is_open(self) -> bool:
        """Whether a broker is there to take them."""
        ...

    def publish(self, lock_id: bytes, envelope: bytes) -> bool:
        """Hand one over. False: it certainly left nobody's hands."""
        ...

    def publish_gateway(self, gateway_id: bytes, frame: bytes) -> bool:
        """Hand a frame over towards a gateway; as `publish`."""
        ...


async def nobody_leaves(_name: UUID) -> None:
    """Throw nobody out: this broker has no door that we keep."""


@dataclass(frozen=True, slots=True)
class Bridging:
    """The bridge's ports."""

    transactions: Transactions
    clock: Clock
    random: Random
    requests: Requests
    bus: CommandBus
    command_key: Signer
    report_key: ec.EllipticCurvePrivateKey
    known: dict[UUID, Lock] = field(default_factory=dict)
    """Locks by id. What is kept of them never changes: keys, shard, door."""
    oldest: dict[UUID, int] = field(default_factory=dict)
    """Lock → number of the oldest entry that it said it still holds unacknowledged."""
    carrying: Carrying = field(default_factory=Carrying)
    """Who reaches which lock, and what is under way."""
    updates: dict[UUID, "Update"] = field(default_factory=dict)
    """Locks whose firmware is being brought up, and how far that is."""
    sights: dict[tuple[UUID, UUID], tuple[int, datetime]] = field(default_factory=dict)
    """(gateway, lock) → how loud it was when that was last written down, and when."""
    expel: Callable[[UUID], Awaitable[None]] = nobody_leaves
    """Throws a lock or a gateway off the broker."""

    async def lock(self, lock_id: UUID) -> Lock | None:
        """Return a lock that may speak to us, or None."""
        found = self.known.get(lock_id)
        if found is not None:
            return found
        async with self.transactions.begin() as work:
            found = await work.locks.get(lock_id)
        if found is None or found.state == "retired":
            return None
        if len(self.known) >= KNOWN_LOCKS:
            self.known.pop(next(iter(self.known)))
        self.known[lock_id] = found
        return found

    def forget(self, lock_id: UUID) -> None:
        """Look the lock up anew next time: it may have been retired."""
        self.known.pop(lock_id, None)

    def seal(self, lock: Lock, command: WireCommand) -> bytes:
        """Sign and seal for this lock."""
        return seal_command(command, lock.id.bytes, lock.ecdh_pub, self.command_key, private_key(self.random))

    def send(self, lock: Lock, command: WireCommand) -> bool:
        """Sign, seal for this lock, and hand over, the way that reaches it best just now."""
        envelope = self.seal(lock, command)
        return self.hand_out(self.carrying.send(lock.id, envelope, self.clock.now()))

    def hand_out(self, moves: Sequence[Move]) -> bool:
        """Publish what is to be published. False: nothing left our hands."""
        sent = False
        for move in moves:
            if isinstance(move, Publish):
                sent |= self.bus.publish(move.lock_id.bytes, move.envelope)
            elif isinstance(move, Hand):
                sent |= self._hand(move)
        return sent

    def _hand(self, hand: Hand) -> bool:
        try:
            frame = encode_down(hand.frame)
        except LocalError:
            return False  # longer than a parcel: it waits for the lock's own connection, or for a phone
        return self.bus.publish_gateway(hand.gateway_id.bytes, frame)

    async def note(self, moves: Sequence[Move]) -> None:
        """Write down how commands went and what stands in their way."""
        notes = [(one.command_id, one.via, one.fault) for one in moves if isinstance(one, Noted)]
        if notes:
            async with self.transactions.alone() as work:
                await work.commands.note_ways(notes)
