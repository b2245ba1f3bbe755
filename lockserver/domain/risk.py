"""A tenant who may soon stand outside."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Risk:
    """His newest key to his room ends at `until`, which may be past."""

    holder_id: UUID
    house_id: UUID
    door_id: UUID
    door_name: str
    grant_id: UUID
    credential_id: UUID
    until: datetime
