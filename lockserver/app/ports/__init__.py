"""Ports: everything that a use case may await. `lockserver.db`, `.mqtt` and `.keys` implement them.

A use case takes the ports it needs as arguments, so that the simulated world can hand in others.
"""

from lockserver.app.ports.asking import Changes, Channel, Handler, Requests, RoleName, Watch
from lockserver.app.ports.cases import (
    CaseFiles,
    Cases,
    FaceReading,
    Filings,
    Judgement,
    Ledger,
    Recogniser,
    RecognitionBusyError,
    SideReading,
)
from lockserver.app.ports.keys import FieldCipher, Opener, PhoneIndex, Sealer, Signer
from lockserver.app.ports.rows import (
    Accounts,
    Answer,
    Audit,
    Doors,
    Duties,
    Grants,
    Holders,
    Houses,
    Idempotency,
    Outbox,
    Outgoing,
    Phones,
    Rows,
    Sessions,
    Tenancies,
)
from lockserver.app.ports.steps import Claim, Known, Steps
from lockserver.app.ports.work import Transactions, UnitOfWork
from lockserver.app.ports.world import Clock, Random, Sms

__all__ = [
    "Accounts",
    "Answer",
    "Audit",
    "CaseFiles",
    "Cases",
    "Changes",
    "Channel",
    "Claim",
    "Clock",
    "Doors",
    "Duties",
    "FaceReading",
    "FieldCipher",
    "Filings",
    "Grants",
    "Handler",
    "Holders",
    "Houses",
    "Idempotency",
    "Judgement",
    "Known",
    "Ledger",
    "Opener",
    "Outbox",
    "Outgoing",
    "PhoneIndex",
    "Phones",
    "Random",
    "Recogniser",
    "RecognitionBusyError",
    "Requests",
    "RoleName",
    "Rows",
    "Sealer",
    "Sessions",
    "SideReading",
    "Signer",
    "Sms",
    "Steps",
    "Tenancies",
    "Transactions",
    "UnitOfWork",
    "Watch",
]
