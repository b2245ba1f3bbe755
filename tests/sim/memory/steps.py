"""What is done in one statement: the same looks and the same writes as the SQL of `lockserver.db`.

Each is a transaction of its own, with its two boundaries; inside it nothing gives way, except to wait
for a row that somebody else holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.app.ports.rows import Answer
from lockserver.app.ports.steps import Claim, Conclusion, Continued, Dispatched, Knock, Known, Standing
from lockserver.domain.account import Holder, Session
from lockserver.domain.command import Command
from lockserver.domain.errors import ConflictError, IdempotencyRunningError, WishUsedError
from lockserver.domain.grant import Capability
from lockserver.domain.lock import JournalLine, LockStatus, SpentWish
from lockserver.protocol.journal import GENESIS
from tests.sim.memory.platform import claims, known_under, tell
from tests.sim.memory.rows import Connection, by, read, values
from tests.sim.memory.schema import Row
from tests.sim.memory.transaction import Transaction

if TYPE_CHECKING:
    from lockserver.app import ports

KID_BYTES = 8


def is_news(status: Row, boot: int | None, seq: int | None) -> bool:
    """Tell whether a report's position is higher than the last one's, by SQL's comparison of rows."""
    if status["boot"] is None:
        return True
    if boot is None:
        return False
    if status["boot"] != boot:
        return bool(status["boot"] < boot)
    return status["seq"] is not None and seq is not None and bool(status["seq"] < seq)


