"""What the lock holds about its door, in flash: numbers that only rise, and signed documents.

Every change is written before anything that depends on it happens. A document is kept with the key
that signed it, so that it can be read again after that key has been rotated out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from firmware_sim.core.rtc import Rtc
from lockserver.protocol.access import ClockView, DoorView, Granted
from lockserver.protocol.carried import CheckedDocument, DocumentKind
from lockserver.protocol.claims import Claims, HolderClass
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.cose import peek_kid
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import (
    AccessState,
    KeySet,
    RevocationList,
    Trust,
    read_access_state,
    read_key_set,
    read_revocation_list,
)
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.journal import What

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash
    from firmware_sim.core.identity import Identity
    from firmware_sim.core.rtc import Moment

_NUMBERS: Final = "numbers"
_KEYS: Final = "document.keys"
_LIST: Final = "document.list"
_STATE: Final = "document.state"

Record = dict[str, bytes | None]


@dataclass(slots=True)
class Held:
    """One lock's memory of its door. Build with `load`; after a change, put `record()` into flash."""

    identity: Identity
    trust: Trust
    rtc: Rtc
    counter: int = 0
    epoch: int = 0
    owner_epoch: int = 0
    staff_epoch: int = 0
    occupied: bool = False
    acknowledged: int = 0
    revocation: RevocationList | None = None
    state: AccessState | None = None
    _documents: Record = field(default_factory=dict)

    def door(self) -> DoorView:
        """What `access.decide` judges by."""
        return DoorView(
            lock_id=self.identity.lock_id,
            shared=self.identity.shared,
            epoch=self.epoch,
            occupied=self.occupied,
            revocation=self.revocation,
            owner_epoch=self.owner_epoch,
            staff_epoch=self.staff_epoch,
        )

    def clock(self, at: Moment) -> ClockView:
        """What `access.decide` judges windows by."""
        return ClockView(self.rtc.now(at), self.rtc.floor)

    @property
    def list_number(self) -> int:
        """Number of the revocation list held, 0 for none."""
        return 0 if self.revocation is None else self.revocation.number

    @property
    def state_version(self) -> int:
        """Version of the access state held, 0 for none."""
        return 0 if self.state is None else self.state.version

    def record(self) -> Record:
        """All numbers, as they are put into flash."""
        numbers = [
            self.counter,
            self.epoch,
            self.owner_epoch,
            self.staff_epoch,
            self.occupied,
            self.acknowledged,
            self.rtc.offset,
            self.rtc.floor,
            self.rtc.seen,
        ]
        return {_NUMBERS: encode(numbers)}

    def raise_for(self, claims: Claims, grant: Granted) -> bool:
        """Take over what a grant to a credential says must be stored before the bolt moves."""
        return self.store(claims.holder_class, grant)

    def store(self, holder_class: HolderClass, grant: Granted) -> bool:
        """Take over what a grant says must be stored before the bolt moves. Whether an epoch rose."""
        if grant.occupies:
            self.occupied = True
        if grant.raise_epoch is None:
            return False
        if holder_class is HolderClass.OWNER:
            self.owner_epoch = grant.raise_epoch
        elif holder_class is HolderClass.STAFF:
            self.staff_epoch = grant.raise_epoch
        else:
            self.epoch = grant.raise_epoch
        return True

    def apply_keys(self, news: CheckedDocument) -> Record | None:
        """Take a newer key set; None if it is not newer."""
        key_set = news.document
        if not isinstance(key_set, KeySet) or key_set.number <= self.trust.key_set.number:
            return None
        self.trust = replace(self.trust, key_set=key_set)
        return {_KEYS: news.raw}

    def apply(self, news: CheckedDocument, issuers: dict[bytes, bytes]) -> tuple[What, Record]:
        """Take a newer list or access state; `issuers` are the keys it was verified under.

        Raises RemoteError ROLLED_BACK for one that is older than what is held.
        """
        document = news.document
        kept = encode([news.raw, issuers[peek_kid(news.raw)]])
        if isinstance(document, RevocationList):
            _must_rise(self.list_number, document.number)
            self.revocation = document
            return What.REVOCATION_APPLIED, {_LIST: kept}
        if isinstance(document, AccessState):
            _must_rise(self.state_version, document.version)
            self._take_state(document)
            return What.STATE_APPLIED, {_STATE: kept}
        raise RemoteError(Denial.UNSUPPORTED, news.kind.name)

    def _take_state(self, state: AccessState) -> None:
        self.state = state
        if self.identity.shared or state.epoch is None:
            return
        if state.occupied:
            self.occupied = True
        elif state.epoch >= self.epoch:
            self.occupied = False
        self.epoch = max(self.epoch, state.epoch)


def _must_rise(held: int, offered: int) -> None:
    if offered <= held:
        raise RemoteError(Denial.ROLLED_BACK, f"{offered} after {held}")


def known(held: Held, news: CheckedDocument) -> bool:
    """Whether this very document is what the lock holds: bringing it again is no offence."""
    document = news.document
    if isinstance(document, RevocationList):
        return document == held.revocation
    if isinstance(document, AccessState):
        return document == held.state
    return False


def first_record(key_set: bytes) -> Record:
    """What enrolment puts beside the identity and the numbers."""
    return {_KEYS: key_set}


def load(flash: Flash, identity: Identity) -> Held:
    """What survived. Raises ValueError if flash holds an identity and no key set."""
    raw = flash.get(_KEYS)
    if raw is None:
        message = "flash holds an identity without a key set"
        raise ValueError(message)
    trust = Trust(identity.site_root, read_key_set(raw, identity.site_root))
    held = Held(identity, trust, Rtc())
    _load_numbers(held, flash.get(_NUMBERS))
    revocation, state = flash.get(_LIST), flash.get(_STATE)
    if revocation is not None:
        raw, keys = _kept(revocation)
        held.revocation = read_revocation_list(raw, keys)
    if state is not None:
        raw, keys = _kept(state)
        held.state = read_access_state(raw, keys)
    return held


def _kept(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    row = decode(value, limit=2 * len(value))
    if not isinstance(row, list):
        message = "a document in flash is broken"
        raise TypeError(message)
    return row[0], keys_by_id((row[1],))


def _load_numbers(held: Held, raw: bytes | None) -> None:
    if raw is None:
        return
    row = decode(raw)
    if not isinstance(row, list):
        message = "the numbers in flash are broken"
        raise TypeError(message)
    held.counter, held.epoch, held.owner_epoch, held.staff_epoch = row[0:4]
    held.occupied, held.acknowledged = row[4:6]
    held.rtc.offset, held.rtc.floor, held.rtc.seen = row[6:9]


__all__ = ["DocumentKind", "Held", "Record", "first_record", "known", "load"]
