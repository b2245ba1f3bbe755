"""What a reply means: pure, total, and suspicious. Any bytes give an Outcome, never an exception."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from police_sync.relay import contract
from police_sync.relay.client import Reply
from police_sync.relay.filing import Filing, NotJsonError, Sent, parse
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
    ReceiptForged,
    Refused,
)
from police_sync.relay.receipts import NOT_OF_ITS_FORM, Forged, PinnedKeys, check_receipt, check_state

_CERTAIN = frozenset(
    {"quota", "maintenance", "stale_timestamp", "replayed_nonce", "unknown_key", "bad_signature"}
)
"""Refusals at the province's door that pass: they concern the call, not the filing."""

_CONFLICTS = frozenset({"conflict", "version_not_ascending", "closed"})


def classify_delivery(reply: Reply, filing: Filing, pins: PinnedKeys, now: datetime) -> Outcome:
    """What the answer to a delivery means."""
    document = _document(reply, now)
    if isinstance(document, Outcome):
        return document
    if reply.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return _problem(reply, document, now)
    receipt = check_receipt(
        document,
        type_="receipt",
        client_no=filing.client_no,
        version=filing.version,
        sent=Sent(filing.kind, filing.content_digest),
        pins=pins,
        now=now,
    )
    if isinstance(receipt, Forged):
        if receipt.reason == NOT_OF_ITS_FORM:
            return Malformed("not_a_receipt")
        return ReceiptForged(receipt.reason)
    return Accepted(receipt=receipt)


def classify_answer(
    reply: Reply,
    client_no: str,
    version: int,
    sent: Mapping[int, Sent],
    pins: PinnedKeys,
    now: datetime,
) -> Outcome:
    """What the answer to "do you hold `version` of `client_no`?" means.

    `Found.receipt` is the receipt of that version; a state document that holds is in `verdict`.
    """
    document = _document(reply, now)
    if isinstance(document, Outcome):
        return document
    if reply.status != HTTPStatus.OK:
        if reply.status == HTTPStatus.NOT_FOUND and document.get("code") == "unknown_client_no":
            return NotThere("unknown_client_no")
        return _problem(reply, document, now)
    verdict = check_state(document, client_no=client_no, sent=sent, pins=pins, now=now)
    if isinstance(verdict, Forged):
        if verdict.reason == NOT_OF_ITS_FORM:
            return Malformed("not_a_state")
        return ReceiptForged(verdict.reason)
    receipt = verdict.receipt_for(version)
    if receipt is not None:
        return Found(verdict=verdict, receipt=receipt)
    if verdict.version > version:
        return Conflict("version_passed")
    return NotThere("version_unknown")


def _document(reply: Reply, now: datetime) -> dict[str, Any] | Outcome:
    """The reply's JSON object, or what a reply without one means."""
    if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
        return Malformed("redirect")
    sick = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Ill("quota", _retry_after(reply, now), certain=True)
    good = reply.status in {HTTPStatus.OK, HTTPStatus.CREATED}
    expected = "application/json" if good else "application/problem+json"
    fault: str | None = None
    if reply.too_long:
        fault = "too_long"
    elif reply.encoded:
        fault = "encoded"
    elif reply.content_type.partition(";")[0].strip().lower() != expected:
        fault = "content_type"
    else:
        try:
            document = parse(reply.body)
        except NotJsonError:
            fault = "not_json"
        else:
            if good or not contract.faults("problem", document):
                return document
            fault = "not_a_problem"
    if sick:
        # Whatever stands in front of the province may speak for it: the filing may be inside.
        return Ill(f"http_{reply.status}", _retry_after(reply, now))
    return Malformed(fault)


def _problem(reply: Reply, problem: dict[str, Any], now: datetime) -> Outcome:
    code = str(problem.get("code"))
    if contract.faults("problem", problem):
        return Malformed("not_a_problem")
    if code in _CERTAIN:
        return Ill(code, _retry_after(reply, now), certain=True)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Ill(f"http_{reply.status}", _retry_after(reply, now))
    if code == "fields_refused" and problem.get("errors"):
        returns = tuple(FieldReturn(e["field"], e["code"]) for e in problem["errors"])
        if all(fault.field in contract.repairable_fields() for fault in returns):
            return FieldsReturned(returns=returns)
        # Not a field that a tenant could mend: the fault is ours, a person must look.
        return Refused(f"fields_refused:{returns[0].code}:{returns[0].field}")
    if code in _CONFLICTS:
        return Conflict(code)
    return Refused(code)


def _retry_after(reply: Reply, now: datetime) -> int | None:
    """Seconds asked for by Retry-After (RFC 9110 §10.2.3), or None when absent or nonsense."""
    text = (reply.retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        return max(0, int((parsedate_to_datetime(text) - now).total_seconds()))
    except (TypeError, ValueError):
        return None
