"""Rows that other rows need: a house, a room, holders, a signed tenancy. Through the repositories."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import update

from lockserver.app.ports import Outgoing, Transactions, UnitOfWork
from lockserver.db.tables import OutboxRow, table_of
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.account import Account, Holder, Phone
from lockserver.domain.duties import Duty
from lockserver.domain.grant import Grant
from lockserver.domain.house import Door, House
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import SpentWish
from lockserver.domain.registration import Registration
from lockserver.domain.tenancy import Occupant, Tenancy
from lockserver.domain.times import whole_seconds
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.wish import OF, Arg, Wish, WishOperation, sign_wish

START = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


def fresh() -> UUID:
    return uuid7(START, os.urandom(10))


@dataclass(frozen=True)
class Place:
    landlord: UUID
    house: House
    gate: Door
    room: Door


async def a_holder(work: UnitOfWork) -> UUID:
    account = Account(fresh(), os.urandom(32), "138****0000")
    await work.accounts.add(account)
    holder = Holder(fresh(), account.id, os.urandom(16))
    await work.holders.add(holder)
    return holder.id


async def a_place(transactions: Transactions, capacity: int = 2) -> Place:
    async with transactions.begin() as work:
        landlord = await a_holder(work)
        house = House(fresh(), landlord, "Lane 7", "ADDR-1", "330106000000")
        await work.houses.add(house)
        gate = Door(fresh(), house.id, "gate", "gate", None, None)
        room = Door(fresh(), house.id, "room", "room 1", capacity, 0)
        await work.doors.add(gate)
        await work.doors.add(room)
    return Place(landlord, house, gate, room)


def a_tenancy(place: Place, epoch: int = 1, lower: datetime = START, days: int = 30) -> Tenancy:
    return Tenancy(
        fresh(), place.room.id, lower, lower + timedelta(days=days), epoch, "signed", place.landlord
    )


async def wished(transactions: Transactions, place: Place, tenancy: Tenancy) -> Tenancy:
    """The lease with the landlord's kept wish under it, by a phone of his that a button proved.

    `transactions`: of a role that may prove phones.
    """
    key = EcdsaSigner(private_key(os.urandom))
    phone = Phone(fresh(), place.landlord, key.public, key.public, None, "active", "button")
    args: dict[str, Arg] = {
        OF: os.urandom(32),
        "from": whole_seconds(tenancy.lower),
        "until": whole_seconds(tenancy.upper),
    }
    wish = Wish(
        os.urandom(16), place.room.id.bytes, WishOperation.SIGN_TENANCY, whole_seconds(tenancy.lower), args
    )
    spent = SpentWish(
        UUID(bytes=wish.wish_id), place.landlord, phone.id, "sign_tenancy", place.room.id, tenancy.lower,
        sign_wish(wish, key),
    )  # fmt: skip
    async with transactions.begin() as work:
        await work.phones.add(phone)
        await work.wishes.spend(spent)
    return replace(tenancy, wish_id=spent.id)


def a_duty(tenancy_id: UUID, holder_id: UUID) -> Duty:
    return Duty(
        fresh(),
        tenancy_id,
        holder_id,
        "arrival",
        "required",
        "rule",
        "1",
        START + timedelta(days=3),
        provisional=False,
    )


async def sign(transactions: Transactions, place: Place, tenancy: Tenancy, people: int = 1) -> list[UUID]:
    """Write the tenancy with its occupants, duties and grants, as signing does."""
    holders = []
    async with transactions.begin() as work:
        door = await work.doors.lock(place.room.id)
        await work.doors.save(
            Door(door.id, door.house_id, door.kind, door.name, door.capacity, tenancy.epoch)
        )
        await work.tenancies.add(tenancy)
        for _ in range(people):
            holder = await a_holder(work)
            holders.append(holder)
            await work.tenancies.add_occupant(Occupant(tenancy.id, holder))
            await work.duties.add(a_duty(tenancy.id, holder))
            await work.grants.add(
                Grant(
                    fresh(),
                    holder,
                    place.room.id,
                    "tenant",
                    1,
                    tenancy.lower,
                    tenancy.upper,
                    tenancy_id=tenancy.id,
                    epoch=tenancy.epoch,
                )
            )
    return holders


async def a_registration(transactions: Transactions, tenancy: Tenancy, holder: UUID, client_no: str) -> UUID:
    """Write the registration that answers the holder's arrival duty, as verify does."""
    registration_id = fresh()
    async with transactions.begin() as work:
        duty = await work.duties.of_occupant(tenancy.id, holder, "arrival")
        assert duty is not None
        filed = Registration(
            registration_id, client_no, duty.id, tenancy.id, holder, "3301**********0000", 1, "submitted", START
        )  # fmt: skip
        await work.filings.file(filed, os.urandom(32))
        await work.duties.save(replace(duty, state="filed"))
    return registration_id


async def an_entry(
    transactions: PostgresTransactions, registration_id: UUID, client_no: str, kind: str = "register"
) -> int:
    """Put the registration's next version into the outbox, due at START; returns the version."""
    async with transactions.begin() as work:
        seq = await work.outbox.next_seq(client_no)
        await work.outbox.put(
            Outgoing(fresh(), registration_id, client_no, seq, kind, b"sealed", b"digest")  # type: ignore[arg-type]
        )
        await work.connection.execute(
            update(table_of(OutboxRow)).where(table_of(OutboxRow).c.seq == seq).values(next_at=START)
        )
    return seq
