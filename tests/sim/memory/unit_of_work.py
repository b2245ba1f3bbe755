"""The unit of work over a store: one transaction, one repository per noun."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from lockserver.app.ports.asking import Channel
from tests.sim.memory.access import Entries, Notices
from tests.sim.memory.carriers import Firmware, GatewayCredentials, Gateways
from tests.sim.memory.commands import Commands, Credentials, Journals, Verdicts, Wishes
from tests.sim.memory.locks import LockDocuments, Locks, LockStates, SiteKeys
from tests.sim.memory.people import Accounts, Doors, Holders, Houses, Phones, Sessions
from tests.sim.memory.platform import Audit, CaseFiles, Cases, Idempotency, Outbox
from tests.sim.memory.rows import Connection
from tests.sim.memory.slots import Captures, Findings, GivenPins, Slots
from tests.sim.memory.steps import Steps
from tests.sim.memory.store import MemoryStore
from tests.sim.memory.tenancies import Duties, Filings, Grants, Ledger, Registrations, Tenancies
from tests.sim.memory.transaction import Transaction

if TYPE_CHECKING:
    from lockserver.app import ports


class MemoryUnitOfWork:
    """One open transaction. Repositories are made when first asked for."""

    def __init__(self, connection: Connection) -> None:
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
    def firmware(self) -> Firmware:
        """Firmware images."""
        return Firmware(self.connection)

    @cached_property
    def gateways(self) -> Gateways:
        """Carriers over BLE."""
        return Gateways(self.connection)

    @cached_property
    def gateway_credentials(self) -> GatewayCredentials:
        """What gateways may carry to."""
        return GatewayCredentials(self.connection)

    @cached_property
    def entries(self) -> Entries:
        """Entries to occupied rooms."""
        return Entries(self.connection)

    @cached_property
    def notices(self) -> Notices:
        """What people were told."""
        return Notices(self.connection)

    @cached_property
    def slots(self) -> Slots:
        """Places in keypads and readers."""
        return Slots(self.connection)

    @cached_property
    def given_pins(self) -> GivenPins:
        """PINs that were read out."""
        return GivenPins(self.connection)

    @cached_property
    def captures(self) -> Captures:
        """What locks captured."""
        return Captures(self.connection)

    @cached_property
    def findings(self) -> Findings:
        """What is otherwise than it should be."""
        return Findings(self.connection)

    @cached_property
    def wishes(self) -> Wishes:
        """Wishes that were used."""
        return Wishes(self.connection)

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

    async def notify(self, channel: Channel, payload: str) -> None:
        """Tell listeners when, and only if, this transaction commits."""
        async with self.connection.statement() as work:
            work.notify(channel, payload)


class _Begun(AbstractAsyncContextManager[MemoryUnitOfWork]):
    """A transaction's context: commits when left well, undoes everything otherwise."""

    def __init__(self, store: MemoryStore, role: str) -> None:
        self._store = store
        self._role = role
        self._work: Transaction | None = None

    async def __aenter__(self) -> MemoryUnitOfWork:
        self._work = Transaction(self._store, self._role)
        return MemoryUnitOfWork(Connection(self._store, self._role, self._work))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._work is not None
        try:
            if error is None:
                await self._work.commit()
        finally:
            self._work.end()


class _Alone(AbstractAsyncContextManager[MemoryUnitOfWork]):
    """Lends repositories; nothing is left open between two statements."""

    def __init__(self, connection: Connection) -> None:
        self._lent = MemoryUnitOfWork(connection)

    async def __aenter__(self) -> MemoryUnitOfWork:
        return self._lent

    async def __aexit__(self, *_: object) -> None:
        return None


class _Stepping(AbstractAsyncContextManager[Steps]):
    """Lends steps."""

    def __init__(self, connection: Connection) -> None:
        self._lent = Steps(connection)

    async def __aenter__(self) -> Steps:
        return self._lent

    async def __aexit__(self, *_: object) -> None:
        return None


class MemoryTransactions:
    """Opens units of work over a store, as one role (the laws that ask who writes are told it)."""

    def __init__(self, store: MemoryStore, role: str = "") -> None:
        self.store = store
        self.role = role

    def begin(self) -> _Begun:
        """Open a transaction; leave the context to commit, raise to roll back."""
        return _Begun(self.store, self.role)

    def alone(self) -> _Alone:
        """Open a unit of work in which every statement is a transaction of its own."""
        return _Alone(Connection(self.store, self.role))

    def steps(self) -> _Stepping:
        """Lend what is done in single statements, each a transaction of its own."""
        return _Stepping(Connection(self.store, self.role))


if TYPE_CHECKING:

    def _holds(transactions: MemoryTransactions) -> ports.Transactions:
        return transactions  # mypy proves here that the memory implements the port
