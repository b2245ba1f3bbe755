"""What the relay's laws say, as assertions over both ledgers: ours and the province's."""

import itertools

from police_sync.relay.ports import Action
from tests.contract.province.parts import RelayUnderTest

REFUSED_AT_THE_DOOR = {"maintenance", "quota", "clock_skew"}  # certainly not accepted: no asking


def exactly_once(under_test: RelayUnderTest, client_no: str, version: int = 1) -> None:
    """L-24's sentence: one registration there, receipted here, every attempt recorded."""
    record = under_test.province.record(client_no)
    assert record is not None
    filed = [f for f in record["filings"] if f["version"] == version]
    assert len(filed) == 1
    kept = [r for r in under_test.outbox.receipts if (r.client_no, r.version) == (client_no, version)]
    numbers = {r.no for r in kept if r.type == "receipt"}
    assert numbers == {filed[0]["receipt_no"]}
    assert under_test.state(client_no, version) == "settled"


def every_attempt_recorded(under_test: RelayUnderTest, client_no: str) -> None:
    """What arrived there is what was recorded here, call for call."""
    recorded = [
        attempt
        for (number, _), row in sorted(under_test.outbox.rows.items())
        if number == client_no
        for attempt in row.attempts
    ]
    assert all(attempt.outcome is not None for attempt in recorded)
    arrived = [call["method"] for call in under_test.province.calls(client_no)]
    deliveries = [a for a in recorded if a.evidence.action is Action.DELIVER]
    asks = [a for a in recorded if a.evidence.action is Action.ASK]
    assert len([m for m in arrived if m in {"PUT", "POST"}]) == len(deliveries)
    assert arrived.count("GET") == len(asks)


def asked_before_repeating(under_test: RelayUnderTest, client_no: str) -> None:
    """Between two deliveries of which the first may have arrived, there is a question."""
    calls = [c for c in under_test.province.calls(client_no) if c["fault"] != "drop_request"]
    for earlier, later in itertools.pairwise(calls):
        certain = earlier["fault"] in REFUSED_AT_THE_DOOR
        if earlier["method"] == "PUT" and not certain:
            assert later["method"] == "GET", "repeated blind"
