"""The single statements of somebody who stands at a door: PostgreSQL and the memory do the same.

What a step needs is mostly fetched from the town, so that it comes far; now and then one part of it is
exchanged, which must stop it in both.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from lockserver.app.ports import Answer, Claim, Steps, Transactions
from lockserver.app.ports.steps import Conclusion, Continued, Knock
from lockserver.domain.command import Command, CommandState
from lockserver.domain.errors import DomainError
from lockserver.domain.lock import JournalLine, LockStatus, SpentWish
from lockserver.protocol.journal import GENESIS
from tests.contract.work.questions import Questions
from tests.contract.work.test_same_answers import differing, timeless
from tests.contract.work.town import HOUR, NOW, Town
from tests.sim.memory import MemoryStore
from tests.sim.memory.rows import read
from tests.support.database import Database
from tests.support.workbench import MemoryBench, PostgresBench

pytestmark = pytest.mark.contract

Step = Callable[[Steps], Awaitable[Any]]


class Drawn:
    """Draws steps about a store as it is now."""

    def __init__(self, store: MemoryStore, random: Random) -> None:
        self.store = store
        self.random = random
        self.any = Questions(store, random)

    def row(self, table: str, **equal: Any) -> dict[str, Any]:
        rows = self.store.rows(table, **equal)
        return self.random.choice(rows or self.store.rows(table))

    def knock(self, credential: dict[str, Any]) -> Knock:
        grant = self.row("grants", id=credential["grant_id"])
        phone = self.row("phones", id=credential["phone_id"])
        holder = self.row("holders", id=grant["holder_id"])
        session = self.row("sessions", account_id=holder["account_id"], revoked_at=None)
        kid = hashlib.sha256(phone["sign_pub"]).digest()[:8]
        made = Knock(session["id"], holder["id"], credential["lock_id"], kid, NOW)
        knock: Knock = self.bent(made)
        return knock

    def bent(self, made: Any) -> Any:
        """Now and then with one part exchanged."""
        if self.random.random() < 0.7:
            return made
        other = self.any.record(type(made))
        name = self.random.choice(type(made).__slots__)
        return replace(made, **{name: getattr(other, name)})

    def claim(self) -> Claim:
        if self.random.random() < 0.3:
            row = self.row("idempotency")
            return Claim(row["caller"], row["key"], row["route"], row["body_hash"])
        return Claim("holder:x", f"k{self.random.randrange(10**9)}", "POST /v1/x", bytes(32))

    def caller(self) -> Step:
        access = self.random.choice([self.row("sessions")["access_hash"], bytes(32)])
        return lambda steps: steps.caller(access)

    def standing(self) -> Step:
        knock, claim = self.knock(self.row("credentials")), self.claim()
        return lambda steps: steps.standing(knock, claim)

    def place(self) -> Step:
        credential = self.row("credentials", revoked_at=None)
        knock, claim, until = self.knock(credential), self.claim(), NOW + timedelta(seconds=15)
        known = read(SpentWish, self.row("wishes"))
        wish_id = known.id if self.random.random() < 0.1 else self.any.fresh_id()
        grant = self.row("grants", id=credential["grant_id"])
        wish = self.bent(
            SpentWish(
                wish_id, grant["holder_id"], credential["phone_id"], "unlock", knock.lock_id, until, b"wish"
            )
        )
        asked = Command(
            self.any.fresh_id(), knock.lock_id, grant["holder_id"], grant["id"], credential["id"], wish.id,
            self.random.choice(["unlock", "lock", "hold_open"]), 0, "queued", until,
        )  # fmt: skip
        answer = Answer(202, {"Location": "/x"}, b"sealed")
        return lambda steps: steps.place(knock, asked, wish, claim, answer)

    def command(self) -> Step:
        command = self.any.some_id("command_id")
        return lambda steps: steps.command(command)

    def dispatch(self) -> Step:
        lock, most = self.row("commands", state="queued")["lock_id"], self.random.randrange(1, 4)
        at, via = NOW + self.random.randrange(-48, 12, 6) * HOUR, self.random.choice([None, "mqtt"])
        return lambda steps: steps.dispatch(lock, at, via, most)

    def hold_up(self) -> Step:
        lock, fault = self.row("commands")["lock_id"], self.random.choice(["lock_offline", "lock_busy"])
        return lambda steps: steps.hold_up(lock, fault)

    def conclude(self) -> Step:
        heard = self.row("lock_status")["lock_id"]
        command = self.row("commands", lock_id=heard, state=self.random.choice(["sent", "unknown", "done"]))
        state: CommandState = self.random.choice(["done", "refused", "expired", "unknown"])
        said = LockStatus(
            command["lock_id"],
            connected=self.random.random() < 0.5,
            last_seen_at=NOW,
            boot=self.random.choice([3, 3, 4]),
            seq=self.random.randrange(3, 9),
            bolt="unlocked",
            counter=self.random.choice([None, 3, 9]),
        )
        status = self.bent(said)
        concluded = Conclusion(state, self.random.choice([None, "x", "x"]))
        return lambda steps: steps.conclude(status, command["id"], concluded, b"signed")

    def keep(self) -> Step:
        batches: list[Continued] = []
        lines: list[JournalLine] = []
        for status in self.random.sample(
            self.store.rows("lock_status"), k=min(2, len(self.store.rows("lock_status")))
        ):
            number, head = status["journal_number"] or 0, status["journal_hash"] or GENESIS
            lock, count = status["lock_id"], self.random.randrange(1, 4)
            batch = Continued(
                lock_id=lock,
                after_number=number,
                after_hash=head,
                number=number + count,
                hash=bytes([number + count]) * 32,
                boot=self.random.choice([3, 4]),
                seq=self.random.randrange(9),
                acts=self.random.random() < 0.3,
            )
            batches.append(self.bent(batch))
            line = read(JournalLine, self.row("journal"))
            lines += [replace(line, lock_id=lock, number=number + n + 1) for n in range(count)]
        return lambda steps: steps.keep(batches, lines, NOW)


async def came(transactions: Transactions, step: Step) -> Any:
    """What came of a step."""
    try:
        async with transactions.steps() as steps:
            said = await step(steps)
    except DomainError as refused:
        return (refused.code, refused.detail)
    return sorted(said) if isinstance(said, frozenset) else timeless(said)


@pytest_asyncio.fixture
async def postgres_bench(database: Database) -> AsyncIterator[PostgresBench]:
    bench = PostgresBench(database)
    bench.listen()
    yield bench
    bench.close()


@pytest.mark.parametrize("seed", range(2))
async def test_both_take_the_same_steps(postgres_bench: PostgresBench, seed: int) -> None:
    store = MemoryStore()
    Town(store, seed)
    postgres_bench.copy(store)
    memory, random, far = MemoryBench(store), Random(seed), Counter[str]()
    drawn = Drawn(store, random)
    names = [name for name in vars(Steps) if not name.startswith("_")]
    for turn in range(160):
        name = names[turn % len(names)]
        step = getattr(drawn, name)()
        wanted = await came(postgres_bench.transactions(), step)
        given = await came(memory.transactions(), step)
        assert given == wanted, name
        refused = isinstance(wanted, tuple) and isinstance(wanted[0], str)
        far[name] += bool(wanted) and not refused
    assert memory.heard() == postgres_bench.heard()
    assert differing(memory, postgres_bench) == {}
    assert all(far[name] for name in names if name != "hold_up"), far
