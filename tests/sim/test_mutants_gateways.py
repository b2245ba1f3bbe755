"""Locks that only gateways reach: some worlds with one that dies and a hostile one, and the checks taken out."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from firmware_sim.core.results import Results
from firmware_sim.core.server import Server
from firmware_sim.core.wishes import Wishes
from lockserver.app import accept_report
from lockserver.protocol import access, envelope
from lockserver.protocol.claims import Claims, HolderClass
from lockserver.protocol.cose import peek
from lockserver.protocol.errors import Denial
from lockserver.protocol.wish import read_wish
from tests.sim.laws.book import BrokenLawError
from tests.sim.laws.gateways import (
    a_gateways_credential_opens_nothing,
    what_a_gateway_held_back_opens_nothing,
)
from tests.sim.mutants import _put, mutant, without
from tests.sim.search import Outcome, live

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

PROFILE = "gateways"
LIVED = 6
#: Worlds that a mutant is given.
SEARCHED = 30


def first(name: str, *laws: str) -> Outcome:
    """The first world in which the mutant breaks one of these laws."""
    with without(name):
        for seed in range(SEARCHED):
            outcome = live(seed, PROFILE)
            if outcome.law in laws:
                return outcome
    raise AssertionError(f"{name} was not caught in {SEARCHED} worlds")


def test_L19_world_gateways_carry_and_open_nothing() -> None:
    struck: Counter[str] = Counter()
    remote = 0
    for seed in range(LIVED):
        outcome = live(seed, PROFILE)
        assert outcome.fault is None, f"`make sim SEED={seed} PROFILE={PROFILE}`: {outcome.fault!r}"
        assert not any(one.connected for one in outcome.world.locks), "a lock has a network of its own"
        struck += outcome.world.weather.struck
        remote += sum(one.how == "remote" for one in outcome.world.oracle.openings)
    assert remote >= LIVED, "hardly anything was opened through a gateway"
    ways = ("dies", "drop", "repeat", "reorder", "hold", "elsewhere", "lie", "forges", "asked")
    assert all(struck[f"gateway.{way}"] for way in ways), struck


@mutant("L-02", PROFILE)
def a_gateway_may_come_in(stack: ExitStack) -> None:
    """The lock's decision does not ask what a gateway's credential conveys."""
    capability = access._capability

    def lenient(claims: Claims, operation: access.Operation) -> Denial | None:
        return None if claims.holder_class is HolderClass.GATEWAY else capability(claims, operation)

    _put(stack, access, "_capability", lenient)


@mutant("L-22", PROFILE)
def a_carriers_word_is_believed(stack: ExitStack) -> None:
    """Whoever signed a report that a gateway brings, it is the lock's."""

    def read(signed: bytes, _lock_id: bytes, _public: bytes) -> Any:
        return envelope._read_envelope(peek(signed))

    _put(stack, accept_report, "read_signed_report", read)


def _any_wish(_self: object, raw: bytes, credential: Any, *_given: object) -> Any:
    return read_wish(raw, credential.claims.holder_public)


@mutant("L-15", PROFILE)
def what_was_held_back_is_good(stack: ExitStack) -> None:
    """The lock believes any deadline, and any wish's."""
    _put(stack, Server, "_deadline_kept", lambda _self, _held, command: float((command.not_after or 0) - 1))
    _put(stack, Wishes, "read", _any_wish)


@mutant("L-16", PROFILE)
def what_a_gateway_repeats_is_new(stack: ExitStack) -> None:
    """The lock remembers neither counter nor result nor wish."""
    act = Server._act

    def forgetful(self: Server, held: Any, command: Any, reply: Any) -> None:
        held.counter = 0
        act(self, held, command, reply)

    _put(stack, Server, "_act", forgetful)
    _put(stack, Results, "find", lambda _self, _id: None)
    _put(stack, Wishes, "record", lambda _self, _wish, _latest: {})
    _put(stack, Wishes, "read", _any_wish)


def test_L19_mutant_world_a_gateway_may_come_in() -> None:
    world = first("a_gateway_may_come_in", "L-02", "L-04", "L-19").world
    with pytest.raises(BrokenLawError, match="gateway's credential"):
        a_gateways_credential_opens_nothing(world, world.oracle.openings[-1])


def test_L22_mutant_world_a_carriers_word_is_believed() -> None:
    assert first("a_carriers_word_is_believed", "L-22").fault is not None


def test_L15_mutant_world_what_was_held_back_is_good() -> None:
    world = first("what_was_held_back_is_good", "L-15").world
    with pytest.raises(BrokenLawError, match="held it back"):
        what_a_gateway_held_back_opens_nothing(world, world.oracle.openings[-1])


def test_L16_mutant_world_what_a_gateway_repeats_is_new() -> None:
    assert first("what_a_gateway_repeats_is_new", "L-16").fault is not None
