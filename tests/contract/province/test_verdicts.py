"""What comes after the receipt: checks, returned fields, one-field repair, vouchers, callbacks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn

from police_sync.relay.callback import callback_app
from police_sync.relay.filing import Kind, canonical
from police_sync.relay.outcomes import FieldReturn, Found, ProvinceState, Verdict
from police_sync.relay.receipts import instant
from police_sync.relay.verdicts import VerdictPolling
from tests.contract.province.parts import (
    QUICK,
    STATION,
    RelayUnderTest,
    WallClock,
    change_of,
    departure_of,
    follow_up,
    invented_number,
    registration,
)


async def verdict_on(under_test: RelayUnderTest, client_no: str) -> Verdict:
    """Deliver what is in the outbox and poll until the province has said its word."""
    polling = VerdictPolling(
        under_test.outbox,
        under_test.client,
        under_test.pins,
        under_test.clock,
        lambda: 0.5,
        QUICK,
    )
    async with asyncio.timeout(45):
        while True:
            await under_test.relay.step()
            await polling.poll()
            standing = under_test.outbox.standing.get(client_no)
            newest = max(v for (n, v) in under_test.outbox.rows if n == client_no)
            said = standing.verdict if standing is not None else None
            if said is not None and said.settled and said.version == newest:
                return said
            await asyncio.sleep(0.02)


async def file(under_test: RelayUnderTest, body: dict[str, Any]) -> Verdict:
    return await verdict_on(under_test, under_test.put(Kind.REGISTER, body))


# ---- the straight way
async def test_a_right_registration_gets_its_voucher(under_test: RelayUnderTest) -> None:
    body = registration()
    under_test.province.know(body)
    said = await file(under_test, body)
    assert said.state is ProvinceState.ACCEPTED
    assert said.voucher is not None
    row = under_test.outbox.rows[str(body["client_no"]), 1]
    assert said.voucher.content_digest == row.attempts[0].evidence.content_digest
    kept = {r.type: r for r in under_test.outbox.receipts}
    assert set(kept) == {"receipt", "voucher"}
    assert json.loads(kept["voucher"].raw)["voucher_no"] == said.voucher.no
    assert await _polls_left(under_test) == []


async def _polls_left(under_test: RelayUnderTest) -> list[str]:
    due = await under_test.outbox.due_verdicts(under_test.clock.now() + timedelta(days=1), timedelta(0), 100)
    return [one.client_no for one in due]


async def test_a_stay_ends_with_a_receipt(under_test: RelayUnderTest) -> None:
    body = registration()
    under_test.province.know(body)
    await file(under_test, body)
    client_no = under_test.put(Kind.DEPARTURE, departure_of(body, 2))
    await under_test.relay.step()
    assert under_test.state(client_no, 2) == "settled"
    assert {r.kind for r in under_test.outbox.receipts if r.version == 2} == {Kind.DEPARTURE}
    record = under_test.province.record(client_no)
    assert record is not None
    assert (record["state"], record["active"]) == ("DEPARTED", False)


async def test_a_filing_in_error_is_withdrawn(under_test: RelayUnderTest) -> None:
    body = registration()
    under_test.province.know(body)
    await file(under_test, body)
    client_no = under_test.put(Kind.WITHDRAWAL, follow_up(body, 2, withdrawal_reason="02"))
    await under_test.relay.step()
    record = under_test.province.record(client_no)
    assert record is not None
    assert record["state"] == "WITHDRAWN"


async def test_late_is_accepted_and_marked(under_test: RelayUnderTest) -> None:
    body = registration(arrival=(datetime.now(UTC) - timedelta(days=30)).date().isoformat())
    under_test.province.know(body)
    said = await file(under_test, body)
    assert said.state is ProvinceState.ACCEPTED_LATE
    assert said.voucher is not None
    assert json.loads(said.voucher.raw)["late"] is True


# ---- the checks, each naming its field
def _wrong_digit(number: str) -> str:
    return number[:17] + ("0" if number[17] != "0" else "1")


TOMORROW = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], FieldReturn]] = {
    # name → (what is filed wrong, what the province knows otherwise, what it returns)
    "E102": ({"birth_date": "1991-01-01"}, {}, FieldReturn("birth_date", "E102")),
    "E103": ({"sex": "2"}, {}, FieldReturn("sex", "E103")),
    "E104": ({"ethnicity": "77"}, {}, FieldReturn("ethnicity", "E104")),
    "E201": ({"name": "试样·误"}, {"name": "试样·例"}, FieldReturn("name", "E201")),
    "E203": ({}, {"valid_to": "2020-01-01"}, FieldReturn("document_type", "E203")),
    "E302": ({"station": "330106000099"}, {}, FieldReturn("station", "E302")),
    "E401": ({"arrival": TOMORROW}, {}, FieldReturn("arrival", "E401")),
    "E402": ({"planned_until": "2020-01-01"}, {}, FieldReturn("planned_until", "E402")),
    "E501": ({"reason_code": "77"}, {}, FieldReturn("reason_code", "E501")),
    "E502": ({"occupation_code": "77"}, {}, FieldReturn("occupation_code", "E502")),
    "E601": (
        {"guardian_client_no": "0" * 20}, {}, FieldReturn("guardian_client_no", "E601"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "known", "expected"), FAULTS.values(), ids=FAULTS)
async def test_a_check_names_the_one_field(
    under_test: RelayUnderTest, wrong: dict[str, Any], known: dict[str, Any], expected: FieldReturn
) -> None:
    right = registration()
    under_test.province.know(right, **known)
    said = await file(under_test, {**right, **wrong})
    assert said.state is ProvinceState.RETURNED
    assert said.returns == (expected,)
    assert said.voucher is None


async def test_a_wrong_check_digit_is_found(under_test: RelayUnderTest) -> None:
    right = registration()
    wrong = registration(document_number=_wrong_digit(str(right["document_number"])))
    under_test.province.know(wrong)
    assert FieldReturn("document_number", "E101") in (await file(under_test, wrong)).returns


async def test_nobody_by_that_number(under_test: RelayUnderTest) -> None:
    body = registration()
    stranger = registration(address_id=body["address_id"])
    under_test.province.know(stranger)
    said = await file(under_test, body)
    assert said.returns == (FieldReturn("document_number", "E202"),)


async def test_an_address_nobody_knows(under_test: RelayUnderTest) -> None:
    body = registration()
    under_test.province.know(body)
    said = await file(under_test, {**body, "address_id": "ADDR-nowhere"})
    assert said.returns == (FieldReturn("address_id", "E301"),)


async def test_the_room_is_full(under_test: RelayUnderTest) -> None:
    room = str(registration()["address_id"])
    for _ in range(2):
        one = registration(address_id=room)
        under_test.province.know(one)
        assert (await file(under_test, one)).state is ProvinceState.ACCEPTED
    third = registration(address_id=room)
    under_test.province.know(third)
    assert (await file(under_test, third)).returns == (FieldReturn("address_id", "E303"),)


async def test_one_person_lives_in_one_place(under_test: RelayUnderTest) -> None:
    first = registration()
    under_test.province.know(first)
    assert (await file(under_test, first)).state is ProvinceState.ACCEPTED
    person = ("name", "document_number", "birth_date")
    same = registration(**{name: first[name] for name in person}, address_id=first["address_id"])
    said = await file(under_test, same)
    assert said.state is ProvinceState.DUPLICATE_OF
    assert said.duplicate_of == next(r.no for r in under_test.outbox.receipts)
    elsewhere = registration(**{name: first[name] for name in person})
    under_test.province.know(elsewhere)
    assert (await file(under_test, elsewhere)).returns == (FieldReturn("address_id", "E304"),)
    under_test.put(Kind.DEPARTURE, departure_of(first, 2))
    await under_test.until(lambda: under_test.state(str(first["client_no"]), 2) == "settled")
    again = registration(**{name: first[name] for name in person})
    under_test.province.know(again)
    assert (await file(under_test, again)).state is ProvinceState.ACCEPTED


async def test_a_child_needs_a_registered_guardian(under_test: RelayUnderTest) -> None:
    parent = registration()
    under_test.province.know(parent)
    await file(under_test, parent)
    born = f"{datetime.now(UTC).year - 8}0307"
    child = registration(
        document_type="113",
        document_number=invented_number(born),
        birth_date=f"{born[:4]}-03-07",
        occupation_code="80",
        reason_code="07",
    )
    under_test.province.know(child)
    alone = await file(under_test, child)
    assert alone.returns == (FieldReturn("guardian_client_no", "E601"),)
    repair = change_of(child, 2, guardian_client_no=parent["client_no"])
    under_test.put(Kind.CHANGE, {**repair, "change_reason": "09"})
    said = await verdict_on(under_test, str(child["client_no"]))
    assert said.state is ProvinceState.ACCEPTED


async def test_a_foreigner_is_late_after_a_day(under_test: RelayUnderTest) -> None:
    body = registration(
        document_type="414",
        document_number="X12345678",
        nationality="UTO",
        arrival=(datetime.now(UTC) - timedelta(days=2)).date().isoformat(),
    )
    del body["ethnicity"]
    under_test.province.know(body)
    assert (await file(under_test, body)).state is ProvinceState.ACCEPTED_LATE


async def test_one_field_is_repaired_not_the_form(under_test: RelayUnderTest) -> None:
    right = registration()
    under_test.province.know(right)
    wrong = {**right, "station": "330106000099"}
    assert (await file(under_test, wrong)).state is ProvinceState.RETURNED
    repair = {**change_of(right, 2, station=STATION), "change_reason": "09"}
    client_no = under_test.put(Kind.CHANGE, repair)
    said = await verdict_on(under_test, client_no)
    assert said.state is ProvinceState.ACCEPTED
    assert said.voucher is not None
    assert said.voucher.version == 2


async def test_a_change_is_checked_again(under_test: RelayUnderTest) -> None:
    body = registration()
    under_test.province.know(body)
    await file(under_test, body)
    client_no = under_test.put(Kind.CHANGE, change_of(body, 2, occupation_code="77"))
    said = await verdict_on(under_test, client_no)
    assert (said.state, said.version) == (ProvinceState.RETURNED, 2)
    assert said.returns == (FieldReturn("occupation_code", "E502"),)


# ---- callbacks
@asynccontextmanager
async def listening(under_test: RelayUnderTest) -> AsyncIterator[str]:
    """Our listener on a port of its own."""
    app = callback_app(under_test.outbox, under_test.pins, under_test.clock)
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/callback"
    server.should_exit = True
    await serving


async def called_back(under_test: RelayUnderTest, client_no: str) -> Verdict:
    """Step until a callback has brought the verdict; no polling here."""
    async with asyncio.timeout(45):
        while True:
            await under_test.relay.step()
            standing = under_test.outbox.standing.get(client_no)
            if standing is not None and standing.verdict is not None and standing.verdict.settled:
                return standing.verdict
            await asyncio.sleep(0.02)


async def test_a_callback_brings_the_verdict_and_may_repeat(under_test: RelayUnderTest) -> None:
    async with listening(under_test) as url:
        under_test.province.settings(callback_url=url, callback_copies=3, check_delay_s=0)
        body = registration()
        under_test.province.know(body)
        client_no = under_test.put(Kind.REGISTER, body)
        said = await called_back(under_test, client_no)
        assert said.state is ProvinceState.ACCEPTED
        await asyncio.sleep(0.3)  # the copies arrive
        types = [r.type for r in under_test.outbox.receipts]
        assert sorted(types) == ["receipt", "voucher"]
        assert await _polls_left(under_test) == []


async def test_L25_a_forged_or_stale_callback_changes_nothing(under_test: RelayUnderTest) -> None:
    body = registration()
    under_test.province.know(body)
    said = await file(under_test, body)
    document = json.loads(said.raw)
    before = under_test.outbox.standing[said.client_no].seq
    async with listening(under_test) as url, httpx.AsyncClient(trust_env=False) as http:

        async def post(headers: dict[str, str], sent: dict[str, Any] = document) -> tuple[int, str]:
            json_type = {"Content-Type": "application/json"}
            reply = await http.post(url, content=canonical(sent), headers={**json_type, **headers})
            return reply.status_code, reply.json()["code"]

        now = str(int(WallClock().now().timestamp()))
        signed = {
            "Police-Key-Id": document["key_id"],
            "Police-Timestamp": now,
            "Police-Nonce": "0" * 32,
            "Police-Signature": document["signature"],
        }
        assert await post({}) == (401, "stale_timestamp")
        assert await post(signed) == (401, "bad_signature")
        assert await post({**signed, "Police-Key-Id": "p-stranger"}) == (401, "unknown_key")
        assert await post({**signed, "Police-Timestamp": "1700000000"}) == (401, "stale_timestamp")
        big = {**document, "receipts": document["receipts"] * 4000}
        assert await post(signed, big) == (413, "too_large")
    assert under_test.outbox.standing[said.client_no].seq == before


async def test_a_poll_finds_what_no_callback_brought(under_test: RelayUnderTest) -> None:
    under_test.province.settings(callback_url="http://127.0.0.1:9/nobody")
    body = registration()
    under_test.province.know(body)
    said = await file(under_test, body)
    assert said.state is ProvinceState.ACCEPTED
    assert instant(said.as_of) <= under_test.clock.now() + timedelta(seconds=1)


async def test_polling_waits_while_the_check_takes_its_time(under_test: RelayUnderTest) -> None:
    under_test.province.settings(check_delay_s=600)
    body = registration()
    client_no = under_test.put(Kind.REGISTER, body)
    await under_test.relay.step()
    polling = VerdictPolling(
        under_test.outbox, under_test.client, under_test.pins, under_test.clock, lambda: 0.5, QUICK
    )
    await asyncio.sleep(0.1)
    outcomes = await polling.poll()
    assert [type(o) for o in outcomes] == [Found]
    standing = under_test.outbox.standing[client_no]
    assert standing.verdict is not None
    assert not standing.verdict.settled
    assert standing.poll_at is not None
    assert await polling.poll() == [], "not asked again before its time"


async def test_a_portrait_goes_only_where_it_was_put_in(under_test: RelayUnderTest) -> None:
    without, given = registration(), registration(portrait="/9j/4AAQSkZJRg==")
    for body, shown in ((without, "not_provided"), (given, "provided")):
        under_test.province.know(body)
        assert (await file(under_test, body)).state is ProvinceState.ACCEPTED
        record = under_test.province.record(str(body["client_no"]))
        assert record is not None
        assert record["portrait"] == shown
        assert "/9j/" not in json.dumps(record)
