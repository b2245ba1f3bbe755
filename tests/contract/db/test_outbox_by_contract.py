"""PostgreSQL held to the same sentences as every other outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text

from lockserver.app.ports import Outgoing
from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool
from lockserver.db.outbox import PostgresOutbox
from lockserver.db.unit_of_work import PostgresTransactions
from police_sync.relay.filing import Kind
from police_sync.relay.ports import Outbox
from tests.contract.test_outbox_contract import OutboxContract, RowView
from tests.support.database import Database
from tests.support.people import a_place, a_registration, a_tenancy, fresh, sign

pytestmark = pytest.mark.contract


class PostgresBench:
    """The real outbox as the role relay, and the other side of it as the superuser."""

    def __init__(self, database: Database, changes: PostgresChanges) -> None:
        self.outbox: Outbox = PostgresOutbox(database.pool("relay"), changes, fresh)
        self._database = database
        self._api = database.transactions("api")
        superuser = Pool(database.superuser)
        database.pools.append(superuser)
        self._writer = PostgresTransactions(superuser)
        self._registrations: dict[str, UUID] = {}

    async def register(self) -> str:
        place = await a_place(self._api)
        tenancy = a_tenancy(place)
        [tenant] = await sign(self._api, place, tenancy)
        client_no = str(uuid4())
        made = await a_registration(self._writer, tenancy, tenant, client_no)
        self._registrations[client_no] = made
        return client_no

    async def put(self, client_no: str, version: int, kind: Kind, sealed: bytes, next_at: datetime) -> None:
        entry = Outgoing(
            fresh(), self._registrations[client_no], client_no, version, kind.value, sealed, b"digest"
        )
        async with self._writer.begin() as work:
            await work.outbox.put(entry)
            await work.connection.execute(
                text("UPDATE outbox SET next_at = :next_at WHERE id = :id"),
                {"next_at": next_at, "id": entry.id},
            )

    async def row(self, client_no: str, version: int) -> RowView:
        [(entry_id, state, reason)] = self._database.execute(
            "SELECT id, state, park_reason FROM outbox WHERE client_no = %s AND seq = %s", client_no, version
        )
        outcomes = self._database.execute(
            "SELECT outcome FROM attempts WHERE outbox_id = %s ORDER BY n", entry_id
        )
        return RowView(state, reason, tuple(outcome for (outcome,) in outcomes))

    async def kept(self, client_no: str) -> list[tuple[str, str, bytes]]:
        rows = self._database.execute(
            "SELECT kind, no, raw FROM receipts WHERE registration_id = %s", self._registrations[client_no]
        )
        return [(kind, no, bytes(raw)) for kind, no, raw in rows]


class TestPostgresOutbox(OutboxContract):
    @pytest_asyncio.fixture
    async def bench(self, database: Database) -> AsyncIterator[PostgresBench]:
        async with PostgresChanges(database.url("relay")) as changes:
            yield PostgresBench(database, changes)
