"""L-15, L-16, L-17 and L-22 on real parts: a command dies young, moves once, and is never said to be done
without the lock's own word."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from firmware_sim.core import server as firmware
from lockserver.app import accept_report, settle_command
from lockserver.app.bridging import Bridging
from lockserver.app.ingest_journal import ingest_journals
from lockserver.db.auditor import audit
from lockserver.mqtt import inbound
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.commands import Command as WireCommand
from lockserver.protocol.cose import peek
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.envelope import Envelope, Position, read_signed_report, seal_report
from lockserver.protocol.reports import Outcome, Result
from lockserver.settings import Role
from tests.support.database import Database
from tests.support.doorway import Doorway, Person, SimLock, doorway
from tests.support.wiretap import Wiretap, as_bridge, as_lock, count_moves, forge, plant, quiet

pytestmark = [pytest.mark.e2e]

SHORT = 3
"""Seconds that a wish lives here: long enough for a busy machine, short enough to wait for."""


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Doorway]:
    async with doorway(database, tmp_path) as made:
        yield made


@pytest.fixture
def tap(monkeypatch: pytest.MonkeyPatch) -> Wiretap:
    made = Wiretap()
    made.install(monkeypatch)
    return made


async def door(world: Doorway) -> tuple[Person, SimLock]:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    await world.sync(owner)
    return owner, lock


def state_of(world: Doorway, command_id: str | UUID) -> tuple[str, bool]:
    """A command's state, and whether the lock's signed word lies beside it."""
    ((state, proved),) = world.database.execute(
        "SELECT state, evidence IS NOT NULL FROM commands WHERE id = %s", command_id
    )
    return state, proved


async def becomes(world: Doorway, command_id: str, *states: str, within: float = 20) -> str:
    async with asyncio.timeout(within):
        while (state := state_of(world, command_id)[0]) not in states:
            await asyncio.sleep(0.05)
    return state


def only_command(world: Doorway) -> str:
    ((command_id,),) = world.database.execute("SELECT id FROM commands ORDER BY id DESC LIMIT 1")
    return str(command_id)


# ---- L-15: no late unlock ----------------------------------------------------------------------


async def test_L15_a_lock_that_was_away_never_opens_late(world: Doorway) -> None:
    owner, lock = await door(world)
    lock.link.cut_network()
    answer = await world.unlock(owner, lock, owner.wish(lock.id, life=SHORT))
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "unknown"  # and never "failed": who knows what the lock heard
    command_id = answer.json()["id"]
    lock.link.heal()
    await lock.online()
    # the lock's own word: its attested clock is past the deadline, the counter is unused
    assert await becomes(world, command_id, "expired") == "expired"
    assert state_of(world, command_id) == ("expired", True)
    await quiet(lock)
    assert lock.openings == 0
    assert (await world.unlock(owner, lock)).status_code == 200  # and it serves again


async def test_L15_a_revocation_converges_where_an_unlock_dies(world: Doorway) -> None:
    """What was revoked while the lock was away reaches it; what was commanded does not."""
    owner, lock = await door(world)
    lock.link.cut_network()
    answer = await world.unlock(owner, lock, owner.wish(lock.id, life=SHORT))
    assert answer.status_code == 202
    world.database.execute(
        "UPDATE grants SET state = 'revoked', revoked_at = now() WHERE holder_id = %s",
        owner.holder_id,
    )
    async with asyncio.timeout(15):  # the issuer finds it by itself
        while not world.database.execute("SELECT 1 FROM credentials WHERE revoked_in IS NOT NULL"):
            await asyncio.sleep(0.1)
    lock.link.heal()
    await world.converged(owner, lock)
    assert lock.driver.lock is not None
    held = lock.driver.lock.held
    assert held is not None
    assert held.revocation is not None
    assert len(held.revocation.entries) == 1
    assert lock.openings == 0


async def late_delivery(world: Doorway, tap: Wiretap, monkeypatch: pytest.MonkeyPatch, *, clock: str) -> int:
    """The broker holds a command back past its deadline while the lock's clock is lost or slow."""
    owner, lock = await door(world)
    moves = count_moves(lock, monkeypatch)
    if clock == "lost":
        lock.driver.clocks.chip_lost = True
    else:
        lock.driver.clocks.bend(-900_000)
    tap.holding = True
    before = len(tap.down)
    asking = asyncio.create_task(world.unlock(owner, lock, owner.wish(lock.id, life=SHORT)))
    await becomes_some(world, "sent")
    await asyncio.sleep(SHORT + 1)
    kept = tap.down[before:]
    assert kept
    tap.holding = False
    hostile = await as_bridge(world)
    for lock_id, envelope in kept:
        plant(hostile, UUID(bytes=lock_id), envelope)
    await asyncio.sleep(3)  # it asks for the time, is told, or waits 2 s in vain
    await hostile.close()
    answer = await asking
    assert (answer.status_code == 200) == bool(moves)
    return len(moves)


