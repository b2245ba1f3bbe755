"""L-19, X20: whoever holds the bridge's keys, the broker or a session can deny service, and open nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from firmware_sim.core.wishes import Wishes
from firmware_sim.links.mqtt import MqttLink
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.commands import ActBody, Command, CommandKind, DocumentsBody
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.documents import AccessState, RevocationList, sign_access_state, sign_revocation_list
from lockserver.protocol.envelope import seal_command
from lockserver.protocol.wish import WishOperation, read_wish
from tests.support.database import Database
from tests.support.doorway import Doorway, SimLock, doorway, unb64
from tests.support.wiretap import Wiretap, as_bridge, count_moves, plant

pytestmark = [pytest.mark.e2e]


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Doorway]:
    async with doorway(database, tmp_path) as made:
        yield made


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def envelope(world: Doorway, lock: SimLock, command: Command, signer: EcdsaSigner | None = None) -> bytes:
    """What a hostile bridge can make: signed with the site's real command key, sealed for the lock."""
    ((ecdh,),) = world.database.execute("SELECT ecdh_pub FROM locks WHERE id = %s", lock.id)
    return seal_command(
        command,
        lock.id.bytes,
        bytes(ecdh),
        signer or world.bridge_keys.command,
        private_key(secrets.token_bytes),
    )


def act(counter: int, wish: bytes, credential: bytes, kind: CommandKind = CommandKind.UNLOCK) -> Command:
    return Command(secrets.token_bytes(16), kind, ActBody(wish, credential), counter, now() + 15)


async def tricks(world: Doorway, monkeypatch: pytest.MonkeyPatch, tap: Wiretap) -> int:
    """Everything that can be tried with the bridge's keys and a holder's old papers. How often it opened."""
    owner, thief = await world.person(), await world.person()
    gate, (room,) = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    other = await world.settled_lock(owner, room)
    kit = await world.sync(owner)
    keys = {UUID(one["lock_id"]): unb64(one["credential"]) for one in kit["doors"]}
    used = owner.wish(lock.id)
    assert (await world.unlock(owner, lock, used)).status_code == 200
    moves = count_moves(lock, monkeypatch)
    ((spent,),) = world.database.execute("SELECT max(counter) FROM commands")
    elsewhere = owner.wish(other.id)
    tries = [
        act(spent + 1, used, keys[lock.id]),  # a wish that was obeyed once
        act(spent + 2, thief.wish(lock.id), keys[lock.id]),  # a thief's own wish
        act(spent + 3, elsewhere, keys[lock.id]),  # a wish for another door
        act(spent + 4, owner.wish(lock.id, WishOperation.SHARE), keys[lock.id]),  # for another act
        act(spent + 5, owner.wish(lock.id, life=-2), keys[lock.id]),  # a dead one
        act(spent + 6, owner.wish(lock.id), keys[other.id]),  # another door's key
        act(spent + 7, b"\xa0", keys[lock.id]),
        Command(secrets.token_bytes(16), CommandKind.UNLOCK, ActBody(used, keys[lock.id]), spent, now() + 15),
    ]
    hostile = await as_bridge(world)
    for command in tries:
        plant(hostile, lock.id, envelope(world, lock, command))
    # another's signing key over a rightful wish, a rightful envelope at the wrong door, and noise
    stray = EcdsaSigner(private_key(secrets.token_bytes))
    plant(hostile, lock.id, envelope(world, lock, act(spent + 9, owner.wish(lock.id), keys[lock.id]), stray))
    plant(hostile, lock.id, envelope(world, other, act(spent + 9, elsewhere, keys[other.id])))
    for noise in (b"", b"\x00", b"unlock", secrets.token_bytes(900), bytes(40_000)):
        plant(hostile, lock.id, noise)
    await asyncio.sleep(1.5)
    await hostile.close()
    assert lock.driver.on
    opened = len(moves)
    # and service goes on for the rightful holder, counters notwithstanding
    world.database.execute("UPDATE locks SET command_counter = command_counter + 20 WHERE id = %s", lock.id)
    assert (await world.unlock(owner, lock)).status_code == 200
    return opened


async def test_L19_the_bridges_keys_open_nothing(world: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await tricks(world, monkeypatch, Wiretap()) == 0


async def test_L19_mutant_a_lock_that_checks_no_wish(world: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    class Anything:
        wish_id = bytes(16)
        not_after = 0

    def read(self: Wishes, raw: bytes, *_: object) -> object:
        made = Anything()
        made.wish_id, made.not_after = secrets.token_bytes(16), now() + 20
        return made

    monkeypatch.setattr(Wishes, "read", read)
    assert await tricks(world, monkeypatch, Wiretap()) > 0


async def test_L19_documents_of_the_bridges_own_making_change_nothing(world: Doorway) -> None:
    """The bridge can neither revoke nor lay a door open: lists and states are the issuer's to sign."""
    owner = await world.person()
    _, (room,) = await world.house(owner)
    lock = await world.settled_lock(owner, room)
    assert lock.driver.lock is not None
    held = lock.driver.lock.held
    assert held is not None
    before = (held.list_number, held.state_version, held.epoch, held.occupied)
    forger = world.bridge_keys.command
    documents = (
        SignedDocument(
            DocumentKind.REVOCATION,
            sign_revocation_list(RevocationList(lock.id.bytes, 1 << 20, (), now()), forger),
        ),
        SignedDocument(
            DocumentKind.STATE,
            sign_access_state(AccessState(lock.id.bytes, 1 << 20, 9, False, now()), forger),
        ),
    )
    command = Command(secrets.token_bytes(16), CommandKind.DOCUMENTS, DocumentsBody(documents))
    hostile = await as_bridge(world)
    plant(hostile, lock.id, envelope(world, lock, command))
    await asyncio.sleep(0.7)
    await hostile.close()
    assert (held.list_number, held.state_version, held.epoch, held.occupied) == before


async def test_L19_what_passes_the_broker_cannot_be_read(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of wish, credential, holder or command stands in clear on the broker."""
    tap = Wiretap()
    tap.install(monkeypatch)
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    up: list[bytes] = []
    publish = type(lock.link).publish

    def overheard(link: MqttLink, data: bytes) -> None:
        up.append(data)
        publish(link, data)

    monkeypatch.setattr(type(lock.link), "publish", overheard)
    kit = await world.sync(owner)
    credential = unb64(kit["doors"][0]["credential"])
    wish = owner.wish(lock.id)
    before = len(tap.down)
    answer = await world.unlock(owner, lock, wish)
    assert answer.json()["state"] == "done"
    wire = b"".join(envelope for _, envelope in tap.down[before:]) + b"".join(up)
    assert wire
    subject = world.database.execute("SELECT subject FROM holders WHERE id = %s", owner.holder_id)[0][0]
    for secret in (
        read_wish(wish, owner.signer.public).wish_id,
        wish[-32:],
        credential[-32:],
        bytes(subject),
        owner.signer.public[1:33],
        UUID(answer.json()["id"]).bytes,
        lock.id.bytes,
        b"LK1-",
    ):
        assert secret not in wire


async def test_a_flood_of_noise_is_shed_and_service_goes_on(world: Doorway) -> None:
    """L-44 in small: a lock that floods its own topic harms only itself."""
    owner = await world.person()
    gate, (room,) = await world.house(owner)
    noisy = await world.settled_lock(owner, gate)
    quiet = await world.settled_lock(owner, room)
    await world.sync(owner)
    for _ in range(3_000):
        noisy.link.publish(secrets.token_bytes(120))
    answer = await world.unlock(owner, quiet)
    assert answer.status_code == 200, answer.text
