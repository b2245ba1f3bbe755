"""A small, lawful end state, written row by row: what the auditor finds nothing wrong with.

One house, one room with its lock, a tenant whose registration was receipted and who left, one remote
unlock that was done, a journal of three entries, a checkpoint over the audit log.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import insert, update

from lockserver.db import tables
from lockserver.db.audit import checkpoint
from lockserver.db.connection import Pool
from lockserver.db.tables import table_of
from lockserver.db.unit_of_work import PostgresTransactions, PostgresUnitOfWork
from lockserver.domain.canonical import b64url
from lockserver.domain.times import whole_seconds
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.claims import Capability, Claims, HolderClass
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, key_id, private_key, public_bytes
from lockserver.protocol.envelope import Envelope, Position, seal_report, unseal_report
from lockserver.protocol.journal import GENESIS, Entry, How, What, entry_hash
from lockserver.protocol.reports import Outcome, Result
from lockserver.protocol.topics import shard
from lockserver.protocol.wish import Wish, WishOperation, sign_wish
from police_sync.relay.filing import canonical
from tests.support.database import Database
from tests.support.people import START, a_duty, a_place, a_registration, a_tenancy, fresh, sign

NO = "0198c0de-0000-7000-8000-000000000001"
SENT = START + timedelta(hours=1)
DIGEST = "sha-256:" + "ab" * 32


def signer() -> EcdsaSigner:
    return EcdsaSigner(private_key(secrets.token_bytes))


@dataclass
class EndState:
    """Ids to tamper with, and what the auditor is handed."""

    database: Database
    tenancy: UUID
    tenant: UUID
    lock: UUID
    command: UUID
    credential: UUID
    province_keys: bytes
    ledger: dict[str, Any]
    lock_key: EcdsaSigner
    province: EcdsaSigner
    breaker: psycopg.Connection[Any] | None = None

    def tamper(self, statement: str, *args: object) -> None:
        """Change the state as a superuser who has switched the laws off; nothing is committed."""
        assert self.breaker is not None
        self.breaker.execute("SET LOCAL session_replication_role = replica")
        self.breaker.execute((statement % tuple(map(_sql, args))).encode())


def _sql(value: object) -> str:
    return f"'\\x{value.hex()}'" if isinstance(value, bytes) else f"'{value}'"


async def an_end_state(database: Database) -> EndState:
    pool = Pool(database.superuser)
    database.pools.append(pool)
    transactions = PostgresTransactions(pool)
    place = await a_place(transactions)
    tenancy = a_tenancy(place)
    [tenant] = await sign(transactions, place, tenancy)
    registration = await a_registration(transactions, tenancy, tenant, NO)
    issuer, lock_key, phone, province, check = (signer() for _ in range(5))
    made = EndState(
        database, tenancy.id, tenant, fresh(), fresh(), fresh(), _published(province), {}, lock_key, province
    )
    async with transactions.begin() as work:
        await _keys(work, issuer=issuer, checkpoint=check)
        phone_id = await _doors(work, made, place.room.id, tenancy.id, issuer, phone)
        await _command(work, made, phone_id, tenancy.id, phone)
        await _journal(work, made)
        made.ledger = {"records": [await _filings(work, made, registration)]}
        await work.tenancies.save(tenancy.ended(START + timedelta(days=5), "early_tenant", tenant))
        for grant in await work.grants.of_tenancy(tenancy.id):
            await work.grants.save(grant.revoked(START + timedelta(days=5)))
        left = a_duty(tenancy.id, tenant)
        await work.duties.add(replace(left, kind="departure", state="fulfilled", fulfilled_at=START))
        for verb in ("sign", "unlock", "end"):
            await work.audit.write("holder:1", verb, "house:1", what="你好")
    assert await checkpoint(pool, check) == 3
    async with transactions.begin() as work:
        await work.audit.write("role:jobs", "later", "house:1")
    assert await checkpoint(pool, check) == 1
    return made


def _published(key: EcdsaSigner) -> bytes:
    return json.dumps(
        {
            "keys": [
                {
                    "key_id": "p-4b44c84b97219b71",
                    "alg": "ES256",
                    "public_key": b64url(key.public),
                    "from": "2026-01-01T00:00:00Z",
                    "until": None,
                }
            ]
        }
    ).encode()


async def _put(work: PostgresUnitOfWork, row: type[tables.Row], **values: object) -> None:
    await work.connection.execute(insert(table_of(row)).values(values))


async def _keys(work: PostgresUnitOfWork, **keys: EcdsaSigner) -> None:
    for kind, key in keys.items():
        await _put(
            work, tables.SiteKeyRow, id=fresh(), kind=kind, kid=key_id(key.public), public=key.public,
            state="current",
        )  # fmt: skip


async def _doors(
    work: PostgresUnitOfWork,
    made: EndState,
    door_id: UUID,
    tenancy_id: UUID,
    issuer: EcdsaSigner,
    phone: EcdsaSigner,
) -> UUID:
    other = public_bytes(private_key(secrets.token_bytes))
    await _put(
        work, tables.LockRow, id=made.lock, door_id=door_id, serial="SN-1", sign_pub=made.lock_key.public,
        ecdh_pub=other, factory_fingerprint=b"f", shard=shard(made.lock.bytes), state="active",
    )  # fmt: skip
    phone_id = fresh()
    await _put(
        work, tables.PhoneRow, id=phone_id, holder_id=made.tenant, sign_pub=phone.public, ecdh_pub=other,
        state="active", proved_by="staff",
    )  # fmt: skip
    [grant] = await work.grants.of_tenancy(tenancy_id)
    holder = await work.holders.one(made.tenant)
    claims = Claims(
        cti=made.credential.bytes, subject=holder.subject, lock_id=made.lock.bytes,
        holder_public=phone.public, nbf=whole_seconds(START), exp=whole_seconds(START) + 72 * 3600,
        iat=whole_seconds(START), capabilities=Capability.UNLOCK, holder_class=HolderClass.TENANT, epoch=1,
    )  # fmt: skip
    await _put(
        work, tables.CredentialRow, id=made.credential, grant_id=grant.id, phone_id=phone_id,
        lock_id=made.lock, not_before=START, expires_at=START + timedelta(hours=72), issued_at=START,
        epoch=1, raw=issue_credential(claims, issuer),
    )  # fmt: skip
    session, case, account = fresh(), fresh(), holder.account_id
    await _put(
        work, tables.SessionRow, id=session, account_id=account, access_hash=session.bytes * 2,
        access_expires_at=START, refresh_hash=session.bytes * 2, refresh_expires_at=START,
    )  # fmt: skip
    duty = await work.duties.of_occupant(tenancy_id, made.tenant, "arrival")
    assert duty is not None
    await _put(
        work, tables.CaseRow, id=case, duty_id=duty.id, holder_id=made.tenant, phone_id=phone_id,
        session_id=session, route="staff", state="closed",
    )  # fmt: skip
    await _put(
        work, tables.VerdictRow, id=fresh(), case_id=case, holder_id=made.tenant, phone_id=phone_id,
        outcome="approved", route="staff", reasons=[],
    )  # fmt: skip
    await _let_in(work, made, door_id, tenancy_id, phone_id, issuer)
    return phone_id


async def _let_in(
    work: PostgresUnitOfWork, made: EndState, door_id: UUID, tenancy_id: UUID, by: UUID, issuer: EcdsaSigner
) -> None:
    """The owner was let in for an hour, and his key says so."""
    house = await work.houses.one((await work.doors.one(door_id)).house_id)
    owner, phone = await work.holders.one(house.owner_holder_id), signer()
    phone_id, grant_id, wish_id, cti = fresh(), fresh(), fresh(), fresh()
    until = START + timedelta(hours=1)
    await _put(
        work, tables.PhoneRow, id=phone_id, holder_id=owner.id, sign_pub=phone.public, ecdh_pub=phone.public,
        state="active", proved_by="button",
    )  # fmt: skip
    await _put(
        work, tables.GrantRow, id=grant_id, holder_id=owner.id, door_id=door_id, class_="owner",
        capabilities=int(Capability.UNLOCK), lower=START, upper=None, state="active",
    )  # fmt: skip
    await _put(
        work, tables.WishRow, id=wish_id, holder_id=made.tenant, phone_id=by, operation="consent_entry",
        target=made.lock, not_after=until, raw=b"kept as it was signed",
    )  # fmt: skip
    await _put(
        work, tables.EntryRow, id=fresh(), lock_id=made.lock, door_id=door_id, tenancy_id=tenancy_id,
        kind="consent", class_="owner", given_by=made.tenant, wish_id=wish_id, lower=START, upper=until,
    )  # fmt: skip
    claims = Claims(
        cti=cti.bytes, subject=owner.subject, lock_id=made.lock.bytes, holder_public=phone.public,
        nbf=whole_seconds(START), exp=whole_seconds(until), iat=whole_seconds(START),
        capabilities=Capability.UNLOCK | Capability.ENTRY, holder_class=HolderClass.OWNER,
    )  # fmt: skip
    await _put(
        work, tables.CredentialRow, id=cti, grant_id=grant_id, phone_id=phone_id, lock_id=made.lock,
        not_before=START, expires_at=until, issued_at=START, raw=issue_credential(claims, issuer),
    )  # fmt: skip


def result_evidence(made: EndState, command_id: UUID, journal_number: int = 2) -> bytes:
    """A lock's signed report that a command was done, and stands in this entry."""
    result = Result(command_id.bytes, Outcome.DONE, BoltState.UNLOCKED, 1, None, None, journal_number)
    report_key = private_key(secrets.token_bytes)
    box = seal_report(
        Envelope(made.lock.bytes, Position(1, 1), result),
        made.lock_key,
        public_bytes(report_key),
        private_key(secrets.token_bytes),
    )
    return unseal_report(box, made.lock.bytes, report_key)


