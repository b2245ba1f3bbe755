"""The unit of work: one transaction, one repository per noun, no commit in the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.app.ports.asking import Channel
from lockserver.db.connection import Pool
from lockserver.db.repositories.access import Entries, Notices
from lockserver.db.repositories.carriers import Firmware, GatewayCredentials, Gateways
from lockserver.db.repositories.cases import CaseFiles, Cases
from lockserver.db.repositories.commands import (
    Commands,
    Credentials,
    Registrations,
    Verdicts,
    Wishes,
)
from lockserver.db.repositories.filings import Filings, Ledger
from lockserver.db.repositories.houses import Doors, Houses
from lockserver.db.repositories.journals import Journals
from lockserver.db.repositories.locks import LockDocuments, Locks, LockStates, SiteKeys
from lockserver.db.repositories.people import Accounts, Holders, Phones, Sessions
from lockserver.db.repositories.platform import Audit, Idempotency, Outbox
from lockserver.db.repositories.rows import refusals
from lockserver.db.repositories.slots import Captures, Findings, GivenPins, Slots
from lockserver.db.repositories.steps import Steps
from lockserver.db.repositories.tenancies import Duties, Grants, Tenancies

if TYPE_CHECKING:
    from lockserver.app import ports


class PostgresUnitOfWork:
    """One open transaction. Repositories are made when first asked for."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    @cached_property
    def accounts(self) -> Accounts:
        """Accounts and one-time codes."""
        return Accounts(self.connection)

    @cached_property
    def sessions(self) -> Sessions:
        """Logins."""
        return Sessions(self.connection)

    @cached_property
    def holders(self) -> Holders:
        """Natural persons."""
        return Holders(self.connection)

    @cached_property
    def phones(self) -> Phones:
        """Phones and their keys."""
        return Phones(self.connection)

    @cached_property
    def houses(self) -> Houses:
        """Houses and staff."""
        return Houses(self.connection)

    @cached_property
    def doors(self) -> Doors:
        """Gates and rooms."""
        return Doors(self.connection)

    @cached_property
    def tenancies(self) -> Tenancies:
        """Leases and occupants."""
        return Tenancies(self.connection)

    @cached_property
    def duties(self) -> Duties:
        """What the law asks."""
        return Duties(self.connection)

    @cached_property
    def grants(self) -> Grants:
        """Rights at doors."""
        return Grants(self.connection)

    @cached_property
    def locks(self) -> Locks:
        """Locks and their counters."""
        return Locks(self.connection)

    @cached_property
    def lock_states(self) -> LockStates:
        """What locks last said."""
        return LockStates(self.connection)

    @cached_property
    def lock_documents(self) -> LockDocuments:
        """What locks should hold."""
        return LockDocuments(self.connection)

    @cached_property
    def site_keys(self) -> SiteKeys:
        """Public halves of the site's keys."""
        return SiteKeys(self.connection)

    @cached_property
    def credentials(self) -> Credentials:
        """E-keys as they were signed."""
        return Credentials(self.connection)

    @cached_property
    def gateways(self) -> Gateways:
        """Gateways, their identity and what they hear."""
        return Gateways(self.connection)

    @cached_property
    def gateway_credentials(self) -> GatewayCredentials:
        """What gateways may carry to."""
        return GatewayCredentials(self.connection)

    @cached_property
    def firmware(self) -> Firmware:
        """Firmware images."""
        return Firmware(self.connection)

    @cached_property
    def wishes(self) -> Wishes:
        """Wishes that were used."""
        return Wishes(self.connection)

    @cached_property
    def entries(self) -> Entries:
        """Entries to occupied rooms."""
        return Entries(self.connection)

    @cached_property
    def notices(self) -> Notices:
        """What people were told."""
        return Notices(self.connection)

    @cached_property
    def commands(self) -> Commands:
        """Commands and their steps."""
        return Commands(self.connection)

    @cached_property
    def journals(self) -> Journals:
        """Locks' journals."""
        return Journals(self.connection)

    @cached_property
    def verdicts(self) -> Verdicts:
        """What role verify concluded."""
        return Verdicts(self.connection)

    @cached_property
    def receipts_awaited(self) -> Registrations:
        """Keys that wait for a receipt."""
        return Registrations(self.connection)

    @cached_property
    def cases(self) -> Cases:
        """Identity cases, as the role api sees them."""
        return Cases(self.connection)

    @cached_property
    def case_files(self) -> CaseFiles:
        """Identity cases, as the role verify has them."""
        return CaseFiles(self.connection)

    @cached_property
    def filings(self) -> Filings:
        """Registrations."""
        return Filings(self.connection)

    @cached_property
    def ledger(self) -> Ledger:
        """The tenant's own ledger."""
        return Ledger(self.connection)

    @cached_property
    def outbox(self) -> Outbox:
        """The outbox's way in."""
        return Outbox(self.connection)

    @cached_property
    def idempotency(self) -> Idempotency:
        """First answers."""
        return Idempotency(self.connection)

    @cached_property
    def audit(self) -> Audit:
        """The server's own log."""
        return Audit(self.connection)

    @cached_property
    def slots(self) -> Slots:
        """PINs, cards and fingers at locks."""
        return Slots(self.connection)

    @cached_property
    def given_pins(self) -> GivenPins:
        """Algorithmic PINs that were read out."""
        return GivenPins(self.connection)

    @cached_property
    def captures(self) -> Captures:
        """What locks captured."""
        return Captures(self.connection)

    @cached_property
    def findings(self) -> Findings:
        """What locks hold otherwise than they should."""
        return Findings(self.connection)

    async def notify(self, channel: Channel, payload: str) -> None:
        """Tell listeners when, and only if, this transaction commits."""
        await self.connection.execute(
            text("SELECT pg_notify(:channel, :payload)"),
            {"channel": channel, "payload": payload},
        )


class PostgresTransactions:
    """Opens units of work over one role's pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresUnitOfWork]:
        """Open a transaction; leave the context to commit, raise to roll back.

        Raises IntegrityRefusedError or ConflictError when a deferred law speaks at the commit.
        """
        with refusals():
            async with self.pool.transaction() as connection:
                yield PostgresUnitOfWork(connection)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[PostgresUnitOfWork]:
        """Open a unit of work in which every statement is a transaction of its own."""
        with refusals():
            async with self.pool.single() as connection:
                yield PostgresUnitOfWork(connection)

    @asynccontextmanager
    async def steps(self) -> AsyncIterator[Steps]:
        """Lend what is done in single statements, each a transaction of its own."""
        with refusals():
            async with self.pool.singles.connection() as connection:
                yield Steps(connection)


if TYPE_CHECKING:

    def _holds(transactions: PostgresTransactions) -> ports.Transactions:
        return transactions  # mypy proves here that the room implements the port
