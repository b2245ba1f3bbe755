"""What the relay reads from the network: any bytes give an outcome, and only the contract's count."""

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from police_sync.mock_province import canonical as province_canonical
from police_sync.mock_province import rulebook
from police_sync.mock_province.keys import KeyRing, ReceiptKey, signature_holds
from police_sync.relay import contract
from police_sync.relay.classify import classify_answer, classify_delivery
from police_sync.relay.client import Reply
from police_sync.relay.fieldgate import GateRefusedError, field_names, pass_gate
from police_sync.relay.filing import Filing, Kind, NotJsonError, Sent, canonical, parse
from police_sync.relay.outcomes import (
    Accepted,
    Conflict,
    FieldReturn,
    FieldsReturned,
    Found,
    Ill,
    Malformed,
    NotThere,
    Outcome,
    Receipt,
    ReceiptForged,
    Refused,
)
from police_sync.relay.receipts import Forged, PinnedKeys, check_receipt, check_state

EXAMPLES = resources.files("police_sync") / "contract" / "examples"
NOW = datetime(2026, 3, 2, 2, 3, 30, tzinfo=UTC)


def example(name: str) -> dict[str, Any]:
    document = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


PINS = PinnedKeys.from_json((EXAMPLES / "keys.json").read_bytes())
BODY = example("registration")
FILING = pass_gate(json.dumps(BODY).encode(), client_no=BODY["client_no"], version=1, kind=Kind.REGISTER)
SENT = {1: Sent(Kind.REGISTER, FILING.content_digest)}


def reply(document: object, status: int = 201, content_type: str = "application/json") -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status, content_type, encoded=False, retry_after=None, body=body)


def delivered(answer: Reply) -> Outcome:
    return classify_delivery(answer, FILING, PINS, NOW)


def answered(answer: Reply, version: int = 1, sent: dict[int, Sent] | None = None) -> Outcome:
    return classify_answer(answer, FILING.client_no, version, sent or SENT, PINS, NOW)


# ---- the contract itself
@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir(), key=str), ids=lambda p: p.name)
def test_every_example_conforms_for_both_readers(path: Any) -> None:
    name = path.name.removesuffix(".json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert contract.faults(name, document) == []
    assert rulebook.fields_at_fault(name, document) == []


def test_every_schema_has_an_example() -> None:
    folder = resources.files("police_sync") / "contract"
    schemas = {p.name.removesuffix(".schema.json") for p in folder.iterdir() if ".schema" in p.name}
    examples = {p.name.removesuffix(".json") for p in EXAMPLES.iterdir()}
    assert schemas - {"fields"} == examples


def test_every_object_is_closed() -> None:
    """L-48: a schema that tolerates more would let more leave."""

    def walk(node: object, where: str) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert node.get("additionalProperties") is False, where
            for key, value in node.items():
                walk(value, f"{where}/{key}")
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{where}/{index}")

    for path in (resources.files("police_sync") / "contract").iterdir():
        if path.name.endswith(".schema.json"):
            walk(json.loads(path.read_text(encoding="utf-8")), path.name)


def test_each_return_code_names_a_field_of_the_contract() -> None:
    reasons = {"change_reason", "departure_reason", "withdrawal_reason", "body"}
    for code, entry in rulebook.return_codes().items():
        assert entry["field"] in contract.repairable_fields() | reasons, code


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(texts.filter(str.isascii), values, max_size=5))
def test_both_sides_write_the_same_canonical_form(document: dict[str, Any]) -> None:
    try:
        ours = canonical(document)
    except NotJsonError:
        with pytest.raises(UnicodeEncodeError):
            province_canonical.dump(document)
        return
    assert ours == province_canonical.dump(document)
    assert parse(ours) == document


@pytest.mark.parametrize(
    "bad",
    [b"", b"[]", b"1", b'"x"', b"{", b'{"a":1.5}', b'{"a":NaN}', b'{"a":1,"a":1}', b"\xff{}",
     b'{"a":' + b"[" * 100_000, b'{"a":1e3}'],
)  # fmt: skip
def test_what_is_not_the_contracts_json(bad: bytes) -> None:
    with pytest.raises(NotJsonError):
        parse(bad)


def test_relay_and_province_sign_alike() -> None:
    key = ReceiptKey.new()
    message = b"POLICE-1 receipt\nx"
    point = json.loads(_published(key))["keys"][0]["public_key"]
    assert signature_holds(point, key.raw_signature(message), message)
    pins = PinnedKeys.from_json(_published(key))
    assert pins.check(key.key_id, key.raw_signature(message), message, datetime.now(UTC)) is None


def _published(key: ReceiptKey) -> bytes:
    import tempfile
    from pathlib import Path

    from police_sync.mock_province.keys import publish

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        publish(path, KeyRing(key, ReceiptKey.new()), datetime.now(UTC))
        return path.read_bytes()


