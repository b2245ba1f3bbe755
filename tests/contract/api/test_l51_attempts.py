"""L-51: who tried what at a door is read by who tried it; a landlord reads his own and his staff's, no resident's."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from lockserver.db.repositories.commands import Commands
from lockserver.domain.grant import GrantClass
from tests.contract.api.test_l51_journal import Household, household
from tests.support.app_door import App, Door


def tried(home: Household, who: App, state: str = "queued", fault: str | None = None) -> str:
    """One command of his, by a key of his."""
    execute = home.door.database.execute
    ((holder, grant),) = execute(
        "SELECT p.holder_id, g.id FROM phones p JOIN grants g ON g.holder_id = p.holder_id AND g.door_id = %s"
        " WHERE p.id = %s",
        home.room, who.phone_id,
    )  # fmt: skip
    made, wish = str(uuid.uuid4()), str(uuid.uuid4())
    execute(
        "INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)"
        " VALUES (%s, %s, %s, 'unlock', %s, %s, 'x')",
        wish, holder, who.phone_id, home.lock, home.now(),
    )  # fmt: skip
    ((last,),) = execute("SELECT coalesce(max(counter), 0) FROM commands WHERE lock_id = %s", home.lock)
    execute(
        "INSERT INTO commands (id, lock_id, holder_id, grant_id, credential_id, wish_id, kind, counter, state,"
        " not_after, fault) VALUES (%s, %s, %s, %s, %s, %s, 'unlock', %s, %s, %s, %s)",
        made, home.lock, holder, grant, home.credential(who), wish, last + 1, state, home.now(), fault,
    )  # fmt: skip
    return made


async def seen(home: Household, reader: App) -> dict[str, tuple[str, str | None]]:
    shown = await reader.ok("GET", f"/locks/{home.lock}/attempts")
    return {one["id"]: (one["whose"], one["fault"]) for one in shown}


async def others_movements(door: Door) -> set[str]:
    """Which readers see a resident's attempt that is not their own."""
    home = await household(door)
    mine = {"first": tried(home, home.first, fault="gateway_busy"), "second": tried(home, home.second)}
    landlords = tried(home, home.landlord)
    found = set()
    for name, reader in (("landlord", home.landlord), ("first", home.first), ("second", home.second)):
        shown = await seen(home, reader)
        assert (landlords in shown) == (name == "landlord")
        if name != "landlord":
            assert shown[mine[name]][0] == "mine"
        if any(one in shown for who, one in mine.items() if who != name):
            found.add(name)
    assert (await seen(home, home.first))[mine["first"]] == ("mine", "gateway_busy")
    return found


async def test_L51_nobody_reads_a_residents_attempts(door: Door) -> None:
    assert await others_movements(door) == set()


async def test_L51_mutant_a_landlord_who_reads_every_class(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Commands.attempts

    async def every(self: Commands, lock_id: Any, reader: Any, also: Any, limit: int) -> Any:
        classes: tuple[GrantClass, ...] = ("owner", "staff", "tenant", "guest") if also else ()
        return await honest(self, lock_id, reader, classes, limit)

    monkeypatch.setattr(Commands, "attempts", every)
    assert await others_movements(door) == {"landlord"}
