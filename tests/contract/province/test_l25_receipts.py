"""L-25: a receipt counts by a pinned key in force, for exactly what we sent; else an alarm."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from police_sync.relay import receipts as receipts_module
from police_sync.relay.filing import Kind, Sent
from police_sync.relay.signing import verify_es256
from tests.contract.province.parts import RelayUnderTest, registration
from tests.contract.province.sentences import asked_before_repeating, exactly_once

FORGERIES = {
    "forged_receipt": "signature",
    "wrong_digest": "other_payload",
    "stale_key": "key_not_in_force",
}


async def forge(under_test: RelayUnderTest, fault: str) -> tuple[str, list[Any]]:
    """File while every receipt of this registration comes back wrong; the log of four steps."""
    body = registration()
    under_test.province.know(body)
    client_no = under_test.put(Kind.REGISTER, body)
    under_test.province.order(fault, times=None, client_no=client_no)
    with capture_logs() as logs:
        for _ in range(4):
            await under_test.relay.step()
            await asyncio.sleep(0.11)
    return client_no, logs


def not_accepted(under_test: RelayUnderTest, client_no: str) -> None:
    """L-25's sentence: no receipt is kept and the row stays open."""
    assert under_test.state(client_no) == "ready"
    assert under_test.outbox.receipts == []


@pytest.mark.parametrize(("fault", "reason"), FORGERIES.items(), ids=FORGERIES)
async def test_L25_a_receipt_that_does_not_hold_is_none(
    under_test: RelayUnderTest, fault: str, reason: str
) -> None:
    client_no, logs = await forge(under_test, fault)
    not_accepted(under_test, client_no)
    assert set(under_test.attempts(client_no)) == {"receipt_forged"}
    alarms = [entry for entry in logs if entry["event"] == "relay.receipt.forged"]
    assert {(a["log_level"], a["detail"]) for a in alarms} == {("error", reason)}
    under_test.province.clear()
    await under_test.until(lambda: under_test.state(client_no) == "settled")
    exactly_once(under_test, client_no)
    asked_before_repeating(under_test, client_no)


def _any_key(self: Any, key_id: str, signature: str, message: bytes, now: datetime) -> str | None:
    key = self._keys.get(key_id)
    held = key and verify_es256(key.public, signature, message)
    return None if held else "signature"


def _same_payload(document: dict[str, Any], **rest: Any) -> Any:
    sent = Sent(rest["sent"].kind, document["content_digest"])
    return _CHECK(document, **{**rest, "sent": sent})


_CHECK = receipts_module.check_receipt


@pytest.mark.parametrize("fault", FORGERIES)
async def test_L25_mutant_checks_less(
    under_test: RelayUnderTest, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    match fault:
        case "forged_receipt":
            monkeypatch.setattr(receipts_module, "verify_es256", lambda *_: True)
        case "wrong_digest":
            monkeypatch.setattr("police_sync.relay.classify.check_receipt", _same_payload)
        case _:
            monkeypatch.setattr(receipts_module.PinnedKeys, "check", _any_key)
    client_no, _ = await forge(under_test, fault)
    with pytest.raises(AssertionError):
        not_accepted(under_test, client_no)