# ---- receipts
def test_the_example_receipt_holds() -> None:
    outcome = delivered(reply(example("receipt")))
    assert isinstance(outcome, Accepted)
    assert outcome.receipt is not None
    assert json.loads(outcome.receipt.raw) == example("receipt"), "kept verbatim"
    assert isinstance(answered(reply(example("state"), 200)), Found)


def checked(document: dict[str, Any], now: datetime = NOW, **rest: Any) -> Receipt | Forged:
    asked: dict[str, Any] = {
        "type_": "receipt",
        "client_no": FILING.client_no,
        "version": 1,
        "sent": SENT[1],
        "pins": PINS,
        "now": now,
    }
    return check_receipt(document, **{**asked, **rest})


def test_L25_a_receipt_counts_for_nothing_else() -> None:
    good = example("receipt")
    assert isinstance(checked(good), Receipt)
    other = Sent(Kind.REGISTER, "sha-256:" + "0" * 64)
    assert checked(good, sent=other) == Forged("other_payload")
    assert checked(good, sent=Sent(Kind.CHANGE, SENT[1].content_digest)) == Forged("other_kind")
    assert checked(good, client_no="f" * 32) == Forged("other_client_no")
    assert checked(good, version=2) == Forged("other_version")
    assert checked(good, type_="voucher") == Forged("schema")
    assert checked(good, now=NOW - timedelta(days=90)) == Forged("key_not_in_force")
    assert checked(good, now=NOW - timedelta(hours=1)) == Forged("from_the_future")
    assert checked({**good, "key_id": "p-0000"}) == Forged("key_unknown")


@pytest.mark.parametrize("name", sorted(set(example("receipt")) - {"type"}))
def test_L25_every_field_of_a_receipt_is_under_its_signature(name: str) -> None:
    good = example("receipt")
    tampered: dict[str, Any] = {
        "receipt_no": "SL20260302-0000000009",
        "client_no": "f" * 36,
        "version": 2,
        "kind": "change",
        "content_digest": "sha-256:" + "0" * 64,
        "received_at": "2026-03-02T02:03:05Z",
        "key_id": "p-0000",
        "signature": "A" * 86,
    }
    assert isinstance(checked({**good, name: tampered[name]}), Forged)


def test_L25_a_state_is_held_to_every_receipt_inside() -> None:
    state = example("state")

    def check(sent: dict[int, Sent], document: dict[str, Any] = state) -> object:
        return check_state(document, client_no=FILING.client_no, sent=sent, pins=PINS, now=NOW)

    assert not isinstance(check(SENT), Forged)
    assert check({}) == Forged("version_never_sent")
    assert check({1: Sent(Kind.REGISTER, "sha-256:" + "0" * 64)}) == Forged("other_payload")
    assert check(SENT, {**state, "state": "DEPARTED"}) == Forged("signature")
    assert check(SENT, {**state, "seq": 99}) == Forged("signature")


def test_pinned_keys_must_be_keys() -> None:
    good = example("keys")
    for bad in (b"{}", b"x", json.dumps({**good, "more": 1}).encode()):
        with pytest.raises(ValueError, match=r".*"):
            PinnedKeys.from_json(bad)
    off_curve = {**good["keys"][0], "public_key": "B" + "A" * 86}
    with pytest.raises(ValueError, match=r".*"):
        PinnedKeys.from_json(json.dumps({"keys": [off_curve]}).encode())


# ---- replies
PROBLEM = "application/problem+json"


def problem(status: int, code: str, *errors: tuple[str, str]) -> Reply:
    document: dict[str, Any] = {"title": code, "status": status, "code": code}
    if errors:
        document["errors"] = [{"field": field, "code": c} for field, c in errors]
    return reply(document, status, PROBLEM)


DELIVERIES: list[tuple[str, Reply, Outcome]] = [
    ("redirect", reply(b"", 302, "text/html"), Malformed("redirect")),
    ("html", reply(b"<html>", 200, "text/html"), Malformed("content_type")),
    ("html 503", reply(b"<html>", 503, "text/html"), Ill("http_503")),
    ("json 500", problem(500, "maintenance"), Ill("maintenance", certain=True)),
    ("gateway", reply(b"{}", 502, "application/json"), Ill("http_502")),
    ("429", reply(b"busy", 429, "text/plain"), Ill("quota", certain=True)),
    ("404", problem(404, "unknown_client_no"), Refused("unknown_client_no")),
    ("html 404", reply(b"<html>", 404, "text/html"), Malformed("content_type")),
    ("409", problem(409, "conflict"), Conflict("conflict")),
    ("lower", problem(409, "version_not_ascending"), Conflict("version_not_ascending")),
    ("skew", problem(401, "stale_timestamp"), Ill("stale_timestamp", certain=True)),
    ("field", problem(422, "fields_refused", ("phone", "E901")),
     FieldsReturned(returns=(FieldReturn("phone", "E901"),))),
    ("our fault", problem(422, "fields_refused", ("body", "E901")),
     Refused("fields_refused:E901:body")),
    ("no fields", problem(422, "fields_refused"), Refused("fields_refused")),
    ("strange problem", reply({"code": "x"}, 400, PROBLEM), Malformed("not_a_problem")),
    ("state for receipt", reply(example("state")), Malformed("not_a_receipt")),
    ("half", reply(json.dumps(example("receipt")).encode()[:-9]), Malformed("not_json")),
    ("204", reply(b"", 204, "application/json"), Malformed("content_type")),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "expected"), [d[1:] for d in DELIVERIES],
                         ids=[d[0] for d in DELIVERIES])  # fmt: skip
