"""Revocation debt of a lock: what could still open it although the server says that it must not (L-08)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lockserver.domain.grant import GrantClass

DebtKind = Literal["credential", "former_key", "pin", "card", "finger", "offline_pin", "activation"]
Payment = Literal["connect_lock", "visit_by_phone", "next_tenancy", "clear_code", "wait"]


@dataclass(frozen=True, slots=True)
class Debt:
    """One thing that could still open the lock, until then at the longest.

    `mark` names it among its kind and is shown to nobody; `epoch`: a higher one at the lock ends it.
    """

    kind: DebtKind
    mark: str
    class_: GrantClass
    until: datetime
    epoch: int | None = None


def ways_to_pay(debts: Sequence[Debt]) -> list[Payment]:
    """Return what would pay all of it, the surest first; nothing to pay, nothing to do."""
    if not debts:
        return []
    ways: list[Payment] = []
    kinds = {debt.kind for debt in debts}
    if kinds - {"offline_pin", "activation"}:
        # Lists and access states travel; what the keypad computes by itself is in neither.
        ways += ["connect_lock", "visit_by_phone"]
    if all(debt.epoch is not None for debt in debts):
        ways.append("next_tenancy")
    if kinds & {"offline_pin", "activation"}:
        ways.append("clear_code")
    return [*ways, "wait"]
