"""The gate through which every outgoing body passes: the published fields and nothing else (L-48).

The last check before the network. It runs in the relay although the body was checked when it was
sealed, because whoever writes outbox rows is another role, and what left cannot be taken back.
"""

from typing import Any

from police_sync.relay.contract import body_faults
from police_sync.relay.filing import (
    BODY_LIMIT,
    Filing,
    Kind,
    NotJsonError,
    canonical,
    content_digest,
    parse,
)


class GateRefusedError(Exception):
    """The body may not leave. `reason` names fields and rules, never values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def field_names(kind: Kind, body: dict[str, Any]) -> tuple[str, ...]:
    """The names of what leaves, for the attempt's record and the tenant's ledger."""
    names = set(body)
    if kind is Kind.CHANGE:
        names = (names - {"changes"}) | set(body["changes"])
    return tuple(sorted(names))


def pass_gate(opened: bytes, *, client_no: str, version: int, kind: Kind) -> Filing:
    """The filing in `opened`, in the form in which it leaves.

    Raises:
        GateRefusedError: not the contract's JSON, not exactly the fields of its kind, or not the
            row that it was sealed for.

    """
    if len(opened) > BODY_LIMIT:
        raise GateRefusedError("body_too_large")
    try:
        body = parse(opened)
        wire = canonical(body)
    except NotJsonError:
        raise GateRefusedError("body_not_json") from None
    if faults := body_faults(kind, body):
        raise GateRefusedError("schema:" + ",".join(str(fault) for fault in faults[:8]))
    if body["client_no"] != client_no or body["version"] != version:
        raise GateRefusedError("body_of_another_row")
    return Filing(client_no, version, kind, wire, content_digest(wire), field_names(kind, body))
