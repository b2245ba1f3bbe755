"""Duties as facts; their clocks are in `lockserver.domain.statutes`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

DutyKind = Literal["arrival", "departure"]
Requirement = Literal["required", "exempt"]
DutyState = Literal["open", "filed", "fulfilled"]


@dataclass(frozen=True, slots=True)
class Duty:
    """What the law asks for one occupant, by which rule in which version, and until when."""

    id: UUID
    tenancy_id: UUID
    holder_id: UUID
    kind: DutyKind
    requirement: Requirement
    rule_id: str
    rule_version: str
    due_at: datetime
    provisional: bool
    state: DutyState = "open"
    exempt_code: str | None = None
    fulfilled_at: datetime | None = None
