"""Role api in the world: what a route does, without HTTP around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.app import sign_tenancy as sign_tenancy_module
from lockserver.app.change_grant import Changed, edit_grant, freeze_grant, revoke_grant, unfreeze_grant
from lockserver.app.end_tenancy import Ending, end_tenancy_early
from lockserver.app.give_grants import give_grants
from lockserver.app.ports import Answer, Claim
from lockserver.app.read_lock import Known, know_lock
from lockserver.app.remove_phone import remove_phone
from lockserver.app.sign_tenancy import Lease, NewOccupant, Signed, sign_tenancy
from lockserver.app.spend_owners_wish import Wished
from lockserver.app.unlock_remotely import Asked, unlock_remotely, wait_settled
from lockserver.domain.command import Command
from lockserver.domain.errors import DomainError
from lockserver.domain.ids import new_id
from lockserver.domain.times import Window, whole_seconds
from lockserver.keys.boxes import KeyedIndex
from lockserver.protocol.curve import sha256
from lockserver.protocol.wish import WishOperation
from tests.sim.agenda import instant
from tests.sim.memory.unit_of_work import MemoryTransactions
from tests.sim.roles import Asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lockserver.domain.grant import Grant
    from tests.sim.people import Person
    from tests.sim.world import World

INDEX = KeyedIndex(bytes(32))
SYNC_S = 10.0
REPORT_S = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lease as a landlord writes it. Times in milliseconds of the world."""

    door_id: UUID
    lower: int
    upper: int
    tenants: Sequence[Person]


class Api:
    """What phones ask for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.transactions = MemoryTransactions(world.store, "api")
        self.requests = Asking(world, "api")
        self.random = world.dice.of("api").bytes

    async def sync(
        self, request: bytes, asks: bytes, reports: Sequence[tuple[bytes, bytes]]
    ) -> dict[str, Any]:
        """`POST /v1/phone/sync`."""
        kit = await self.requests.ask("issuer", "sync", {"request": request, "asks": asks}, SYNC_S)
        taken = []
        for lock_id, report in reports:
            body = {"lock_id": UUID(bytes=lock_id), "report": report}
            try:
                taken.append((await self.requests.ask("bridge", "report", body, REPORT_S)).get("taken"))
            except DomainError:
                taken.append(False)
        return {**kit, "reports_taken": taken}

    async def unlock(self, person: Person, lock_id: UUID, wish: bytes, key: str) -> Command | None:
        """`POST /v1/locks/{id}/unlock`, waited for; None: an earlier answer under this key."""
        world = self.world
        command_id = new_id(world.agenda, self.random)
        claim = Claim(f"holder:{person.holder_id}", key, "unlock", sha256(wish))
        asked = Asked(command_id, person.session_id, person.holder_id, lock_id, wish, claim)
        async with world.store.watch("command_settled", str(command_id)) as hints:
            first = await unlock_remotely(
                self.transactions, world.agenda, asked, lambda _command: Answer(202, {}, b"{}")
            )
            if first is not None:
                return None
            return await wait_settled(self.transactions, hints, world.agenda, command_id, news=True)

    async def sign(self, landlord: Person, wanted: Wanted, *, told: bool = True) -> Signed:
        """`POST /v1/tenancies`; `told`: the issuer is asked to bring the lock's documents up to date."""
        now = self.world.agenda.now()
        window = Window(instant(wanted.lower), instant(wanted.upper))
        body = {
            "door_id": str(wanted.door_id),
            "window": {"from": window.lower.isoformat(), "until": instant(wanted.upper).isoformat()},
            "tenants": [one.number for one in wanted.tenants],
            "key_policy": "on_submit",
        }
        lasts = {}
        if hasattr(sign_tenancy_module, "FROM"):
            lasts = {"from": whole_seconds(window.lower), "until": whole_seconds(instant(wanted.upper))}
        wish, salt, sent = landlord.phone.wished_body(
            WishOperation.SIGN_TENANCY, wanted.door_id.bytes, body, lasts
        )
        lease = Lease(
            wanted.door_id,
            window,
            [NewOccupant(one.number) for one in wanted.tenants],
            "on_submit",
            Wished(wish, salt, sent),
        )
        async with self.transactions.begin() as work:
            signed = await sign_tenancy(work, INDEX, self.random, now, landlord.holder_id, lease)
            lock = await work.locks.at_door(wanted.door_id)
        if lock is not None and told:
            await self._refresh([lock.id])
        return signed

    async def end(self, person: Person, tenancy_id: UUID, wish: bytes) -> Ending:
        """`POST /v1/tenancies/{id}/end`."""
        async with self.transactions.begin() as work:
            ending = await end_tenancy_early(
                work, self.random, self.world.agenda.now(), person.holder_id, tenancy_id, wish
            )
        await self._refresh(list(ending.lock_ids))
        return ending

    async def remove_phone(self, person: Person, phone_id: UUID, wish: bytes) -> None:
        """`DELETE /v1/phones/{id}`."""
        async with self.transactions.begin() as work:
            await remove_phone(work, self.world.agenda.now(), person.holder_id, phone_id, wish)

    async def name_guest(self, person: Person, wished: tuple[bytes, bytes, bytes]) -> Sequence[Grant]:
        """`POST /v1/grants`."""
        async with self.transactions.begin() as work:
            return await give_grants(
                work, self.random, self.world.agenda.now(), person.holder_id, Wished(*wished)
            )

    async def edit_guest(self, person: Person, grant_id: UUID, wished: tuple[bytes, bytes, bytes]) -> Changed:
        """`PATCH /v1/grants/{id}`."""
        async with self.transactions.begin() as work:
            changed = await edit_grant(
                work, self.random, self.world.agenda.now(), person.holder_id, grant_id, Wished(*wished)
            )
        await self._refresh(changed.lock_ids)
        return changed

    async def change_guest(
        self, person: Person, operation: WishOperation, grant_id: UUID, wish: bytes
    ) -> Changed:
        """`POST /v1/grants/{id}/freeze` and its brothers."""
        use = {
            WishOperation.FREEZE: freeze_grant,
            WishOperation.UNFREEZE: unfreeze_grant,
            WishOperation.REVOKE: revoke_grant,
        }[operation]
        async with self.transactions.begin() as work:
            changed = await use(work, self.random, self.world.agenda.now(), person.holder_id, grant_id, wish)
        await self._refresh(changed.lock_ids)
        return changed

    async def know(self, person: Person, lock_id: UUID) -> Known:
        """`GET /v1/locks/{id}`."""
        async with self.transactions.begin() as work:
            return await know_lock(work, person.holder_id, lock_id, self.world.agenda.now())

    async def _refresh(self, lock_ids: Sequence[UUID]) -> None:
        if not lock_ids:
            return
        try:
            await self.requests.ask("issuer", "access", {"lock_ids": list(lock_ids)}, SYNC_S)
        except DomainError:
            return  # the issuer's sweep finds it
