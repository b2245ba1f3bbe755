"""Problem documents (RFC 9457): one table from a refusal's code to an HTTP status.

A refusal's code and sentence live in ``lockserver.domain.errors``; what HTTP adds stands here. A code
without a row is our mistake: it is answered as ``internal`` and logged, and a test compares both tables.
Steps of an identity case (``document.check_digit``, ``face.mismatch`` …) are no problems of a request:
they stand in the case resource as reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from lockserver.domain import errors

TYPE_PREFIX = "urn:lockserver:problem:"
MEDIA_TYPE = "application/problem+json"
UNAUTHENTICATED = 401

#: What only HTTP can refuse: code → sentence.
HTTP_MEANINGS: Mapping[str, str] = {
    "invalid_request": "The request does not have the shape that this route asks for.",
    "method_not_allowed": "This resource does not know that method.",
    "body_too_large": "The body is larger than this route takes.",
    "media_type": "This route does not take that media type.",
    "idempotency_key_invalid": "An Idempotency-Key has 16 to 128 visible ASCII characters.",
    "internal": "Something broke on our side; nothing was done.",
}

#: code → status. Append-only: clients branch on the code.
STATUS: Mapping[str, int] = {
    # HTTP's own
    "invalid_request": 422,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "media_type": 415,
    "idempotency_key_invalid": 400,
    "internal": 500,
    # asking
    "refused": 409,
    "not_found": 404,
    "not_allowed": 403,
    "invalid_input": 422,
    "conflict": 409,
    "integrity_refused": 409,
    "role_silent": 503,
    "role_failed": 503,
    # session
    "session_invalid": 401,
    "login_code_wrong": 401,
    "too_many_tries": 429,
    # once
    "idempotency_key_missing": 400,
    "idempotency_mismatch": 409,
    "idempotency_running": 409,
    # phone and wish
    "proof_invalid": 422,
    "phone_unknown": 409,
    "phone_taken": 409,
    "wish_invalid": 422,
    "wish_used": 409,
    "wish_expired": 409,
    # houses, tenancies, grants
    "window_invalid": 422,
    "room_taken": 409,
    "lease_order": 409,
    "room_full": 422,
    "not_a_room": 422,
    "guardian_missing": 422,
    "tenancy_ended": 409,
    "invite_invalid": 404,
    "grant_missing": 404,
    "widening_refused": 409,
    "schedule_invalid": 422,
    "schedule_zone": 422,
    "schedule_wide": 422,
    "capability_wide": 422,
    "grant_ended": 409,
    "guest_of_room": 409,
    "landlord_occupant": 422,
    # entry to an occupied room
    "entry_missing": 409,
    "entry_invalid": 422,
    "entry_too_often": 429,
    "room_vacant": 409,
    "tenant_protected": 409,
    "tenancy_lives": 409,
    # locks and commands
    "claim_refused": 422,
    "gateway_taken": 409,
    "no_button": 409,
    "lock_taken": 409,
    "lock_missing": 409,
    "credential_missing": 409,
    "command_refused": 409,
    "command_expired": 409,
    "step_illegal": 409,
    # PINs, cards, fingers
    "pin_length": 422,
    "pin_weak": 422,
    "pin_taken": 409,
    "slots_full": 409,
    "card_taken": 409,
    "pin_hour_full": 409,
    "window_past": 422,
    "window_wide": 422,
    "window_far": 422,
    "key_withheld": 409,
    "backup_missing": 409,
    "slot_gone": 409,
    # identity capture
    "consent_missing": 409,
    "case_state": 409,
    "seal_broken": 422,
    "image_too_large": 413,
    "image_unreadable": 422,
    "fields_differ": 409,
    "identifier_invalid": 422,
    "code_wrong": 409,
    "verdict_missing": 409,
    "attempts_exhausted": 409,
    "stay_invalid": 422,
    # duty and relay
    "duty_missing": 409,
    "duty_fulfilled": 409,
    "lease_lost": 409,
    # sealing
    "ciphertext_moved": 500,
}


def title(code: str) -> str:
    """Return the sentence of a code."""
    if code in HTTP_MEANINGS:
        return HTTP_MEANINGS[code]
    return errors.meanings()[code]


def document(code: str, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Build the body. No path, id or time goes in: the same refusal is the same bytes (L-35)."""
    return {
        **(facts or {}),
        "type": TYPE_PREFIX + code,
        "title": title(code),
        "status": STATUS[code],
        "code": code,
    }


def response(
    code: str, facts: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Answer with the problem of ``code``; a code outside the table is our mistake: ``internal``."""
    if code not in STATUS:
        code, facts = "internal", None
    extra = dict(headers or {})
    if STATUS[code] == UNAUTHENTICATED:
        extra.setdefault("WWW-Authenticate", "Bearer")  # RFC 9110 §11.6.1
    if facts and "retry_after_s" in facts:
        extra.setdefault("Retry-After", str(facts["retry_after_s"]))
    return JSONResponse(
        document(code, facts),
        status_code=STATUS[code],
        media_type=MEDIA_TYPE,
        headers=extra,
    )
