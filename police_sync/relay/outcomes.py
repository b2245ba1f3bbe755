"""What one try came to, as data. `code` is stable and is what an attempt's record keeps."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from police_sync.relay.filing import Kind


class ProvinceState(StrEnum):
    """States of a registration at the province (contract, `fields.schema.json`)."""

    RECEIVED = "RECEIVED"
    CHECKING = "CHECKING"
    ACCEPTED = "ACCEPTED"
    ACCEPTED_LATE = "ACCEPTED_LATE"
    RETURNED = "RETURNED"
    MANUAL_REVIEW = "MANUAL_REVIEW"
    DUPLICATE_OF = "DUPLICATE_OF"
    SUPERSEDED = "SUPERSEDED"
    DEPARTED = "DEPARTED"
    WITHDRAWN = "WITHDRAWN"


UNSETTLED = frozenset({ProvinceState.RECEIVED, ProvinceState.CHECKING, ProvinceState.MANUAL_REVIEW})
"""States after which more is to be expected from the province without our doing anything."""


@dataclass(frozen=True, slots=True)
class FieldReturn:
    """One field at fault and the province's code for why."""

    field: str
    code: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A verified receipt or voucher; `raw` is its canonical JSON with the signature, verbatim."""

    type: str  # "receipt" | "voucher"
    no: str
    client_no: str
    version: int
    kind: Kind
    content_digest: str
    at: str  # received_at / accepted_at as signed: RFC 3339, UTC, whole seconds
    key_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verified state document: where the registration stands at the province."""

    client_no: str
    version: int
    seq: int
    state: ProvinceState
    as_of: str
    returns: tuple[FieldReturn, ...]
    duplicate_of: str | None
    receipts: tuple[Receipt, ...]
    voucher: Receipt | None
    raw: bytes

    @property
    def settled(self) -> bool:
        """Whether the province has said its word on the newest version that it holds."""
        return self.state not in UNSETTLED

    def receipt_for(self, version: int) -> Receipt | None:
        """The receipt of one filing, if the province holds it."""
        return next((r for r in self.receipts if r.version == version), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try came to; `detail` is a constant word, never a personal field."""

    code: ClassVar[str] = "outcome"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Accepted(Outcome):
    """A delivery was answered by a receipt that holds."""

    code: ClassVar[str] = "accepted"
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Found(Outcome):
    """We asked, and the province holds this very filing."""

    code: ClassVar[str] = "found"
    verdict: Verdict | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class NotThere(Outcome):
    """We asked, and the province does not hold this filing."""

    code: ClassVar[str] = "not_there"


@dataclass(frozen=True, slots=True)
class FieldsReturned(Outcome):
    """Refused at the door for named fields."""

    code: ClassVar[str] = "fields_returned"
    returns: tuple[FieldReturn, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict(Outcome):
    """The province holds something else under this number and version, or has passed it."""

    code: ClassVar[str] = "conflict"


@dataclass(frozen=True, slots=True)
class Refused(Outcome):
    """Well-formed, deliberate refusal that repeating will not change."""

    code: ClassVar[str] = "refused"


@dataclass(frozen=True, slots=True)
class Unsent(Outcome):
    """No connection came about: the province cannot have read anything."""

    code: ClassVar[str] = "unsent"


@dataclass(frozen=True, slots=True)
class Unknown(Outcome):
    """The request may have arrived; no answer did."""

    code: ClassVar[str] = "unknown"


@dataclass(frozen=True, slots=True)
class Ill(Outcome):
    """An answer of a sick or busy province. `retry_after_s` as it asked, in seconds.

    `certain` says that the refusal came from the province's own door before it accepted anything
    (429, its own 503 problem, a clock it dislikes); otherwise the filing may have been accepted.
    """

    code: ClassVar[str] = "ill"
    retry_after_s: int | None = None
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Malformed(Outcome):
    """An answer that is not the contract's: HTML, a redirect, wrong JSON, too long."""

    code: ClassVar[str] = "malformed"


@dataclass(frozen=True, slots=True)
class ReceiptForged(Outcome):
    """A signed document that does not hold: signature, key, or not what we sent (L-25)."""

    code: ClassVar[str] = "receipt_forged"


TROUBLE = (Unsent, Unknown, Ill, Malformed)
"""Outcomes that say something about the province's health rather than about the filing."""
