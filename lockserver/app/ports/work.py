"""The unit of work: one transaction per request, and no use case ever commits."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from lockserver.app.ports.asking import Channel
from lockserver.app.ports.carriers import Firmware, GatewayCredentials, Gateways
from lockserver.app.ports.cases import CaseFiles, Cases, Filings, Ledger
from lockserver.app.ports.locks import (
    Commands,
    Credentials,
    Entries,
    Journals,
    LockDocuments,
    Locks,
    LockStates,
    Notices,
    Registrations,
    SiteKeys,
    Verdicts,
    Wishes,
)
from lockserver.app.ports.rows import (
    Accounts,
    Audit,
    Doors,
    Duties,
    Grants,
    Holders,
    Houses,
    Idempotency,
    Outbox,
    Phones,
    Sessions,
    Tenancies,
)
from lockserver.app.ports.slots import Captures, Findings, GivenPins, Slots
from lockserver.app.ports.steps import Steps


class UnitOfWork(Protocol):
    """One open transaction, and one repository per noun.

    It commits when its context is left without an exception, and rolls back otherwise.
    """

    @property
    def accounts(self) -> Accounts: ...  # noqa: D102
    @property
    def sessions(self) -> Sessions: ...  # noqa: D102
    @property
    def holders(self) -> Holders: ...  # noqa: D102
    @property
    def phones(self) -> Phones: ...  # noqa: D102
    @property
    def houses(self) -> Houses: ...  # noqa: D102
    @property
    def doors(self) -> Doors: ...  # noqa: D102
    @property
    def tenancies(self) -> Tenancies: ...  # noqa: D102
    @property
    def duties(self) -> Duties: ...  # noqa: D102
    @property
    def grants(self) -> Grants: ...  # noqa: D102
    @property
    def locks(self) -> Locks: ...  # noqa: D102
    @property
    def lock_states(self) -> LockStates: ...  # noqa: D102
    @property
    def lock_documents(self) -> LockDocuments: ...  # noqa: D102
    @property
    def site_keys(self) -> SiteKeys: ...  # noqa: D102
    @property
    def credentials(self) -> Credentials: ...  # noqa: D102
    @property
    def gateways(self) -> Gateways: ...  # noqa: D102
    @property
    def gateway_credentials(self) -> GatewayCredentials: ...  # noqa: D102
    @property
    def firmware(self) -> Firmware: ...  # noqa: D102
    @property
    def wishes(self) -> Wishes: ...  # noqa: D102
    @property
    def entries(self) -> Entries: ...  # noqa: D102
    @property
    def notices(self) -> Notices: ...  # noqa: D102
    @property
    def commands(self) -> Commands: ...  # noqa: D102
    @property
    def journals(self) -> Journals: ...  # noqa: D102
    @property
    def verdicts(self) -> Verdicts: ...  # noqa: D102
    @property
    def receipts_awaited(self) -> Registrations: ...  # noqa: D102
    @property
    def cases(self) -> Cases: ...  # noqa: D102
    @property
    def case_files(self) -> CaseFiles: ...  # noqa: D102
    @property
    def filings(self) -> Filings: ...  # noqa: D102
    @property
    def ledger(self) -> Ledger: ...  # noqa: D102
    @property
    def outbox(self) -> Outbox: ...  # noqa: D102
    @property
    def slots(self) -> Slots: ...  # noqa: D102
    @property
    def given_pins(self) -> GivenPins: ...  # noqa: D102
    @property
    def captures(self) -> Captures: ...  # noqa: D102
    @property
    def findings(self) -> Findings: ...  # noqa: D102
    @property
    def idempotency(self) -> Idempotency: ...  # noqa: D102
    @property
    def audit(self) -> Audit: ...  # noqa: D102

    async def notify(self, channel: Channel, payload: str) -> None:
        """Tell listeners when, and only if, this transaction commits."""
        ...


class Transactions(Protocol):
    """Opens units of work, as one role's database user."""

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction; leave the context to commit, raise to roll back.

        At commit the deferred laws speak: a broken one raises IntegrityRefusedError.
        """
        ...

    def alone(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work in which every statement is a transaction of its own.

        For what only looks: it spares two round trips. What two statements do here is not done together.
        """
        ...

    def steps(self) -> AbstractAsyncContextManager[Steps]:
        """Lend what is done in single statements, each a transaction of its own.

        Somebody stands at a door meanwhile: a step spares the round trips that open and close a
        transaction. What two steps do is not done together.
        """
        ...
