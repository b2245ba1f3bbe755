"""The tenant declares: registration, sealed filing and ledger line in one transaction, or nothing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from lockserver.app.ports import Outgoing
from lockserver.app.verifying import Desk, read_fields
from lockserver.domain.canonical import dumps
from lockserver.domain.duties import Duty
from lockserver.domain.errors import (
    DutyFulfilledError,
    FieldsDifferError,
    IdentifierInvalidError,
    SealBrokenError,
    TenancyEndedError,
)
from lockserver.domain.house import House
from lockserver.domain.identity import (
    IdentityFields,
    IdNumber,
    check_number,
    normalise_name,
    normalise_number,
    parse_sex,
)
from lockserver.domain.identity_data.ethnicities import CODE_OF
from lockserver.domain.phone_number import normalise
from lockserver.domain.registration import (
    ARRIVAL_GROUND,
    CONTRACT_VERSION,
    PROVINCE,
    RESIDENT_CARD,
    LedgerEntry,
    Registration,
    StayInvalidError,
    planned_until,
)
from lockserver.domain.tenancy import Tenancy
from lockserver.domain.times import civil_date
from lockserver.protocol.curve import private_key
from lockserver.protocol.sealed import Box, box_info, seal

_STAY_FIELDS = frozenset({"phone", "planned_until", "reason_code", "occupation_code"})
_NOT_PERSONAL = frozenset({"contract_version", "client_no", "version", "digest_salt"})
FIRST_VERSION = 1


@dataclass(frozen=True, slots=True, repr=False)
class Stay:
    """What a tenant declares of his stay."""

    phone: str
    until: date
    reason_code: str
    occupation_code: str


async def take_declaration(desk: Desk) -> None:
    """File what the tenant declared, if it is what he confirmed.

    Raises SealBrokenError, CaseStateError, FieldsDifferError, StayInvalidError,
    TenancyEndedError, DutyFulfilledError.
    """
    body = desk.world.open_json(desk.part)
    fields = read_fields(body)
    desk.case.takes_declaration(desk.now)
    if desk.key.digest(fields) != desk.case.confirmed_digest:
        raise FieldsDifferError
    duty = await desk.work.duties.lock(desk.case.duty_id)
    if duty.state != "open":
        raise DutyFulfilledError
    tenancy = await desk.work.tenancies.one(duty.tenancy_id)
    if tenancy.state != "signed":
        raise TenancyEndedError
    house = await desk.work.houses.one((await desk.work.doors.one(tenancy.door_id)).house_id)
    stay = read_stay(body.get("stay"), desk.world.codes, civil_date(tenancy.lower))
    await _file(desk, fields, stay, duty, tenancy, house)


def read_stay(stay: object, codes: Mapping[str, frozenset[str]], arrival: date) -> Stay:
    """Return the declared stay; raises SealBrokenError, StayInvalidError naming the field."""
    if not isinstance(stay, dict) or set(stay) != _STAY_FIELDS:
        raise SealBrokenError(field="stay")
    texts = {name: value.strip() for name, value in stay.items() if isinstance(value, str)}
    if set(texts) != _STAY_FIELDS:
        raise SealBrokenError(field="stay")
    for table in ("reason", "occupation"):
        if texts[f"{table}_code"] not in codes[table]:
            raise StayInvalidError(field=f"{table}_code")
    return Stay(
        phone=normalise(texts["phone"]),
        until=planned_until(texts["planned_until"], arrival),
        reason_code=texts["reason_code"],
        occupation_code=texts["occupation_code"],
    )


def registration_body(
    client_no: str,
    salt: str,
    fields: IdentityFields,
    number: IdNumber,
    stay: Stay,
    house: House,
    arrival: date,
) -> dict[str, object]:
    """Return exactly the contract's fields (registration.schema.json), and nothing else (L-48)."""
    sex = parse_sex(fields.sex) or number.sex
    return {
        "contract_version": CONTRACT_VERSION,
        "client_no": client_no,
        "version": FIRST_VERSION,
        "digest_salt": salt,
        "name": normalise_name(fields.name),
        "document_type": RESIDENT_CARD,
        "document_number": number.text,
        "sex": sex.value,
        "birth_date": fields.birth,
        "ethnicity": CODE_OF[fields.ethnicity],
        "registered_address": fields.address,
        "phone": stay.phone,
        "address_id": house.address_id,
        "station": house.station_code,
        "arrival": arrival.isoformat(),
        "planned_until": stay.until.isoformat(),
        "reason_code": stay.reason_code,
        "occupation_code": stay.occupation_code,
    }


async def _file(
    desk: Desk, fields: IdentityFields, stay: Stay, duty: Duty, tenancy: Tenancy, house: House
) -> None:
    number = check_number(normalise_number(fields.number), today=desk.today)
    if not isinstance(number, IdNumber):  # the verdict could not have approved it
        raise IdentifierInvalidError(field="number")
    client_no, salt = str(desk.new_id()), desk.world.random(16).hex()
    arrival = civil_date(tenancy.lower)
    values = registration_body(client_no, salt, fields, number, stay, house, arrival)
    body = dumps(values)
    registration = Registration(
        id=desk.new_id(),
        client_no=client_no,
        duty_id=duty.id,
        tenancy_id=tenancy.id,
        holder_id=desk.case.holder_id,
        number_mask=number.masked,
        version=FIRST_VERSION,
        state="submitted",
        submitted_at=desk.now,
    )
    await desk.work.filings.file(registration, desk.world.id_index.index(number.text))
    await _send(desk, registration, body)
    await _note_in_ledger(desk, registration, values, salt)
    await desk.work.duties.save(replace(duty, state="filed"))
    await desk.keep(None)
    await desk.work.case_files.save(desk.case.submitted())
    await desk.work.audit.write(
        "role:verify", "file_registration", f"registration:{registration.id}", case=str(desk.case.id)
    )


async def _send(desk: Desk, registration: Registration, body: bytes) -> None:
    relay = await desk.work.site_keys.current("relay")
    info = box_info(Box.RECORD, registration.client_no.encode())
    await desk.work.outbox.put(
        Outgoing(
            id=desk.new_id(),
            registration_id=registration.id,
            client_no=registration.client_no,
            seq=FIRST_VERSION,
            kind="register",
            sealed=seal(relay.public, body, info, private_key(desk.world.random)),
            body_digest=hashlib.sha256(body).digest(),
        )
    )


async def _note_in_ledger(
    desk: Desk, registration: Registration, values: Mapping[str, object], salt: str
) -> None:
    """Write which fields leave, with digests that only who has the sealed salt can recompute."""
    names = sorted(set(values) - _NOT_PERSONAL)
    digests = {name: hashlib.sha256(f"{salt}\0{name}\0{values[name]}".encode()).hexdigest() for name in names}
    await desk.work.ledger.write(
        LedgerEntry(
            id=desk.new_id(),
            holder_id=registration.holder_id,
            at=desk.now,
            to_whom=PROVINCE,
            ground=ARRIVAL_GROUND,
            registration_id=registration.id,
            field_names=names,
            digests=digests,
        )
    )
