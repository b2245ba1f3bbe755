"""L-24: whatever the province answers, one registration there, receipted here, all recorded."""

import asyncio
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from police_sync.relay import deliver as deliver_module
from police_sync.relay.client import province_http
from police_sync.relay.deliver import Delivery
from police_sync.relay.filing import Filing, Kind
from police_sync.relay.memory import MemoryOutbox
from police_sync.relay.outcomes import Outcome
from police_sync.relay.policy import AskFirst, Decision, RetryAt, decide
from police_sync.relay.ports import Claimed
from tests.contract.province.parts import (
    Province,
    RelayUnderTest,
    make_certificate,
    registration,
    running_province,
)
from tests.contract.province.sentences import (
    asked_before_repeating,
    every_attempt_recorded,
    exactly_once,
)

SICK = {
    # fault → what the relay must make of it
    "drop_reply": "unknown",
    "drop_request": "unknown",
    "slow": "unknown",
    "drip": "unknown",
    "html_503": "ill",
    "maintenance": "ill",
    "quota": "ill",
    "clock_skew": "ill",
    "redirect": "malformed",
    "malformed": "malformed",
    "wrong_json": "malformed",
    "html_200": "malformed",
    "too_long": "malformed",
}


async def file_through(under_test: RelayUnderTest, fault: str, times: int = 1) -> str:
    body = registration()
    under_test.province.know(body)
    client_no = str(body["client_no"])
    delay_s = {"slow": 4.0, "drip": 0.1}.get(fault, 0.0)
    under_test.province.order(fault, times=times, method="PUT", client_no=client_no, delay_s=delay_s)
    under_test.put(Kind.REGISTER, body)
    await under_test.until(lambda: under_test.state(client_no) == "settled")
    return client_no


# ---- L-24
@pytest.mark.parametrize(("fault", "outcome"), SICK.items(), ids=SICK)
async def test_L24_exactly_one_registration_whatever_comes_back(
    under_test: RelayUnderTest, fault: str, outcome: str
) -> None:
    client_no = await file_through(under_test, fault)
    assert under_test.attempts(client_no)[0] == outcome
    exactly_once(under_test, client_no)
    every_attempt_recorded(under_test, client_no)
    asked_before_repeating(under_test, client_no)


async def test_L24_a_dropped_reply_is_found_and_never_sent_twice(
    under_test: RelayUnderTest,
) -> None:
    client_no = await file_through(under_test, "drop_reply")
    assert under_test.attempts(client_no) == ["unknown", "found"]
    assert [c["method"] for c in under_test.province.calls(client_no)] == ["PUT", "GET"]


async def test_L24_the_question_itself_may_be_lost(under_test: RelayUnderTest) -> None:
    body = registration()
    under_test.province.know(body)
    client_no = under_test.put(Kind.REGISTER, body)
    under_test.province.order("drop_reply", method="PUT", client_no=client_no)
    under_test.province.order("drop_reply", method="GET", client_no=client_no)
    under_test.province.order("html_503", method="GET", client_no=client_no)
    await under_test.until(lambda: under_test.state(client_no) == "settled")
    assert under_test.attempts(client_no) == ["unknown", "unknown", "ill", "found"]
    exactly_once(under_test, client_no)
    asked_before_repeating(under_test, client_no)


async def test_L24_retry_after_is_heeded(under_test: RelayUnderTest) -> None:
    body = registration()
    client_no = under_test.put(Kind.REGISTER, body)
    under_test.province.order("quota", client_no=client_no, retry_after_s=120)
    await under_test.relay.step()
    row = under_test.outbox.rows[client_no, 1]
    assert (row.next_at - row.attempts[0].started_at).total_seconds() >= 120
    assert not row.ask_first


async def test_L24_nobody_listens(province: Province) -> None:
    async with province_http("http://127.0.0.1:9", connections=1) as nobody:
        under_test = RelayUnderTest(province, nobody)
        body = registration()
        client_no = under_test.put(Kind.REGISTER, body)
        await under_test.relay.step()
        assert under_test.attempts(client_no) == ["unsent"]
        assert not under_test.outbox.rows[client_no, 1].ask_first, "nothing left: no need to ask"


async def test_L24_many_at_once_with_a_third_of_all_replies_dropped(
    under_test: RelayUnderTest,
) -> None:
    bodies = [registration() for _ in range(25)]
    for body in bodies:
        under_test.province.know(body)
        under_test.put(Kind.REGISTER, body)
    under_test.province.order("drop_reply", times=None, share=0.33, seed=7)
    stop = asyncio.Event()
    running = asyncio.create_task(under_test.relay.run(stop))
    numbers = [str(body["client_no"]) for body in bodies]
    async with asyncio.timeout(90):
        while any(under_test.state(number) != "settled" for number in numbers):
            await asyncio.sleep(0.05)
    stop.set()
    await running
    under_test.province.clear()
    for number in numbers:
        exactly_once(under_test, number)
        asked_before_repeating(under_test, number)
    outcomes = {o for number in numbers for o in under_test.attempts(number)}
    assert "unknown" in outcomes, "no reply was dropped: this test showed nothing"


def _blind(outcome: Outcome, attempts: int, now: datetime, **rest: Any) -> Decision:
    """A policy that repeats without asking."""
    decision = decide(outcome, attempts, now, **rest)
    return RetryAt(decision.at) if isinstance(decision, AskFirst) else decision


async def test_L24_mutant_repeats_blind(under_test: RelayUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    class ForgetsToAsk(MemoryOutbox):
        async def claim(self, *args: Any) -> Claimed | None:
            for row in self.rows.values():
                row.ask_first = False
            return await super().claim(*args)

    monkeypatch.setattr(deliver_module, "decide", _blind)
    under_test.outbox = ForgetsToAsk()
    under_test.relay = under_test.build(Delivery)
    client_no = await file_through(under_test, "drop_reply")
    with pytest.raises(AssertionError, match="repeated blind"):
        asked_before_repeating(under_test, client_no)


async def test_L24_mutant_delivers_behind_the_records_back(under_test: RelayUnderTest) -> None:
    class SendsTwice(Delivery):
        async def _deliver(self, filing: Filing) -> Outcome:
            await self.province.deliver(filing)
            return await super()._deliver(filing)

    under_test.relay = under_test.build(SendsTwice)
    client_no = await file_through(under_test, "slow")
    with pytest.raises(AssertionError):
        every_attempt_recorded(under_test, client_no)


async def test_L24_a_stranger_behind_the_address_gets_nothing(tmp_path: Path) -> None:
    """TLS fails before a byte of the filing has left; with the right trust, it goes through."""
    certificate, key = make_certificate(tmp_path)
    tls = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with running_province(tmp_path, *tls) as province:
        body = registration()
        province.know(body)
        async with province_http(province.url, connections=1) as distrusting:
            under_test = RelayUnderTest(province, distrusting)
            client_no = under_test.put(Kind.REGISTER, body)
            await under_test.relay.step()
            row = under_test.outbox.rows[client_no, 1]
            assert [(a.outcome, a.detail) for a in row.attempts] == [("unsent", "tls")]
            assert province.calls(client_no) == []
        trust = ssl.create_default_context(cafile=str(certificate))
        async with province_http(province.url, connections=1, tls=trust) as trusting:
            under_test = RelayUnderTest(province, trusting)
            under_test.put(Kind.REGISTER, body)
            await under_test.until(lambda: under_test.state(client_no) == "settled")
            exactly_once(under_test, client_no)
