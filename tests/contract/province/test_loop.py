"""The relay as it runs: its loop, its logs, and the province's process killed and started again."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from police_sync.mock_province.main import main
from police_sync.relay.breaker import Breaker
from police_sync.relay.deliver import Delivery
from police_sync.relay.filing import Kind
from police_sync.relay.loop import Relay, RelaySettings
from police_sync.relay.memory import MemoryOutbox
from tests.contract.province.parts import (
    RelayUnderTest,
    change_of,
    http_for,
    registration,
    running_province,
)
from tests.contract.province.sentences import exactly_once


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    stop = asyncio.Event()
    work = asyncio.create_task(relay.run(stop))
    yield
    stop.set()
    await work


async def reached(condition: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_the_loop_wakes_for_a_row_long_before_it_would_look(
    under_test: RelayUnderTest,
) -> None:
    parts = under_test.relay.delivery
    settings = RelaySettings("test", lease_s=30, idle_poll_s=3600)
    async with running(Relay(parts, settings)):
        await asyncio.sleep(0.1)
        client_no = under_test.put(Kind.REGISTER, registration())
        await reached(lambda: under_test.state(client_no) == "settled")


async def test_a_row_put_in_between_look_and_wait_is_noticed(under_test: RelayUnderTest) -> None:
    body = registration()

    class Fleeting(MemoryOutbox):
        """Hints are not kept: who does not listen, as with NOTIFY, does not hear."""

        came = False

        async def wait(self, timeout_s: float) -> None:
            self._changed.clear()
            await super().wait(timeout_s)

        async def next_due(self, now: datetime) -> datetime | None:
            due = await super().next_due(now)
            if not self.came:
                self.came = True
                under_test.put(Kind.REGISTER, body)
            return due

    under_test.outbox = Fleeting()
    settings = RelaySettings("test", lease_s=30, idle_poll_s=3600)
    async with running(Relay(under_test.build(Delivery).delivery, settings)):
        client_no = str(body["client_no"])
        await reached(lambda: under_test.outbox.rows and under_test.state(client_no) == "settled")


async def test_stopping_lets_a_delivery_finish(under_test: RelayUnderTest) -> None:
    client_no = str((body := registration())["client_no"])
    under_test.province.order("slow", method="PUT", client_no=client_no, delay_s=0.5)
    async with running(under_test.relay):
        under_test.put(Kind.REGISTER, body)
        await reached(lambda: under_test.outbox.rows[client_no, 1].attempts)
    assert under_test.state(client_no) == "settled"
    assert under_test.attempts(client_no) == ["accepted"]


async def test_stopping_does_not_wait_for_ever_and_asks_next_time(
    under_test: RelayUnderTest,
) -> None:
    client_no = str((body := registration())["client_no"])
    under_test.province.order("slow", method="PUT", client_no=client_no, delay_s=0.9)
    settings = RelaySettings("test", lease_s=30, stop_grace_s=0.05)
    async with running(Relay(under_test.relay.delivery, settings)):
        under_test.put(Kind.REGISTER, body)
        await reached(lambda: under_test.province.calls(client_no))
    row = under_test.outbox.rows[client_no, 1]
    assert [a.outcome for a in row.attempts] == [None]
    assert row.ask_first
    row.leased_until = None  # the lease runs out
    await under_test.until(lambda: row.state == "settled")
    assert under_test.attempts(client_no) == [None, "found"]
    exactly_once(under_test, client_no)


async def test_a_sick_province_is_probed_not_hammered(under_test: RelayUnderTest) -> None:
    numbers = []
    for _ in range(30):
        body = registration()
        numbers.append(under_test.put(Kind.REGISTER, body))
    under_test.province.order("html_503", times=None)
    breaker = Breaker(threshold=3, first_s=0.3, cap_s=0.3)
    relay = Relay(under_test.relay.delivery, under_test.relay.settings, breaker)
    with capture_logs() as logs:
        async with running(relay):
            await reached(lambda: any(e["event"] == "relay.circuit.opened" for e in logs))
            tried = sum(len(r.attempts) for r in under_test.outbox.rows.values())
            # Three troubles open it; what was under way beside them is at most the concurrency.
            assert tried <= 3 + relay.settings.concurrency
            under_test.province.clear()
            await reached(lambda: all(under_test.state(n) == "settled" for n in numbers))
    assert any(e["event"] == "relay.circuit.closed" for e in logs)


async def test_L28_a_poison_row_stops_nobody_else(under_test: RelayUnderTest) -> None:
    poison = registration()
    behind = change_of(poison, 2, phone="13100000000")
    under_test.put(Kind.REGISTER, {**poison, "extra": "x"})
    under_test.put(Kind.CHANGE, behind)
    good = [under_test.put(Kind.REGISTER, registration()) for _ in range(5)]
    with capture_logs() as logs:
        async with running(under_test.relay):
            await reached(lambda: all(under_test.state(n) == "settled" for n in good))
    parked = [e for e in logs if e["event"] == "relay.entry.parked"]
    assert [(e["client_no"], e["log_level"]) for e in parked] == [(poison["client_no"], "error")]
    assert under_test.state(str(poison["client_no"]), 2) == "ready", "it waits behind the poison"


async def test_L31_no_log_line_holds_a_personal_field(under_test: RelayUnderTest) -> None:
    body = registration(name="金丝雀·样", phone="13712345678", registered_address="示例省金丝雀市金丝雀路9号")
    bad = registration(name="金丝雀·样", phone="13712345678", last_unlock="x")
    under_test.province.know(body)
    under_test.province.order("drop_reply", method="PUT")
    under_test.province.order("forged_receipt", method="GET")
    under_test.province.order("wrong_json", method="GET")
    with capture_logs() as logs:
        client_no = under_test.put(Kind.REGISTER, body)
        under_test.put(Kind.REGISTER, bad)
        under_test.put(Kind.CHANGE, change_of(body, 2, phone="13712345679"))
        async with running(under_test.relay):
            await reached(lambda: under_test.state(client_no, 2) == "settled")
    text = json.dumps(logs, ensure_ascii=False, default=str)
    assert "relay.receipt.forged" in text
    assert "relay.entry.parked" in text
    planted = ["name", "document_number", "registered_address", "phone", "birth_date", "address_id"]
    for name in planted:
        assert str(body[name]) not in text, name
        assert str(bad[name]) not in text, name
    assert "1371234567" not in text


async def test_a_lease_shorter_than_two_calls_is_refused(under_test: RelayUnderTest) -> None:
    settings = replace(under_test.relay.settings, lease_s=1.5)
    with pytest.raises(ValueError, match="lease"):
        Relay(under_test.build(Delivery).delivery, settings)


# ---- the province as a process
async def test_L24_a_killed_province_forgets_nothing(tmp_path: Path) -> None:
    """SIGKILL right after the acceptance: the receipt is found again, under the same keys."""
    with running_province(tmp_path) as province:
        async with http_for(province) as http:
            under_test = RelayUnderTest(province, http)
            client_no = under_test.put(Kind.REGISTER, registration())
            province.order("slow", method="PUT", delay_s=60)
            await under_test.relay.step()
            assert under_test.attempts(client_no) == ["unknown"]
        os.kill(province.process_id, signal.SIGKILL)
    with running_province(tmp_path) as again:
        assert again.keys == province.keys
        async with http_for(again) as http:
            resumed = RelayUnderTest(again, http, outbox=under_test.outbox)
            await resumed.until(lambda: resumed.state(client_no) == "settled")
            assert resumed.attempts(client_no) == ["unknown", "found"]
            exactly_once(resumed, client_no)


def test_a_taken_port_ends_with_a_word_and_a_status(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [
            sys.executable, "-m", "police_sync.mock_province",
            "--data", str(tmp_path), "--port", port, "--control-port", "0",
        ]  # fmt: skip
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "in use" in ended.stderr
    assert ended.stdout == ""


def test_init_only_makes_keys_and_ends(tmp_path: Path) -> None:
    assert main(["--data", str(tmp_path / "p"), "--init-only"]) == 0
    names = {p.name for p in (tmp_path / "p").iterdir()}
    assert names == {
        "province_receipt.pem", "province_retired.pem", "province_keys.json", "control.token",
    }  # fmt: skip


def test_without_tls_it_stays_on_loopback(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--host", "0.0.0.0", "--port", "0"])