@pytest.mark.parametrize("clock", ["lost", "slow"])
async def test_L15_a_command_held_back_by_the_broker_never_opens(
    world: Doorway, tap: Wiretap, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    assert await late_delivery(world, tap, monkeypatch, clock=clock) == 0


async def test_L15_mutant_a_lock_that_believes_any_clock(
    world: Doorway, tap: Wiretap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the attested clock the held-back command opens, and the test sees it."""

    def careless(_self: object, _held: object, command: WireCommand) -> float:
        return float((command.not_after or 0) - 1)

    monkeypatch.setattr(firmware.Server, "_deadline_kept", careless)
    monkeypatch.setattr(
        "lockserver.app.send_commands.whole_seconds", lambda at: int(at.timestamp()) + 3600
    )  # the wire's own deadline would still bite at the wish
    monkeypatch.setattr("firmware_sim.core.wishes.Wishes.read", _any_wish)
    assert await late_delivery(world, tap, monkeypatch, clock="slow") > 0


def _any_wish(self: object, raw: bytes, credential: object, *_: object) -> object:
    from lockserver.protocol.wish import read_wish

    return read_wish(raw, credential.claims.holder_public)  # type: ignore[attr-defined]


# ---- L-16: one movement per command ------------------------------------------------------------


async def repeated(world: Doorway, tap: Wiretap, monkeypatch: pytest.MonkeyPatch) -> int:
    """Every copy that a broker can make of one command: at once, later, retained, after a restart."""
    owner, lock = await door(world)
    moves = count_moves(lock, monkeypatch)
    hostile = await as_bridge(world)
    before = len(tap.down)
    answer = await world.unlock(owner, lock)
    assert answer.json()["state"] == "done"
    envelopes = [envelope for lock_id, envelope in tap.down[before:]]
    for envelope in envelopes * 3:
        plant(hostile, lock.id, envelope)
        plant(hostile, lock.id, envelope, retain=True)
    await quiet(lock)
    lock.link.cut_network()  # it comes back to what is retained
    lock.link.heal()
    await asyncio.sleep(0.2)
    await lock.online()
    await quiet(lock)
    lock.driver.power_off()
    lock.driver.power_on()  # and forgets what is not in flash
    for envelope in envelopes:
        plant(hostile, lock.id, envelope)
    await quiet(lock, 1.5)
    await hostile.close()
    assert state_of(world, answer.json()["id"])[0] == "done"
    return len(moves)


async def test_L16_one_movement_per_command(
    world: Doorway, tap: Wiretap, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await repeated(world, tap, monkeypatch) == 1


async def test_L16_mutant_a_lock_without_a_memory(
    world: Doorway, tap: Wiretap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(self: firmware.Server, held: object, command: WireCommand, reply: object) -> None:
        held.counter = 0  # type: ignore[attr-defined]
        self._judge(held, command, reply)  # type: ignore[arg-type]

    monkeypatch.setattr(firmware.Server, "_act", forgetful)
    monkeypatch.setattr("firmware_sim.core.wishes.Wishes.read", _any_wish)
    assert await repeated(world, tap, monkeypatch) > 1


# ---- L-17: killed at each step -----------------------------------------------------------------


async def test_L17_queued_while_no_bridge_lives_expires(world: Doorway) -> None:
    owner, lock = await door(world)
    await world.kill_role(Role.BRIDGE)
    asking = asyncio.create_task(world.unlock(owner, lock, owner.wish(lock.id, life=SHORT)))
    await asyncio.sleep(SHORT + 0.5)
    await world.start_role(Role.BRIDGE)
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (409, "command_expired")
    await quiet(lock)
    assert lock.openings == 0


async def test_L17_killed_between_sent_and_publish_is_settled_by_the_lock(
    world: Doorway, tap: Wiretap
) -> None:
    owner, lock = await door(world)
    tap.holding = True  # written as sent, and never gone out
    asking = asyncio.create_task(world.unlock(owner, lock, owner.wish(lock.id, life=SHORT)))
    await becomes_some(world, "sent")
    await world.kill_role(Role.BRIDGE)
    tap.holding = False
    await asyncio.sleep(SHORT)
    await world.start_role(Role.BRIDGE)
    await asking
    command_id = only_command(world)
    assert await becomes(world, command_id, "expired") == "expired"
    assert state_of(world, command_id)[1]
    assert lock.openings == 0


async def test_L17_killed_before_the_result_is_heard_ends_done_by_evidence(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock opened while nobody listened: its journal proves it afterwards, once."""
    owner, lock = await door(world)
    seal = Bridging.seal

    def last_act(self: Bridging, to: object, command: WireCommand) -> bytes:
        if command.counter is not None:  # what is sealed is handed out before anything else gets its turn
            killing.append(asyncio.create_task(world.kill_role(Role.BRIDGE)))
        return seal(self, to, command)  # type: ignore[arg-type]

    killing: list[asyncio.Task[None]] = []
    monkeypatch.setattr(Bridging, "seal", last_act)
    asking = asyncio.create_task(world.unlock(owner, lock, owner.wish(lock.id, life=SHORT)))
    async with asyncio.timeout(10):
        while not killing or not lock.openings:
            await asyncio.sleep(0.02)
    await asyncio.gather(*killing)
    monkeypatch.setattr(Bridging, "seal", seal)
    await world.start_role(Role.BRIDGE)
    await asking
    command_id = only_command(world)
    assert await becomes(world, command_id, "done") == "done"
    assert state_of(world, command_id) == ("done", True)
    assert lock.openings == 1


async def becomes_some(world: Doorway, state: str) -> None:
    async with asyncio.timeout(10):
        while not world.database.execute("SELECT 1 FROM commands WHERE state = %s", state):
            await asyncio.sleep(0.02)


# ---- L-22: done only with the lock's signed result ---------------------------------------------


async def forged_reports(world: Doorway, monkeypatch: pytest.MonkeyPatch) -> str:
    """An enemy has the lock's place at the broker, and answers in its name. How the command ended."""
    owner, lock = await door(world)
    genuine: list[bytes] = []
    publish = type(lock.link).publish

    def overheard(link: object, data: bytes) -> None:
        genuine.append(data)
        publish(link, data)  # type: ignore[arg-type]

    monkeypatch.setattr(type(lock.link), "publish", overheard)
    first = await world.unlock(owner, lock)
    assert first.json()["state"] == "done"
    lock.link.cut_network()
    heard: list[bytes] = []
    enemy = await as_lock(world, lock, heard)
    asking = asyncio.create_task(world.unlock(owner, lock, owner.wish(lock.id, life=SHORT)))
    await becomes_some(world, "sent")
    command_id = UUID(only_command(world))
    for report in genuine:  # what it once said, word for word
        forge(enemy, lock.id, report)
    report_key = public_bytes(world.bridge_keys.report.private)
    own_key = EcdsaSigner(private_key(secrets.token_bytes))
    for signer in (own_key, world.bridge_keys.command):
        result = Result(
            command_id.bytes,
            Outcome.DONE,
            BoltState.UNLOCKED,
            2,
            None,
            int(datetime.now(UTC).timestamp()),
            99,
        )
        envelope = Envelope(lock.id.bytes, Position(9, 9), result)
        ephemeral = private_key(secrets.token_bytes)
        forge(enemy, lock.id, seal_report(envelope, signer, report_key, ephemeral))
    forge(enemy, lock.id, b"done")
    answer = await asking
    await enemy.close()
    state, proved = state_of(world, command_id)
    assert (answer.status_code == 200) == (state == "done")
    assert lock.openings == 1  # the first, rightful one
    assert proved == (state == "done")
    return state


async def test_L22_done_only_with_the_locks_signed_result(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await forged_reports(world, monkeypatch) == "unknown"


async def test_L22_mutant_a_bridge_that_checks_no_signature(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockserver.protocol.envelope import _read_envelope

    def gullible(signed: bytes, lock_id: bytes, lock_public: bytes) -> Envelope:
        return _read_envelope(peek(signed, limit=32768))

    monkeypatch.setattr(accept_report, "read_signed_report", gullible)
    assert await forged_reports(world, monkeypatch) == "done"


async def test_L22_the_evidence_is_the_locks_own_signed_word(world: Doorway) -> None:
    """Whoever has the lock's public key can check what a `done` rests on."""
    owner, lock = await door(world)
    answer = await world.unlock(owner, lock)
    ((evidence, public),) = world.database.execute(
        "SELECT evidence, sign_pub FROM commands JOIN locks ON locks.id = lock_id WHERE commands.id = %s",
        answer.json()["id"],
    )
    report = read_signed_report(bytes(evidence), lock.id.bytes, bytes(public)).report
    assert isinstance(report, Result)
    assert report.outcome is Outcome.DONE
    assert report.command_id == UUID(answer.json()["id"]).bytes


async def late_journal(world: Doorway, monkeypatch: pytest.MonkeyPatch) -> str:
    """The entry of a first opening arrives while a second command is out that the lock never hears."""
    owner, lock = await door(world)
    arrives = asyncio.Event()

    async def held_back(*given: Any) -> Any:
        await arrives.wait()
        return await ingest_journals(*given)

    monkeypatch.setattr(inbound, "ingest_journals", held_back)
    assert (await world.unlock(owner, lock)).json()["state"] == "done"
    lock.link.cut_network()
    asking = asyncio.create_task(world.unlock(owner, lock, owner.wish(lock.id, life=SHORT)))
    await becomes_some(world, "sent")
    arrives.set()
    await asking
    assert lock.openings == 1
    return state_of(world, only_command(world))[0]


async def test_L22_the_entry_of_one_opening_proves_nothing_of_the_next(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await late_journal(world, monkeypatch) == "unknown"


async def test_L22_mutant_an_entry_that_is_used_twice_is_noticed(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_command, "_accounts_for", lambda *_: False)
    assert await late_journal(world, monkeypatch) == "done", "the bolt moved once, and two were told"
    found = audit(world.database.url("audit"))
    assert any(one.law == "L-22" and "another command's" in one.says for one in found), found
