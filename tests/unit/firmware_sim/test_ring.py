"""The journal: chained, counted, never full for the rightful."""

from __future__ import annotations

import pytest

from firmware_sim.core.flash import Flash
from firmware_sim.core.ring import COALESCE, RESERVED, SLOTS, Kind, Ring
from firmware_sim.links.memory import MemoryMedium
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import FlawKind, Head, How, What, verify_chain

FLOOD = Kind(How.BLE, Denial.BAD_PROOF, None)


def opened(ring: Ring, n: int) -> None:
    for _ in range(n):
        ring.append(What.UNLOCKED, How.BLE, at=1, uncertainty=1, subject=bytes(16))


def test_the_chain_survives_a_restart_and_an_acknowledgement() -> None:
    medium = MemoryMedium()
    ring = Ring(Flash(medium))
    opened(ring, 5)
    middle = verify_chain(Head(), ring.batch(0, 3)).head
    ring.acknowledge(3)
    again = Ring(Flash(medium))
    assert again.head == ring.head
    chain = verify_chain(middle, again.held)
    assert not chain.flaws
    assert chain.head == ring.head


def test_L53_denials_alike_are_one_entry_and_a_count() -> None:
    ring = Ring(Flash(MemoryMedium()))
    for second in range(COALESCE):
        for _ in range(50):
            ring.deny(FLOOD, at=second, uncertainty=1, uptime=second)
    ring.flush(at=COALESCE, uncertainty=1, uptime=COALESCE)
    assert [e.count for e in ring.held] == [1, COALESCE * 50 - 1]
    assert not verify_chain(Head(), ring.held).flaws


def test_L53_a_flood_of_every_kind_evicts_no_opening_and_loses_no_count() -> None:
    ring = Ring(Flash(MemoryMedium()))
    opened(ring, RESERVED)
    said = 0
    for second in range(3000):
        ring.deny(
            Kind(How.BLE, Denial.REVOKED, second.to_bytes(16, "big")), at=1, uncertainty=1, uptime=second
        )
        said += 1
        if second % 10 == 0:
            ring.flush(at=1, uncertainty=1, uptime=second)
    held = ring.held
    assert sum(e.what is What.UNLOCKED for e in held) == RESERVED
    assert len(held) <= SLOTS
    told = sum(e.count for e in held if e.what is What.DENIED)
    waiting = sum(w.count for w in ring._waiting.values())
    assert told + waiting == said


def test_L53_a_full_ring_takes_the_opening_and_shows_the_gap() -> None:
    ring = Ring(Flash(MemoryMedium()))
    ring.deny(FLOOD, at=1, uncertainty=1, uptime=0)
    opened(ring, SLOTS + 3)
    held = ring.held
    assert len(held) == SLOTS
    assert all(e.what is What.UNLOCKED for e in held), "the denial went first"
    assert held[-1].number == SLOTS + 4
    chain = verify_chain(Head(), held)
    assert [(f.kind, f.missing) for f in chain.flaws] == [(FlawKind.GAP, 4)]
    assert chain.head == ring.head


def test_L53_mutant_a_ring_without_reserved_slots_would_lose_openings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Ring, "_room_for_denial", lambda self: True)
    monkeypatch.setattr(
        Ring, "_evict", lambda self: None if len(self._entries) < SLOTS else min(self._entries)
    )
    ring = Ring(Flash(MemoryMedium()))
    opened(ring, RESERVED)
    for second in range(3000):
        ring.deny(
            Kind(How.BLE, Denial.REVOKED, second.to_bytes(16, "big")), at=1, uncertainty=1, uptime=second
        )
        ring.flush(at=1, uncertainty=1, uptime=second)
    assert sum(e.what is What.UNLOCKED for e in ring.held) < RESERVED
