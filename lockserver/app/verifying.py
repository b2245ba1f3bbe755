"""The role verify's world, and one part of a case on its desk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from lockserver.app.case_key import CaseKey, make_case_key, open_case_key
from lockserver.app.ports import (
    Clock,
    Opener,
    PhoneIndex,
    Random,
    Recogniser,
    SideReading,
    Transactions,
    UnitOfWork,
)
from lockserver.domain.canonical import dumps
from lockserver.domain.case import Case, CasePart, newest
from lockserver.domain.errors import CiphertextMovedError, SealBrokenError
from lockserver.domain.identity import FIELD_NAMES, IdentityFields
from lockserver.domain.ids import uuid7
from lockserver.domain.times import civil_date
from lockserver.protocol.curve import private_key
from lockserver.protocol.sealed import Box, box_info, seal

FIELD_LENGTH_MAX = 200
_HEAD = 4  # bytes that tell how long the texts are


@dataclass(frozen=True, slots=True, repr=False)
class Verifying:
    """The role verify's ports, its keys, and the contract's code tables.

    `codes`: table name → the codes that stand in it (``reason``, ``occupation``).
    """

    transactions: Transactions
    clock: Clock
    random: Random
    recogniser: Recogniser
    opener: Opener
    kek: bytes
    id_index: PhoneIndex
    codes: Mapping[str, frozenset[str]]

    def open(self, part: CasePart) -> bytes:
        """Return what was sealed to us for this very case; raises SealBrokenError."""
        if part.sealed is None:
            raise SealBrokenError
        return self.opener.open(part.sealed, box_info(Box.UPLOAD, part.case_id.bytes))

    def open_json(self, part: CasePart) -> dict[str, Any]:
        """Return a sealed JSON object; raises SealBrokenError."""
        try:
            body = json.loads(self.open(part))
        except (ValueError, RecursionError):
            raise SealBrokenError from None
        if not isinstance(body, dict):
            raise SealBrokenError
        return body


@dataclass(frozen=True, slots=True, repr=False)
class Desk:
    """One part on the desk: the case held, its key open, the transaction running."""

    world: Verifying
    work: UnitOfWork
    now: datetime
    case: Case
    part: CasePart
    key: CaseKey

    @property
    def today(self) -> date:
        """The civil day in Shanghai."""
        return civil_date(self.now)

    def new_id(self) -> UUID:
        """Return a fresh id."""
        return uuid7(self.now, self.world.random(10))

    async def keep(self, kept: bytes | None) -> None:
        """Note that the part was read; what is kept of it lies under the case key."""
        sealed = None if kept is None else self.key.seal(kept, self.part.id, self.world.random)
        await self.work.case_files.save_part(
            replace(self.part, state="read", sealed=sealed, code=None, advice=None)
        )

    async def refuse(self, code: str, advice: str | None) -> None:
        """Note why the part does not do; nothing is kept of it."""
        await self.work.case_files.save_part(
            replace(self.part, state="refused", sealed=None, code=code, advice=advice)
        )

    async def kept(self, kind: str) -> bytes | None:
        """Return what was kept of the newest part of a kind, if that one was read."""
        part = newest(await self.work.case_files.parts(self.case.id), kind, "read")
        return None if part is None or part.sealed is None else self.key.open(part.sealed, part.id)

    async def draft(self, fields: Mapping[str, str]) -> bytes:
        """Seal recognised fields to the tenant's phone: nobody else reads them back."""
        phone = await self.work.phones.one(self.case.phone_id)
        body = dumps({"fields": {name: fields.get(name, "") for name in FIELD_NAMES}})
        info = box_info(Box.DRAFT, self.case.id.bytes)
        return seal(phone.ecdh_pub, body, info, private_key(self.world.random))


async def desk_of(world: Verifying, work: UnitOfWork, part: CasePart) -> Desk:
    """Hold the part's case with its key open; the first part of a case makes the key.

    Raises CiphertextMovedError for a case whose key is destroyed.
    """
    case = await work.case_files.lock(part.case_id)
    if case.destroyed_at is not None:
        raise CiphertextMovedError
    if case.sealed_key is not None:
        return Desk(world, work, world.clock.now(), case, part, open_case_key(world.kek, case))
    key, wrapped = make_case_key(world.kek, case.id, world.random)
    case = replace(case, sealed_key=wrapped)
    await work.case_files.save(case)
    return Desk(world, work, world.clock.now(), case, part, key)


def read_fields(body: Mapping[str, Any]) -> IdentityFields:
    """Return the nine fields of a sealed body; raises SealBrokenError for another shape."""
    fields = body.get("fields")
    if not isinstance(fields, dict) or set(fields) != set(FIELD_NAMES):
        raise SealBrokenError(field="fields")
    if not all(isinstance(text, str) and len(text) <= FIELD_LENGTH_MAX for text in fields.values()):
        raise SealBrokenError(field="fields")
    return IdentityFields(**{name: text.strip() for name, text in fields.items()})


def pack_side(reading: SideReading) -> bytes:
    """Return what is kept of a side: its texts for the draft, and the recogniser's own part."""
    texts = dumps({"fields": dict(reading.fields)})
    return len(texts).to_bytes(_HEAD) + texts + reading.kept


def unpack_side(kept: bytes) -> tuple[dict[str, str], bytes]:
    """Return texts and the recogniser's own part."""
    length = int.from_bytes(kept[:_HEAD])
    texts: dict[str, str] = json.loads(kept[_HEAD : _HEAD + length])["fields"]
    return texts, kept[_HEAD + length :]
