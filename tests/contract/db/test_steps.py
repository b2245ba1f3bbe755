"""Steps of one statement: what they stand on is looked at again by the statement that writes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from lockserver.app.ports import Answer, Claim
from lockserver.app.ports.steps import Knock, Standing
from lockserver.db.repositories import steps as written
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.command import Command
from lockserver.domain.errors import IdempotencyRunningError, WishUsedError
from lockserver.domain.lock import SpentWish
from lockserver.protocol.curve import key_id
from tests.support.database import Database
from tests.support.end_state import EndState, an_end_state
from tests.support.people import START, fresh

pytestmark = pytest.mark.contract

NOW = START + timedelta(hours=1)
ANSWER = Answer(202, {"Location": "/v1/commands/x"}, b"sealed")


@dataclass
class Asking:
    """A tenant before his door, with a session, a phone and a key."""

    database: Database
    transactions: PostgresTransactions
    made: EndState
    session: UUID
    phone: UUID
    sign_pub: bytes

    @property
    def knock(self) -> Knock:
        return Knock(self.session, self.made.tenant, self.made.lock, key_id(self.sign_pub), NOW)

    def claim(self, key: str = "k1") -> Claim:
        return Claim(f"holder:{self.made.tenant}", key, "POST /v1/locks/x/unlock", b"\x01" * 32)

    async def stands(self, key: str = "none") -> Standing:
        async with self.transactions.steps() as steps:
            _, standing = await steps.standing(self.knock, self.claim(key))
        assert standing is not None
        return standing

    async def place(self, standing: Standing, *, key: str = "k1", wish: UUID | None = None) -> bool:
        until = NOW + timedelta(seconds=15)
        spent = SpentWish(
            wish or fresh(), self.made.tenant, self.phone, "unlock", self.made.lock, until, b"wish"
        )
        command = Command(
            fresh(), self.made.lock, self.made.tenant, standing.grant_id, standing.credential_id, spent.id,
            "unlock", 0, "queued", until,
        )  # fmt: skip
        async with self.transactions.steps() as steps:
            return await steps.place(self.knock, command, spent, self.claim(key), ANSWER)

    def written(self) -> tuple[int, int, int, int]:
        """Open commands, wishes, kept answers, lines of the log about it."""
        [row] = self.database.execute(
            "SELECT (SELECT count(*) FROM commands WHERE state = 'queued'), (SELECT count(*) FROM wishes),"
            " (SELECT count(*) FROM idempotency),"
            " (SELECT count(*) FROM audit_log WHERE verb = 'unlock_remotely')"
        )
        return row


@pytest_asyncio.fixture
async def asking(database: Database) -> Asking:
    made = await an_end_state(database)
    [(phone, sign_pub)] = database.execute(
        "SELECT id, sign_pub FROM phones WHERE holder_id = %s", made.tenant
    )
    [(session,)] = database.execute(
        "SELECT s.id FROM sessions s JOIN holders h ON h.account_id = s.account_id WHERE h.id = %s",
        made.tenant,
    )
    database.execute(  # the tenancy had ended: this one lives
        "SET LOCAL session_replication_role = replica; UPDATE grants SET state = 'active', revoked_at = NULL;"
        " UPDATE locks SET command_counter = 1"
    )
    return Asking(database, database.transactions("api"), made, session, phone, bytes(sign_pub))


async def test_all_of_it_is_written_at_once(asking: Asking) -> None:
    _, wishes, _, told = asking.written()
    standing = await asking.stands()
    assert (standing.phone_id, standing.credential_id) == (asking.phone, asking.made.credential)
    assert await asking.place(standing)
    assert asking.written() == (1, wishes + 1, 1, told + 1)
    async with asking.transactions.steps() as steps:
        known, _ = await steps.standing(asking.knock, asking.claim())
    assert known is not None
    assert known.answer(asking.claim().route, asking.claim().body_hash) == ANSWER


FALLEN = {
    "session": "UPDATE sessions SET revoked_at = now()",
    "grant": "UPDATE grants SET state = 'revoked', revoked_at = now()",
    "phone": "UPDATE phones SET state = 'revoked', revoked_at = now()",
    "credential": "UPDATE credentials SET revoked_at = now()",
}


@pytest.mark.parametrize("what", FALLEN)
async def test_L38_what_ends_between_the_look_and_the_writing_lets_nobody_in(
    asking: Asking, what: str
) -> None:
    before = asking.written()
    standing = await asking.stands()
    asking.database.execute(FALLEN[what])
    assert not await asking.place(standing)
    assert asking.written() == before


@pytest.mark.parametrize("what", FALLEN)
async def test_L38_mutant_a_writer_that_believes_its_look_is_caught(
    asking: Asking, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    believing = written._PLACE.replace("AND s.revoked_at IS NULL", "")
    for condition in ("AND g.state = 'active'", "AND p.state = 'active'", "AND c.revoked_at IS NULL"):
        believing = believing.replace(condition, "")
    monkeypatch.setattr(written, "_PLACE", believing)
    standing = await asking.stands()
    asking.database.execute(FALLEN[what])
    assert await asking.place(standing)


async def test_L36_one_key_at_the_same_moment_writes_once(asking: Asking) -> None:
    _, wishes, _, _ = asking.written()
    standing = await asking.stands()
    ended = await asyncio.gather(*(asking.place(standing) for _ in range(4)), return_exceptions=True)
    assert [one for one in ended if one is True] == [True]
    assert all(one is False or isinstance(one, IdempotencyRunningError) for one in ended if one is not True)
    assert asking.written()[:3] == (1, wishes + 1, 1)


async def test_a_wish_is_spent_once_and_a_refusal_keeps_nothing(asking: Asking) -> None:
    standing = await asking.stands()
    wish = fresh()
    assert await asking.place(standing, wish=wish)
    before = asking.written()
    with pytest.raises(WishUsedError):
        await asking.place(standing, key="another", wish=wish)
    assert asking.written() == before


async def test_a_key_that_runs_elsewhere_is_said_to_run(asking: Asking) -> None:
    """The long way holds the key's lock until its transaction ends: nobody waits for it here."""
    standing = await asking.stands()
    claim = asking.claim()
    async with asking.transactions.begin() as work:
        await work.idempotency.begin(claim.caller, claim.key, claim.route, claim.body_hash)
        with pytest.raises(IdempotencyRunningError):
            await asking.place(standing)
        await work.idempotency.finish(claim.caller, claim.key, replace(ANSWER, status=201))
    assert not await asking.place(standing)


async def test_a_server_that_went_away_is_found_again(asking: Asking) -> None:
    """The step that meets it fails; the next one has a new connection."""
    await asking.stands()
    asking.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(psycopg.OperationalError):
        await asking.stands()
    await asking.stands()
