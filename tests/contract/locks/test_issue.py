"""Who gets a key, for how long, and how keys are taken back: the issuer over both keepers of rows."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from lockserver.app.issue_access_documents import refresh_access
from lockserver.app.issuing import Issuing
from lockserver.app.phone_sync import Kit, SeenRequests, phone_sync
from lockserver.domain.account import Phone
from lockserver.domain.errors import DomainError, PhoneUnknownError, ProofInvalidError
from lockserver.domain.lock import Lock
from lockserver.domain.tenancy import Tenancy
from lockserver.keys.boxes import OpeningKey
from lockserver.protocol.credential import read_credential
from lockserver.protocol.curve import EcdsaSigner, keys_by_id, private_key
from lockserver.protocol.documents import read_access_state, read_revocation_list
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.topics import shard
from tests.support.database import Database, FakeClock
from tests.support.people import Place, a_place, a_registration, a_tenancy, fresh, sign, wished
from tests.support.workbench import PostgresBench, Workbench

pytestmark = pytest.mark.contract

HOUR = timedelta(hours=1)
OFTEN = datetime(2026, 3, 2, tzinfo=UTC)
"""An instant in the past."""


@dataclass
class Issue:
    """The issuer with one room, its lock, one tenant and his phone."""

    bench: Workbench
    world: Issuing
    clock: FakeClock
    place: Place
    lock: Lock
    tenancy: Tenancy
    tenant: UUID
    phone: Phone
    signer: EcdsaSigner
    seen: SeenRequests

    async def sync(self, asks: bytes = b"{}", *, signer: EcdsaSigner | None = None, **changes: Any) -> Kit:
        told: dict[str, Any] = {
            "phone_id": self.phone.id.bytes,
            "method_path": "POST /v1/phone/sync",
            "body_hash": hash_body(asks),
            "issued_at": int(self.clock.now().timestamp()),
            "nonce": secrets.token_bytes(8),
        } | changes
        request = sign_request(PhoneRequest(**told), signer or self.signer)
        return await phone_sync(self.world, self.seen, request, asks)

    async def outcome(self) -> str:
        """Either why the key is withheld, or the hours it lives."""
        (door,) = (await self.sync()).doors
        if door.withheld is not None:
            return door.withheld.reason
        assert door.credential is not None
        claims = read_credential(door.credential.raw, keys_by_id((self.world.signer.public,))).claims
        return f"{(claims.exp - claims.nbf) / 3600:.0f} h"

    @property
    def database(self) -> Database:
        """Where the rows are PostgreSQL's."""
        assert isinstance(self.bench, PostgresBench)
        return self.bench.database

    def tenants(self, **changes: Any) -> None:
        """Change the tenant's grants."""
        assert self.bench.force("grants", {"class_": "tenant"}, **changes)

    def freeze(self) -> None:
        self.tenants(state="frozen", frozen_at=OFTEN, frozen_by=self.tenant)

    def verdict(self, outcome: str) -> None:
        """As role verify leaves it: the verdict, and for an approval the phone proved."""
        [duty] = self.bench.rows("duties", holder_id=self.tenant)
        case = fresh()
        self.bench.plant(
            "cases", id=case, duty_id=duty["id"], holder_id=self.tenant, phone_id=self.phone.id,
            session_id=self.session(), route="staff", state="open",
        )  # fmt: skip
        self.bench.plant(
            "verdicts", id=fresh(), case_id=case, holder_id=self.tenant, phone_id=self.phone.id,
            outcome=outcome, route="staff", reasons=[],
        )  # fmt: skip
        if outcome == "approved":
            self.bench.force("phones", {"id": self.phone.id}, state="active", proved_by="staff")

    def session(self) -> UUID:
        session, [holder] = fresh(), self.bench.rows("holders", id=self.tenant)
        self.bench.plant(
            "sessions", id=session, account_id=holder["account_id"], access_hash=secrets.token_bytes(32),
            access_expires_at=OFTEN, refresh_hash=secrets.token_bytes(32), refresh_expires_at=OFTEN,
        )  # fmt: skip
        return session

    async def register(self) -> None:
        await a_registration(self.bench.transactions("verify"), self.tenancy, self.tenant, str(fresh()))
        self.bench.force("registrations", submitted_at=self.clock.now())