def test_what_a_reply_to_a_delivery_means(answer: Reply, expected: Outcome) -> None:
    assert delivered(answer) == expected


def test_what_a_reply_to_a_question_means() -> None:
    assert answered(problem(404, "unknown_client_no")) == NotThere("unknown_client_no")
    assert answered(reply(b"<html>", 404, "text/html")) == Malformed("content_type")
    assert answered(problem(404, "not_found")) == Refused("not_found")
    held = reply(example("state"), 200)
    two = {**SENT, 2: Sent(Kind.CHANGE, "sha-256:" + "1" * 64)}
    assert answered(held, version=2, sent=two) == NotThere("version_unknown")
    assert answered(held, version=0) == Conflict("version_passed")
    assert answered(held, sent={1: Sent(Kind.REGISTER, "x")}) == ReceiptForged("other_payload")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("Mon, 02 Mar 2026 02:04:30 GMT", 60), ("-5", None), ("soon", None), ("", None),
     ("٣", None), ("9" * 40, 999_999_999), ("Mon, 02 Mar 1926 02:04:30 GMT", 0)],
)  # fmt: skip
def test_retry_after(text: str, seconds: int | None) -> None:
    outcome = delivered(Reply(429, "text/plain", encoded=False, retry_after=text, body=b""))
    assert isinstance(outcome, Ill)
    assert outcome.retry_after_s == seconds


replies = st.builds(
    Reply,
    status=st.integers(100, 599),
    content_type=st.sampled_from(["application/json", PROBLEM, "text/html", "", "application/JSON;x"]),
    encoded=st.booleans(),
    retry_after=st.none() | st.text(max_size=30),
    body=st.binary(max_size=200)
    | values.map(lambda v: json.dumps(v).encode())
    | st.dictionaries(st.sampled_from(sorted(example("state"))), values).map(
        lambda v: json.dumps({**example("state"), **v}).encode()
    )
    | st.dictionaries(st.sampled_from(sorted(example("receipt"))), values).map(
        lambda v: json.dumps({**example("receipt"), **v}).encode()
    ),
    too_long=st.booleans(),
)


@given(replies)
def test_any_reply_gives_an_outcome_and_never_a_false_receipt(answer: Reply) -> None:
    outcome = delivered(answer)
    assert isinstance(outcome, Outcome)
    if isinstance(outcome, Accepted):
        assert parse(answer.body) == example("receipt")
    found = answered(answer)
    assert isinstance(found, Outcome)
    if isinstance(found, Found):
        assert parse(answer.body) == example("state")


# ---- the gate
def test_the_gate_names_fields_and_no_values() -> None:
    change = example("change")
    filing = pass_gate(
        json.dumps(change).encode(), client_no=change["client_no"], version=2, kind=Kind.CHANGE
    )
    assert isinstance(filing, Filing)
    assert "occupation_code" in filing.fields
    assert "changes" not in filing.fields
    assert field_names(Kind.REGISTER, BODY) == tuple(sorted(BODY))


@pytest.mark.parametrize(
    ("opened", "reason"),
    [
        (b"{", "body_not_json"),
        (b" " * 300_000, "body_too_large"),
        (json.dumps({**BODY, "phone": "x"}).encode(), "schema:phone:pattern"),
        (json.dumps({**BODY, "birth_date": "1990-02-30"}).encode(), "schema:birth_date:format"),
        (json.dumps({**BODY, "version": 3}).encode(), "body_of_another_row"),
        (json.dumps({**BODY, "client_no": "f" * 36}).encode(), "body_of_another_row"),
        (json.dumps({**BODY, "step": 1}).encode(), "schema:body:additionalProperties"),
        (json.dumps({**BODY, "name": "\ud800"}).encode(), "body_not_json"),
    ],
)
def test_the_gate_refuses(opened: bytes, reason: str) -> None:
    with pytest.raises(GateRefusedError) as refused:
        pass_gate(opened, client_no=BODY["client_no"], version=1, kind=Kind.REGISTER)
    assert refused.value.reason == reason
