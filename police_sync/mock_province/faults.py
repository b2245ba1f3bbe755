"""Faults on order: the province misbehaves exactly as often as the control door asked.

Faults of the door (`BEFORE`) answer without letting the call in; faults of the answer (`AFTER`) let
the call be carried out and spoil what comes back. `share` below 1 picks calls by a seeded generator.
"""

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from police_sync.mock_province import canonical
from police_sync.mock_province.keys import KeyRing, ReceiptKey

FaultKind = Literal[
    "drop_request", "html_503", "maintenance", "quota", "redirect", "clock_skew",
    "drop_reply", "slow", "drip", "malformed", "wrong_json", "html_200", "too_long",
    "forged_receipt", "wrong_digest", "stale_key",
]  # fmt: skip

BEFORE = frozenset({"drop_request", "html_503", "maintenance", "quota", "redirect", "clock_skew"})
_TAMPERING = frozenset({"forged_receipt", "wrong_digest", "stale_key"})


class FaultOrder(BaseModel):
    """One order at the control door."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    times: int | None = Field(default=1, ge=1, description="how often; null: until it is cleared")
    method: Literal["GET", "PUT", "POST"] | None = None
    client_no: str | None = Field(default=None, description="only calls about this registration")
    delay_s: float = Field(default=5.0, ge=0, le=600, description="slow: before the answer; drip: a byte")
    retry_after_s: int | None = Field(default=None, ge=0, description="quota, maintenance, html_503")
    share: float = Field(default=1.0, gt=0, le=1, description="of the calls that match")
    seed: int = 0


@dataclass(slots=True)
class ArmedFault:
    """An order and what is left of it."""

    fault_id: int
    order: FaultOrder
    left: int | None
    chance: random.Random
    struck: int = 0

    def strikes(self, method: str, client_no: str | None) -> bool:
        """Whether this call is hit; uses the order up."""
        order = self.order
        if self.left == 0 or order.method not in {None, method}:
            return False
        if order.client_no is not None and order.client_no != client_no:
            return False
        if order.share < 1 and self.chance.random() >= order.share:
            return False
        self.left = None if self.left is None else self.left - 1
        self.struck += 1
        return True


@dataclass(slots=True)
class FaultPlan:
    """All orders, oldest first."""

    armed: list[ArmedFault] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def order(self, order: FaultOrder) -> ArmedFault:
        """Take an order."""
        chance = random.Random(order.seed)  # noqa: S311 - replayable chaos, nothing secret
        fault = ArmedFault(next(self._ids), order, order.times, chance)
        self.armed.append(fault)
        return fault

    def strike(self, method: str, client_no: str | None) -> FaultOrder | None:
        """The fault for this call, if any."""
        return next((f.order for f in self.armed if f.strikes(method, client_no)), None)

    def clear(self, fault_id: int | None = None) -> int:
        """Withdraw one order or all; how many."""
        kept = [f for f in self.armed if fault_id is not None and f.fault_id != fault_id]
        gone = len(self.armed) - len(kept)
        self.armed = kept
        return gone


@dataclass(slots=True)
class Answer:
    """A whole HTTP answer, before it leaves."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, status: int, content_type: str, body: bytes, **headers: str) -> "Answer":
        """An answer of our making."""
        listed = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
        extra = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        return cls(status, listed + extra, body)

    def with_body(self, body: bytes, content_type: str | None = None) -> "Answer":
        """The same with another body."""
        kept = content_type or dict(self.headers).get(b"content-type", b"").decode()
        return Answer.of(self.status, kept, body)


def answer_before(order: FaultOrder) -> Answer:
    """What a fault of the door answers; `drop_request` never gets here."""
    retry = {} if order.retry_after_s is None else {"retry_after": str(order.retry_after_s)}
    match order.kind:
        case "html_503":
            page = "<html><body><h1>503</h1><p>系统繁忙,请稍后再试</p></body></html>".encode()
            return Answer.of(503, "text/html; charset=utf-8", page, **retry)
        case "redirect":
            return Answer.of(302, "text/html", b"", location="/login")
        case "maintenance":
            return problem_answer(503, "maintenance", None, **retry)
        case "quota":
            return problem_answer(429, "quota", None, **retry)
        case _:
            return problem_answer(401, "stale_timestamp")


def problem_answer(
    status: int, code: str, errors: list[dict[str, str]] | None = None, **headers: str
) -> Answer:
    """A problem document of the contract."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
    }
    if errors:
        document["errors"] = errors
    return Answer.of(status, "application/problem+json", canonical.dump(document), **headers)


async def spoil(order: FaultOrder, answer: Answer, ring: KeyRing) -> Answer:
    """`answer` as this fault lets it leave (drops and drips are the gate's)."""
    match order.kind:
        case "slow":
            await asyncio.sleep(order.delay_s)
            return answer
        case "malformed":
            return answer.with_body(answer.body[: len(answer.body) // 2])
        case "wrong_json":
            return answer.with_body(b'{"result":"ok"}')
        case "html_200":
            return answer.with_body(b"<html><body>OK</body></html>", "text/html; charset=utf-8")
        case "too_long":
            return answer.with_body(answer.body[:-1] + b" " * (4 << 20) + b"}")
        case kind if kind in _TAMPERING:
            document = canonical.load(answer.body)
            return answer.with_body(canonical.dump(tamper(kind, document, ring)))
        case _:
            return answer


def tamper(kind: str, document: dict[str, Any], ring: KeyRing) -> dict[str, Any]:
    """A receipt made wrong in one way; inside a state document, every receipt is."""
    if document.get("type") == "state":
        receipts = [tamper(kind, receipt, ring) for receipt in document["receipts"]]
        return ring.current.sign({**document, "receipts": receipts})
    if document.get("type") != "receipt":
        return document
    match kind:
        case "forged_receipt":
            stranger = ReceiptKey(ReceiptKey.new().private, ring.current.key_id)
            return stranger.sign(document)
        case "wrong_digest":
            other = canonical.digest({"another": document["client_no"]})
            return ring.current.sign({**document, "content_digest": other})
        case _:
            return ring.retired.sign(document)