class Nobody:
    """The issuer meets no factory here."""

    def verify(self, certificate: bytes, now: datetime) -> Any:
        raise AssertionError

    def issue(self, lock_id: UUID, sign_public: bytes, now: datetime) -> bytes:
        raise AssertionError

    def seal(self, plaintext: bytes, *, table: str, column: str, row: bytes) -> bytes:
        raise AssertionError

    def open(self, sealed: bytes, *, table: str, column: str, row: bytes) -> bytes:
        raise AssertionError


@pytest_asyncio.fixture
async def issue(workbench: Workbench) -> Issue:
    """Over PostgreSQL, and over the memory."""
    return await begin(workbench)


@pytest_asyncio.fixture
async def on_postgresql(database: Database) -> AsyncIterator[Issue]:
    """Over PostgreSQL alone."""
    bench = PostgresBench(database)
    yield await begin(bench)
    bench.close()


async def begin(bench: Workbench) -> Issue:
    clock = FakeClock(datetime.now(UTC).replace(microsecond=0))
    place = await a_place(bench.transactions("api"))
    tenancy = await wished(bench.transactions(), place, a_tenancy(place, lower=clock.now() - 2 * HOUR))
    (tenant,) = await sign(bench.transactions("api"), place, tenancy)
    signer = EcdsaSigner(private_key(secrets.token_bytes))
    phone = Phone(
        fresh(), tenant, signer.public, EcdsaSigner(private_key(secrets.token_bytes)).public, None, "pending"
    )
    async with bench.transactions("api").begin() as work:
        await work.phones.add(phone)
    lock_id = fresh()
    lock = Lock(
        lock_id, place.room.id, "LSIM-0001", EcdsaSigner(private_key(secrets.token_bytes)).public,
        EcdsaSigner(private_key(secrets.token_bytes)).public, bytes(32), b"", shard(lock_id.bytes), "active",
    )  # fmt: skip
    root, issuer = (EcdsaSigner(private_key(secrets.token_bytes)) for _ in range(2))
    bench.plant(
        "site_keys", id=fresh(), kind="root", kid=root.kid, public=root.public, state="current",
        key_set=b"key set", key_set_number=1,
    )  # fmt: skip
    nobody = Nobody()
    pins = OpeningKey(private_key(secrets.token_bytes))
    world = Issuing(
        bench.transactions("issuer"), clock, secrets.token_bytes, issuer, nobody, nobody, nobody, pins
    )
    async with world.transactions.begin() as work:
        await work.locks.add(lock)
    return Issue(bench, world, clock, place, lock, tenancy, tenant, phone, signer, SeenRequests())


async def test_a_tenants_key_waits_for_identity_and_submission(issue: Issue) -> None:
    assert await issue.outcome() == "verdict_missing"
    issue.verdict("review")
    assert await issue.outcome() == "24 h"  # a machine's doubt never delays the start of a lease
    issue.verdict("declined")
    assert await issue.outcome() == "verdict_declined"
    issue.verdict("approved")
    assert await issue.outcome() == "registration_missing"
    await issue.register()
    issue.clock.move(13 * HOUR)  # the day's key from the review is half-aged
    assert await issue.outcome() == "72 h"


async def test_key_on_receipt_waits_a_minute_for_a_sick_province_and_no_longer(issue: Issue) -> None:
    issue.bench.force("tenancies", key_policy="on_receipt")
    issue.verdict("approved")
    await issue.register()
    assert await issue.outcome() == "receipt_awaited"
    issue.clock.move(timedelta(seconds=61))
    assert await issue.outcome() == "72 h"


async def test_a_young_key_is_given_again_and_an_old_one_renewed(issue: Issue) -> None:
    issue.verdict("approved")
    await issue.register()
    (first,) = (await issue.sync()).doors
    issue.clock.move(35 * HOUR)
    (again,) = (await issue.sync()).doors
    issue.clock.move(2 * HOUR)
    (renewed,) = (await issue.sync()).doors
    assert first.credential is not None
    assert again.credential is not None
    assert renewed.credential is not None
    assert first.credential.id == again.credential.id != renewed.credential.id


async def test_a_key_never_reaches_outside_its_grant(issue: Issue) -> None:
    upper = issue.clock.now() + 5 * HOUR
    issue.tenants(upper=upper)
    issue.verdict("approved")
    await issue.register()
    (door,) = (await issue.sync()).doors
    assert door.credential is not None
    assert door.credential.expires_at == upper
    claims = read_credential(door.credential.raw, keys_by_id((issue.world.signer.public,))).claims
    assert claims.epoch == issue.tenancy.epoch
    assert claims.holder_public == issue.signer.public


