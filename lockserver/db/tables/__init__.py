"""Every table, as SQLModel; the only schema there is. Migrations are held equal to it by a test."""

from lockserver.db.tables.access import EntryRow, NoticeRow, WishTermsRow
from lockserver.db.tables.carriers import (
    FirmwareImageRow,
    GatewayCredentialRow,
    GatewayRow,
    GatewaySightRow,
)
from lockserver.db.tables.columns import Instant, Row, metadata, table_of
from lockserver.db.tables.houses import (
    DoorRow,
    DutyRow,
    GrantRow,
    HouseRow,
    HouseStaffRow,
    OccupantRow,
    TenancyRow,
)
from lockserver.db.tables.locks import (
    CommandRow,
    CredentialRow,
    JournalRow,
    LockDocumentRow,
    LockRow,
    LockStatusRow,
    SiteKeyRow,
    WishRow,
)
from lockserver.db.tables.people import (
    AccountRow,
    HolderRow,
    LoginCodeRow,
    PhoneRow,
    SessionRow,
)
from lockserver.db.tables.platform import (
    AuditCheckpointRow,
    AuditRow,
    IdempotencyRow,
    RequestRow,
)
from lockserver.db.tables.registration import (
    AttemptRow,
    CasePartRow,
    CaseRow,
    LedgerRow,
    OutboxRow,
    ReceiptRow,
    RegistrationRow,
    VerdictRow,
)
from lockserver.db.tables.slots import CaptureRow, FindingRow, OfflinePinRow, SlotRow

__all__ = [
    "AccountRow",
    "AttemptRow",
    "AuditCheckpointRow",
    "AuditRow",
    "CaptureRow",
    "CasePartRow",
    "CaseRow",
    "CommandRow",
    "CredentialRow",
    "DoorRow",
    "DutyRow",
    "EntryRow",
    "FindingRow",
    "FirmwareImageRow",
    "GatewayCredentialRow",
    "GatewayRow",
    "GatewaySightRow",
    "GrantRow",
    "HolderRow",
    "HouseRow",
    "HouseStaffRow",
    "IdempotencyRow",
    "Instant",
    "JournalRow",
    "LedgerRow",
    "LockDocumentRow",
    "LockRow",
    "LockStatusRow",
    "LoginCodeRow",
    "NoticeRow",
    "OccupantRow",
    "OfflinePinRow",
    "OutboxRow",
    "PhoneRow",
    "ReceiptRow",
    "RegistrationRow",
    "RequestRow",
    "Row",
    "SessionRow",
    "SiteKeyRow",
    "SlotRow",
    "TenancyRow",
    "VerdictRow",
    "WishRow",
    "WishTermsRow",
    "metadata",
    "table_of",
]