async def _command(
    work: PostgresUnitOfWork, made: EndState, phone_id: UUID, tenancy_id: UUID, phone: EcdsaSigner
) -> None:
    [grant] = await work.grants.of_tenancy(tenancy_id)
    wish_id, until = fresh(), SENT + timedelta(seconds=15)
    wish = Wish(wish_id.bytes, made.lock.bytes, WishOperation.UNLOCK, whole_seconds(until))
    await _put(
        work, tables.WishRow, id=wish_id, holder_id=made.tenant, phone_id=phone_id, operation="unlock",
        target=made.lock, not_after=until, raw=sign_wish(wish, phone),
    )  # fmt: skip
    table = table_of(tables.CommandRow)
    await _put(
        work, tables.CommandRow, id=made.command, lock_id=made.lock, holder_id=made.tenant,
        grant_id=grant.id, credential_id=made.credential, wish_id=wish_id, kind="unlock", counter=1,
        state="queued", not_after=until,
    )  # fmt: skip
    one = update(table).where(table.c.id == made.command)
    await work.connection.execute(one.values(state="sent", sent_at=SENT))
    done = one.values(state="done", settled_at=SENT, evidence=result_evidence(made, made.command))
    await work.connection.execute(done)


async def _journal(work: PostgresUnitOfWork, made: EndState) -> None:
    head = GENESIS
    for number, what, how in (
        (1, What.ENROLLED, How.SELF),
        (2, What.UNLOCKED, How.REMOTE),
        (3, What.LOCKED, How.SELF),
    ):
        subject = made.credential.bytes if how is How.REMOTE else None
        at = SENT + timedelta(seconds=number)
        entry = Entry(number, head, what, how, subject, None, whole_seconds(at), 1)
        await _put(
            work, tables.JournalRow, lock_id=made.lock, number=number, what=int(what), how=int(how),
            subject=subject, denial=None, at=at, uncertainty=1, count=1, prev_hash=head,
            hash=entry_hash(entry), via="mqtt",
        )  # fmt: skip
        head = entry_hash(entry)
    await _put(work, tables.LockStatusRow, lock_id=made.lock, journal_number=3, journal_hash=head)


