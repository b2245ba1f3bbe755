"""What role bridge works with: the broker on one side, the database on the other.

It holds the site's command key, which opens nothing alone: what moves a bolt is the holder's own wish
inside. It reads what locks report, and believes only their signatures.
"""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.app.ports import Clock, Random, Requests, Signer, Transactions
from lockserver.domain.lock import Lock
from lockserver.protocol.commands import Command as WireCommand
from lockserver.protocol.curve import private_key
from lockserver.protocol.envelope import seal_command

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

    def send(self, lock: Lock, command: WireCommand) -> bool:
        """Sign, seal for this lock, and hand to the broker."""
        envelope = seal_command(
            command, lock.id.bytes, lock.ecdh_pub, self.command_key, private_key(self.random)
        )
        return self.bus.publish(lock.id.bytes, envelope)