class Steps:
    """Single statements, each all or nothing."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def caller(self, access_hash: bytes) -> tuple[Session, Holder] | None:
        """Return the session of this access token's hash, living or not, and who is behind it."""
        async with self.connection.statement() as work:
            for session in work.rows("sessions", access_hash=access_hash):
                for holder in work.rows("holders", account_id=session["account_id"]):
                    return read(Session, session), read(Holder, holder)
        return None

    async def standing(self, knock: Knock, claim: Claim) -> tuple[Known | None, Standing | None]:
        """Return what is known under the key, and how the holder stands to the lock."""
        async with self.connection.statement() as work:
            return known_under(work, claim.caller, claim.key), self._standing(work, knock)

    @staticmethod
    def _standing(work: Transaction, knock: Knock) -> Standing | None:
        lock = work.row("locks", knock.lock_id)
        if lock is None or lock["state"] == "retired":
            return None
        living = [
            grant
            for grant in by("id")(
                work.rows("grants", door_id=lock["door_id"], holder_id=knock.holder_id, state="active")
            )
            if grant["lower"] <= knock.at and (grant["upper"] is None or grant["upper"] > knock.at)
        ]
        if not living:
            return None
        widest = max(living, key=lambda grant: (grant["class_"] == "tenant", grant["capabilities"]))
        phone = next(
            (
                one
                for one in work.rows("phones", holder_id=knock.holder_id)
                if hashlib.sha256(one["sign_pub"]).digest()[:KID_BYTES] == knock.kid
            ),
            None,
        )
        keys = [
            one
            for one in ([] if phone is None else work.rows("credentials", phone_id=phone["id"]))
            if one["lock_id"] == knock.lock_id
            and one["revoked_at"] is None
            and one["not_before"] <= knock.at < one["expires_at"]
        ]
        key = max(keys, key=lambda one: one["id"], default=None)
        occupied = any(
            one["lower"] <= knock.at < one["upper"]
            for one in work.rows("tenancies", door_id=lock["door_id"], state="signed")
        )
        return Standing(
            lock_state=lock["state"],
            grant_id=widest["id"],
            capabilities=widest["capabilities"],
            phone_id=None if phone is None else phone["id"],
            sign_pub=None if phone is None else phone["sign_pub"],
            phone_state=None if phone is None else phone["state"],
            credential_id=None if key is None else key["id"],
            class_=widest["class_"],
            occupied=widest["class_"] in {"owner", "staff"} and occupied,
            enters=key is not None and bool(key["capabilities"] & Capability.ENTRY),
        )

    async def place(
        self, knock: Knock, command: Command, wish: SpentWish, claim: Claim, kept: Answer
    ) -> bool:
        """Spend the wish, write the command under the lock's next counter, keep the answer."""
        async with self.connection.statement("steps.place") as work:
            if not claims(work, claim.caller, claim.key):
                raise IdempotencyRunningError
            if not self._stands(work, knock, command, wish):
                return False
            answer = {
                "caller": claim.caller,
                "key": claim.key,
                "route": claim.route,
                "body_hash": claim.body_hash,
                "state": "done",
                "status": kept.status,
                "headers": dict(kept.headers),
                "response": kept.response,
            }
            if not await work.insert("idempotency", answer, or_nothing=True):
                return False
            await self._spend(work, command, wish)
            lock = await work.update(
                "locks", command.lock_id, lambda row: {"command_counter": row["command_counter"] + 1}
            )
            if lock is None:
                return False
            asked = values(command) | {"state": "queued", "wish_id": wish.id}
            await work.insert("commands", asked | {"counter": lock["command_counter"]})
            detail = {"command": str(command.id)}
            await tell(work, claim.caller, f"{command.kind}_remotely", f"lock:{command.lock_id}", detail)
            work.notify("commands", command.lock_id.hex)
            return True

    @staticmethod
    def _stands(work: Transaction, knock: Knock, command: Command, wish: SpentWish) -> bool:
        """Tell whether session, grant, phone and key still stand."""
        session = work.row("sessions", knock.session_id)
        grant = work.row("grants", command.grant_id)
        phone = work.row("phones", wish.phone_id)
        key = work.row("credentials", command.credential_id)
        if session is None or grant is None or phone is None or key is None:
            return False
        return bool(
            session["revoked_at"] is None
            and grant["state"] == "active"
            and (grant["upper"] is None or grant["upper"] > knock.at)
            and phone["state"] == "active"
            and key["revoked_at"] is None
        )

    @staticmethod
    async def _spend(work: Transaction, command: Command, wish: SpentWish) -> None:
        spent = values(wish) | {"holder_id": command.holder_id, "target": command.lock_id}
        try:
            await work.insert("wishes", spent)
        except ConflictError as taken:
            raise WishUsedError from taken

    async def command(self, command_id: UUID) -> Command | None:
        """Return a command."""
        async with self.connection.statement() as work:
            row = work.row("commands", command_id)
            return None if row is None else read(Command, row)

    async def dispatch(self, lock_id: UUID, at: datetime, via: str | None, most: int) -> Sequence[Dispatched]:
        """Mark the lock's oldest queued commands that still live as sent; return what to send, in order."""

        changes = {"state": "sent", "sent_at": at, "via": via, "fault": None}
        sent = []
        async with self.connection.statement("steps.dispatch") as work:
            living = [
                row for row in work.rows("commands", lock_id=lock_id, state="queued") if row["not_after"] > at
            ]
            for command in by("counter")(living)[:most]:
                wish = work.row("wishes", command["wish_id"])
                key = work.row("credentials", command["credential_id"])
                if wish is None or key is None:
                    continue
                row = await work.update(
                    "commands", command["id"], changes, lambda row: row["state"] == "queued"
                )
                if row is not None:
                    sent.append(
                        Dispatched(
                            row["id"], row["counter"], row["not_after"], wish["raw"], key["raw"], row["kind"]
                        )
                    )
        return sorted(sent, key=lambda one: one.counter)

    async def hold_up(self, lock_id: UUID, fault: str) -> None:
        """Write down what keeps the lock's queued commands waiting."""

        def waits(row: Row) -> bool:
            return bool(row["state"] == "queued" and row["fault"] != fault)

        async with self.connection.statement("steps.hold_up") as work:
            for command in work.rows("commands", lock_id=lock_id):
                if waits(command):
                    await work.update("commands", command["id"], {"fault": fault}, waits)

    async def conclude(
        self, status: LockStatus, command_id: UUID, conclusion: Conclusion, evidence: bytes
    ) -> bool:
        """Note where the lock's reports stand now, and settle the command by this one."""

        def said(row: Row) -> dict[str, Any]:
            counters = [one for one in (row["counter"], status.counter) if one is not None]
            return {
                "boot": status.boot,
                "seq": status.seq,
                "last_seen_at": status.last_seen_at,
                "connected": row["connected"] or status.connected,
                "carried_by": status.carried_by,
                "carried_at": status.carried_at or row["carried_at"],
                "bolt": status.bolt,
                "bolt_at": status.last_seen_at,
                "counter": max(counters, default=None),
            }

        def waits(row: Row) -> bool:
            if row["lock_id"] != status.lock_id:
                return False
            unknown = row["state"] == "unknown" and conclusion.state != "unknown"
            return row["state"] == "sent" or unknown

        settled = {
            "state": conclusion.state,
            "code": conclusion.code,
            "settled_at": status.last_seen_at,
            "evidence": evidence,
        }
        async with self.connection.statement("steps.conclude") as work:
            news = await work.update(
                "lock_status", status.lock_id, said, lambda row: is_news(row, status.boot, status.seq)
            )
            if news is None:
                return False
            command = work.row("commands", command_id)
            if command is None or not waits(command):
                return True
            if await work.update("commands", command_id, settled, waits) is not None:
                detail = {"code": conclusion.code}
                verb = f"command_{conclusion.state}"
                await tell(work, "role:bridge", verb, f"command:{command_id}", detail)
                work.notify("command_settled", str(command_id))
            return True

    async def keep(
        self, batches: Sequence[Continued], lines: Sequence[JournalLine], at: datetime
    ) -> frozenset[UUID]:
        """Keep the lines of those batches that continue exactly what is kept; return their locks."""
        async with self.connection.statement("steps.keep") as work:
            moved = {batch.lock_id for batch in batches if await self._moves(work, batch, at)}
            for line in lines:
                if line.lock_id in moved:
                    await work.insert("journal", values(line), or_nothing=True)
        return frozenset(moved)

    @staticmethod
    async def _moves(work: Transaction, batch: Continued, at: datetime) -> bool:
        def continues(row: Row) -> bool:
            number = 0 if row["journal_number"] is None else row["journal_number"]
            head = GENESIS if row["journal_hash"] is None else row["journal_hash"]
            return (number, head) == (batch.after_number, batch.after_hash)

        def moved(row: Row) -> dict[str, Any]:
            changes: dict[str, Any] = {"journal_number": batch.number, "journal_hash": batch.hash}
            if row["seq"] is None or is_news(row, batch.boot, batch.seq):
                changes |= {"boot": batch.boot, "seq": batch.seq, "last_seen_at": at}
            return changes

        waiting = [
            one for one in work.rows("commands", lock_id=batch.lock_id) if one["state"] in ("sent", "unknown")
        ]
        if batch.acts and waiting:
            return False
        row = work.row("lock_status", batch.lock_id)
        if row is None or not continues(row):
            return False
        return await work.update("lock_status", batch.lock_id, moved, continues) is not None


if TYPE_CHECKING:

    def _holds(steps: Steps) -> ports.Steps:
        return steps
