"""L-10: the power may go at any write, within any write, and between motor and journal."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from firmware_sim.core.acts import INTENT
from firmware_sim.core.flash import Flash
from firmware_sim.links.memory import Cut
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.journal import What
from lockserver.protocol.reports import Outcome, Result
from tests.unit.firmware_sim.desk import Desk

SHARES = (0.0, 0.3, 0.999, 1.0)


@dataclass
class Told:
    """What came of one command whose lock lost power, was switched on, and got the command again."""

    openings: int
    unlocked: int
    torn: int
    results: list[Result]
    bolt: BoltState
    survived: bool


def remote(cut_write: int | None, share: float = 0.0, *, cut_move: int | None = None) -> Told:
    desk = Desk()
    desk.broker_up()
    sealed, command = desk.site.unlock(desk.enrolled, desk.site.holder())
    if cut_write is not None:
        desk.lock.medium.cut = Cut(cut_write, share)
    desk.lock.cut_at_move = cut_move
    desk.deliver(sealed)
    survived = desk.lock.on
    desk.lock.medium.cut = None
    desk.lock.cut_at_move = None
    if not survived:
        desk.lock.power_on()
        desk.broker_up()
    for _ in range(3):  # a server that does not know asks again, or a hostile broker does
        desk.deliver(sealed)
        desk.attest()
    results = [r for r in desk.news() if isinstance(r, Result) and r.command_id == command.command_id]
    assert desk.lock.lock is not None
    return Told(
        desk.openings,
        desk.journalled(What.UNLOCKED),
        desk.journalled(What.TORN),
        results,
        desk.lock.lock.bolt,
        survived,
    )


def every_boundary() -> list[tuple[int | None, float, int | None]]:
    """All flash writes of one remote unlock, each torn in several places, and after the motor."""
    desk = Desk()
    desk.broker_up()
    before = desk.lock.medium.writes
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    desk.deliver(sealed)
    writes = desk.lock.medium.writes - before
    assert writes >= 2, "an intent before, a journal entry after"
    cuts: list[tuple[int | None, float, int | None]] = [
        (n, share, None) for n in range(writes) for share in SHARES
    ]
    return [*cuts, (None, 0.0, 0)]


def broken_promises(cuts: list[tuple[int | None, float, int | None]]) -> list[str]:
    """What L-10 forbids, found over all cuts."""
    found = []
    for write, share, move in cuts:
        told = remote(write, share, cut_move=move)
        where = f"write {write} share {share} move {move}: {told}"
        if told.openings > 1:
            found.append(f"moved twice, {where}")
        if told.openings and not (told.unlocked or told.torn):
            found.append(f"moved and not journalled, {where}")
        if told.unlocked > told.openings:
            found.append(f"journalled and not moved, {where}")
        if not told.results:
            found.append(f"never answered, {where}")
        if any(r.outcome is Outcome.DONE for r in told.results) and not told.openings:
            found.append(f"done without an opening, {where}")
        if any(r.outcome is Outcome.REFUSED for r in told.results) and told.openings:
            found.append(f"refused though it moved, {where}")
        if len({r.outcome for r in told.results}) > 1:
            found.append(f"two answers to one command, {where}")
    return found


def test_L10_no_cut_moves_the_bolt_twice_or_loses_the_move() -> None:
    assert broken_promises(every_boundary()) == []


def test_L10_the_cuts_do_hit_something() -> None:
    told = [remote(write, share, cut_move=move) for write, share, move in every_boundary()]
    assert sum(not t.survived for t in told) == len(told)
    assert any(t.torn for t in told), "some end torn"
    assert any(t.openings and not t.torn for t in told), "some end done"
    assert all(t.openings == 1 for t in told if Outcome.DONE in {r.outcome for r in t.results})


def test_L10_mutant_a_lock_that_writes_nothing_before_the_move_moves_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Flash.put

    def too_late(self: Flash, values: dict[str, bytes | None]) -> None:
        if values.get(INTENT) is None:
            whole(self, values)

    cuts = every_boundary()
    monkeypatch.setattr(Flash, "put", too_late)
    assert any("twice" in promise for promise in broken_promises(cuts))


def test_L10_mutant_a_lock_without_an_intent_loses_the_move(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Flash.put

    def without_intent(self: Flash, values: dict[str, bytes | None]) -> None:
        whole(self, {key: value for key, value in values.items() if key != INTENT})

    cuts = every_boundary()
    monkeypatch.setattr(Flash, "put", without_intent)
    assert any("not journalled" in promise for promise in broken_promises(cuts))


@pytest.mark.parametrize("share", SHARES)
def test_L10_a_cut_while_a_phone_opens_the_door_is_owned_up_to(share: float) -> None:
    writes = Desk()
    tenant = writes.site.holder()
    before = writes.lock.medium.writes
    writes.open(tenant, writes.site.credential(writes.enrolled, tenant, epoch=1))
    for number in range(writes.lock.medium.writes - before):
        desk = Desk()
        tenant = desk.site.holder()
        credential = desk.site.credential(desk.enrolled, tenant, epoch=1)
        desk.lock.medium.cut = Cut(number, share)
        desk.open(tenant, credential)
        assert not desk.lock.on
        desk.lock.medium.cut = None
        desk.lock.power_on()
        moved = desk.openings
        assert moved <= 1
        assert desk.journalled(What.UNLOCKED) + desk.journalled(What.TORN) >= moved
        assert desk.journalled(What.UNLOCKED) <= moved
        answer = desk.open(tenant, credential)
        assert answer is not None
        assert answer.bolt is BoltState.UNLOCKED, "and afterwards it opens as ever"


def test_L10_a_lock_boots_to_unknown_and_then_senses() -> None:
    from firmware_sim.core.lock import Lock
    from tests.support.site import source

    desk = Desk()
    booted = Lock(Flash(desk.lock.medium), desk.factory, source(3), desk.lock.clocks.now())
    assert booted.bolt is BoltState.UNKNOWN
    desk.lock.door.state = BoltState.UNLOCKED
    desk.lock.power_on()
    assert desk.lock.lock is not None
    assert desk.lock.lock.bolt is BoltState.UNLOCKED
    assert desk.openings == 0