async def test_only_the_phone_itself_is_answered(issue: Issue) -> None:
    stranger = EcdsaSigner(private_key(secrets.token_bytes))
    cases: list[tuple[dict[str, Any], type[DomainError]]] = [
        ({"signer": stranger}, ProofInvalidError),
        ({"phone_id": secrets.token_bytes(16)}, PhoneUnknownError),
        ({"method_path": "POST /v1/phones"}, ProofInvalidError),
        ({"body_hash": bytes(32)}, ProofInvalidError),
        ({"issued_at": int(issue.clock.now().timestamp()) - 301}, ProofInvalidError),
    ]
    for changes, refused in cases:
        with pytest.raises(refused):
            await issue.sync(**changes)
    nonce = secrets.token_bytes(8)
    await issue.sync(nonce=nonce)
    with pytest.raises(ProofInvalidError):
        await issue.sync(nonce=nonce)
    issue.bench.force("phones", {"id": issue.phone.id}, state="revoked", revoked_at=OFTEN)
    with pytest.raises(PhoneUnknownError):
        await issue.sync()


async def keyed(issue: Issue) -> bytes:
    """The tenant's key, and the lock's documents as they stand."""
    issue.verdict("approved")
    await issue.register()
    (door,) = (await issue.sync()).doors
    assert door.credential is not None
    await refresh_access(issue.world, [issue.lock.id])
    return door.credential.id.bytes


async def listed(issue: Issue) -> tuple[int, list[bytes]]:
    async with issue.world.transactions.begin() as work:
        latest = await work.lock_documents.latest(issue.lock.id, "revocation")
    if latest is None:
        return 0, []
    read = read_revocation_list(latest.raw, keys_by_id((issue.world.signer.public,)))
    assert read.number == latest.number
    return read.number, [cti for cti, _ in read.entries]


def _lost(issue: Issue) -> None:
    issue.bench.force("phones", {"id": issue.phone.id}, state="revoked", revoked_at=OFTEN)


CAUSES: dict[str, Callable[[Issue], object]] = {
    "revoked": lambda issue: issue.tenants(state="revoked", revoked_at=OFTEN),
    "frozen": Issue.freeze,
    "cut shorter": lambda issue: issue.tenants(upper=issue.tenancy.lower + 3 * HOUR),
    "phone lost": _lost,
}


@pytest.mark.parametrize("cause", CAUSES)
async def test_whatever_ends_a_right_ends_its_key_by_the_list(issue: Issue, cause: str) -> None:
    cti = await keyed(issue)
    before, entries = await listed(issue)
    assert entries == []
    CAUSES[cause](issue)
    assert await refresh_access(issue.world, [issue.lock.id]) == [issue.lock.id]
    number, entries = await listed(issue)
    assert entries == [cti]
    assert number > before
    assert await refresh_access(issue.world, [issue.lock.id]) == []  # nothing new, no new number


async def test_the_list_is_pruned_at_the_keys_own_end(issue: Issue) -> None:
    await keyed(issue)
    issue.freeze()
    await refresh_access(issue.world, [issue.lock.id])
    issue.clock.move(73 * HOUR)
    async with issue.world.transactions.begin() as work:
        assert list(await work.credentials.revoked(issue.lock.id, issue.clock.now())) == []


async def test_the_doors_state_follows_the_lease_and_never_the_next_one_early(issue: Issue) -> None:
    async def state() -> tuple[int | None, bool]:
        await refresh_access(issue.world, [issue.lock.id])
        async with issue.world.transactions.begin() as work:
            latest = await work.lock_documents.latest(issue.lock.id, "state")
        assert latest is not None
        read = read_access_state(latest.raw, keys_by_id((issue.world.signer.public,)))
        return read.epoch, read.occupied

    assert await state() == (1, True)
    following = a_tenancy(issue.place, epoch=2, lower=issue.tenancy.upper, days=10)
    await sign(issue.bench.transactions("api"), issue.place, following)
    assert await state() == (1, True)  # signed for later: this tenant's key must live
    issue.clock.at = issue.tenancy.upper + HOUR
    assert await state() == (2, True)
    issue.clock.at = following.upper
    assert await state() == (2, False)