async def _filings(work: PostgresUnitOfWork, made: EndState, registration: UUID) -> dict[str, Any]:
    filings = []
    for version, kind in ((1, "register"), (2, "departure")):
        entry, at = fresh(), START + timedelta(minutes=version)
        no = f"SL20260302-000000000{version}"
        await _put(
            work, tables.OutboxRow, id=entry, registration_id=registration, client_no=NO, seq=version,
            kind=kind, sealed=b"box", body_digest=b"d", state="settled", attempts=1, settled_at=at,
        )  # fmt: skip
        await _put(
            work, tables.AttemptRow, id=fresh(), outbox_id=entry, fencing=1, n=1, action="deliver",
            content_digest=DIGEST, field_names=["name"], started_at=at, finished_at=at, outcome="accepted",
        )  # fmt: skip
        await _put(
            work, tables.ReceiptRow, id=fresh(), registration_id=registration, outbox_id=entry,
            version=version, kind="receipt", no=no, raw=a_receipt(made.province, no, version, kind),
            key_id="p-4b44c84b97219b71", verified_at=at,
        )  # fmt: skip
        filings.append(
            {"version": version, "kind": kind, "content_digest": DIGEST, "fields": ["name"], "receipt_no": no}
        )
    table = table_of(tables.RegistrationRow)
    await work.connection.execute(
        update(table).values(
            version=2, state="departed", receipt_no="SL20260302-0000000001", receipted_at=START,
            departed_at=START,
        )
    )  # fmt: skip
    duties = table_of(tables.DutyRow)
    await work.connection.execute(update(duties).values(state="fulfilled", fulfilled_at=START))
    return {"client_no": NO, "state": "DEPARTED", "filings": filings}


def a_receipt(key: EcdsaSigner, no: str, version: int, kind: str, digest: str = DIGEST) -> bytes:
    """A receipt as the province signs it."""
    document: dict[str, Any] = {
        "type": "receipt",
        "receipt_no": no,
        "client_no": NO,
        "version": version,
        "kind": kind,
        "content_digest": digest,
        "received_at": START.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "key_id": "p-4b44c84b97219b71",
    }
    signature = key.sign(b"POLICE-1 receipt\n" + canonical(document))
    return canonical({**document, "signature": b64url(signature)})
