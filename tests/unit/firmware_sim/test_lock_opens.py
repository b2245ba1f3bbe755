"""The straight path: enrol, open over the radio, open from afar."""

from __future__ import annotations

from firmware_sim.core.events import ButtonPressed, RadioConnected, RadioMessage
from firmware_sim.links.memory import MemoryLock
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.handshake import REFUSAL
from lockserver.protocol.journal import Head, What, verify_chain
from lockserver.protocol.reports import Hello, JournalBatch, Outcome, TimeRequest
from tests.support.site import ask_claim
from tests.unit.firmware_sim.desk import Desk


def test_an_enrolled_lock_opens_for_its_tenant_and_says_so() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    answer = desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    assert answer is not None
    assert (answer.code, answer.bolt) == (AirCode.GRANTED, BoltState.UNLOCKED)
    assert desk.openings == 1
    assert desk.journalled(What.UNLOCKED) == 1


def test_a_lock_without_an_identity_opens_for_nobody() -> None:
    desk = Desk()
    blank = MemoryLock(desk.factory, desk.random)
    blank.feed(RadioConnected(1))
    blank.feed(RadioMessage(1, desk.phone().hello()))
    assert blank.said[1] == [REFUSAL]
    assert blank.door.openings == 0


def test_a_remote_unlock_is_done_once_the_clock_is_attested() -> None:
    desk = Desk()
    desk.broker_up()
    tenant = desk.site.holder()
    sealed, command = desk.site.unlock(desk.enrolled, tenant)
    desk.deliver(sealed)
    (result,) = desk.results()
    assert (result.command_id, result.outcome) == (command.command_id, Outcome.DONE)
    assert desk.openings == 1


def test_an_unattested_clock_asks_first_and_opens_when_the_answer_is_quick() -> None:
    desk = Desk()
    desk.broker_up(attest=False)
    desk.wait(2 * 3600)  # the attestation of enrolment has aged
    desk.news()
    tenant = desk.site.holder()
    sealed, _ = desk.site.unlock(desk.enrolled, tenant)
    desk.deliver(sealed)
    asked = desk.news()
    assert any(isinstance(r, TimeRequest) for r in asked)
    assert desk.openings == 0
    request = next(r for r in asked if isinstance(r, TimeRequest))
    desk.deliver(desk.site.documents(desk.enrolled, desk.site.time(desk.enrolled, request.nonce)))
    assert desk.openings == 1
    assert [r.outcome for r in desk.results()] == [Outcome.DONE]


def test_the_server_gets_a_complete_journal_and_its_acknowledgement_frees_it() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    for _ in range(3):
        desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    desk.broker_up()
    batches = [r for r in desk.news() if isinstance(r, JournalBatch)]
    chain = verify_chain(Head(), [e for b in batches for e in b.entries])
    assert not chain.flaws
    assert sum(e.what is What.UNLOCKED for e in chain.accepted) == 3
    desk.deliver(desk.site.acknowledge(desk.enrolled, chain.head))
    assert desk.lock.lock is not None
    assert desk.lock.lock.journal.held == ()
    desk.lock.power_on()
    desk.broker_up()
    hello = next(r for r in desk.news(keep=True) if isinstance(r, Hello))
    assert hello.journal.number > chain.head.number
    assert hello.oldest_unacked == chain.head.number + 1


def test_an_acknowledgement_of_another_history_frees_nothing() -> None:
    desk = Desk()
    desk.broker_up()
    assert desk.lock.lock is not None
    held = desk.lock.lock.journal.held
    desk.deliver(desk.site.acknowledge(desk.enrolled, Head(held[-1].number, bytes(32))))
    assert desk.lock.lock.journal.held == held


def test_lost_reports_are_sent_again_until_acknowledged() -> None:
    desk = Desk()
    desk.broker_up()
    first = [r for r in desk.news() if isinstance(r, JournalBatch)]
    desk.wait(6)
    again = [r for r in desk.news() if isinstance(r, JournalBatch)]
    assert first[0].entries[0] == again[0].entries[0]


def test_a_jammed_bolt_is_not_called_open() -> None:
    desk = Desk()
    desk.lock.door.jammed = True
    tenant = desk.site.holder()
    answer = desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    assert answer is not None
    assert (answer.code, answer.bolt) == (AirCode.TRY_LATER, BoltState.JAMMED)
    assert desk.journalled(What.UNLOCKED) == 0
    assert desk.journalled(What.JAMMED) == 1


def test_no_button_no_offer_and_a_photographed_code_claims_nothing() -> None:
    desk = Desk()
    blank = MemoryLock(desk.factory, desk.random)
    blank.feed(RadioConnected(1))
    blank.feed(RadioMessage(1, ask_claim(desk.owner)))
    assert blank.said[1] == [REFUSAL]
    blank.feed(ButtonPressed())
    blank.wait(121)
    blank.feed(RadioConnected(2))
    blank.feed(RadioMessage(2, ask_claim(desk.owner)))
    assert blank.said[2] == [REFUSAL]
    assert blank.lock is not None
    assert [e.denial for e in blank.lock.journal.held if e.denial] == [Denial.NO_BUTTON] * 2
