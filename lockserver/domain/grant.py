"""An access grant: holder × door × capabilities × window, and a "permanent" one has no end.

A credential is cut from a grant and never reaches outside it. A grant that hangs under another lies inside
it, and follows it. An edit narrows unless it says in words that it widens; what an edit does not mention
is kept, never erased (L-46).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal
from uuid import UUID

from lockserver.domain.errors import GrantMissingError, NotAllowedError, WideningRefusedError
from lockserver.domain.grant_errors import GrantEndedError
from lockserver.domain.schedule import lies_in, narrowed
from lockserver.domain.times import Window
from lockserver.protocol.claims import Capability

GrantClass = Literal["owner", "staff", "tenant", "guest"]
GrantState = Literal["active", "frozen", "revoked"]

__all__ = ["KEEP", "Capability", "Edit", "Grant", "GrantClass", "GrantState", "Keep", "Reach"]


class Keep(Enum):
    """What an edit does not mention."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a right goes: when, which verbs, at which hours of the week (None: all)."""

    window: Window
    capabilities: int
    schedule: dict[str, object] | None = None

    def lies_in(self, other: "Reach") -> bool:
        """Tell whether no instant and no verb of it lies outside the other."""
        return (
            self.window.lies_in(other.window)
            and not self.capabilities & ~other.capabilities
            and lies_in(self.schedule, other.schedule)
        )

    def cut_to(self, other: "Reach") -> "Reach | None":
        """Return what lies in both, or None where nothing is left."""
        lower = max(self.window.lower, other.window.lower)
        uppers = [upper for upper in (self.window.upper, other.window.upper) if upper is not None]
        upper = min(uppers, default=None)
        capabilities = self.capabilities & other.capabilities
        schedule = narrowed(self.schedule, other.schedule)
        if (upper is not None and upper <= lower) or not capabilities:
            return None
        if schedule is not None and not schedule["windows"]:
            return None
        return Reach(Window(lower, upper), capabilities, schedule)


@dataclass(frozen=True, slots=True)
class Edit:
    """A partial change: what is `KEEP` stays as it is. Only `widen` lets it reach further than before."""

    lower: datetime | Keep = KEEP
    upper: datetime | Keep | None = KEEP
    capabilities: int | Keep = KEEP
    schedule: dict[str, object] | Keep | None = KEEP
    widen: bool = False

    def of(self, reach: Reach) -> Reach:
        """Return the reach with what is mentioned changed. Raises ValueError for a window turned around."""
        lower = reach.window.lower if isinstance(self.lower, Keep) else self.lower
        upper = reach.window.upper if isinstance(self.upper, Keep) else self.upper
        return Reach(
            Window(lower, upper),
            reach.capabilities if isinstance(self.capabilities, Keep) else self.capabilities,
            reach.schedule if isinstance(self.schedule, Keep) else self.schedule,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """A right at the server; the lock never sees it, only credentials cut from it.

    `wish_id`, `parent_id`, `guest_key`: guests and staff stand on a grantor's wish, under a grant of his,
    with one phone, named by SHA-256 of its signing key. `uses`: 1 for one opening. `bundle_id`: shared by
    what one wish gave at several doors.
    """

    id: UUID
    holder_id: UUID
    door_id: UUID
    class_: GrantClass
    capabilities: int
    lower: datetime
    upper: datetime | None
    state: GrantState = "active"
    schedule: dict[str, object] | None = None
    tenancy_id: UUID | None = None
    epoch: int | None = None
    revoked_at: datetime | None = None
    wish_id: UUID | None = None
    parent_id: UUID | None = None
    bundle_id: UUID | None = None
    uses: int | None = None
    guest_key: bytes | None = None
    frozen_at: datetime | None = None
    frozen_by: UUID | None = None

    @property
    def window(self) -> Window:
        """Return the grant's half-open window."""
        return Window(self.lower, self.upper)

    @property
    def reach(self) -> Reach:
        """Return how far it goes."""
        return Reach(self.window, self.capabilities, self.schedule)

    def lives(self, at: datetime) -> bool:
        """Tell whether the grant gives a right at this instant."""
        return self.state == "active" and self.window.holds(at)

    def conveys(self, capability: Capability, at: datetime) -> bool:
        """Tell whether the grant lives and holds this verb."""
        return self.lives(at) and bool(self.capabilities & capability)

    def revoked(self, at: datetime) -> "Grant":
        """Return the grant revoked; raises GrantMissingError where it already is."""
        if self.state == "revoked":
            raise GrantMissingError
        return replace(self, state="revoked", revoked_at=at, frozen_at=None, frozen_by=None)

    def frozen(self, at: datetime, by: UUID, ranks: Sequence[UUID]) -> "Grant":
        """Return it frozen; raises GrantEndedError.

        `ranks`: its holder, who gave it to him, who gave it to that one. A higher word takes the place of a
        lower one, and never the other way round: only who froze it thaws it.
        """
        if self.state == "revoked":
            raise GrantEndedError
        if self.frozen_by is not None and ranks.index(by) <= ranks.index(self.frozen_by):
            return self
        return replace(self, state="frozen", frozen_at=at, frozen_by=by)

    def unfrozen(self, by: UUID) -> "Grant":
        """Return it thawed; raises GrantEndedError, NotAllowedError for who did not freeze it."""
        if self.state == "revoked":
            raise GrantEndedError
        if self.state == "active":
            return self
        if self.frozen_by != by:
            raise NotAllowedError
        return replace(self, state="active", frozen_at=None, frozen_by=None)

    def reaching(self, reach: Reach) -> "Grant":
        """Return it with this reach."""
        return replace(
            self,
            lower=reach.window.lower,
            upper=reach.window.upper,
            capabilities=reach.capabilities,
            schedule=reach.schedule,
        )

    def edited(self, edit: Edit) -> "Grant":
        """Return the grant with what was mentioned changed, the rest kept.

        Raises WideningRefusedError where the result reaches further than before in time, verbs or hours
        and the edit does not say `widen`; GrantEndedError; ValueError for a window turned around.
        """
        if self.state == "revoked":
            raise GrantEndedError
        reach = edit.of(self.reach)
        if not edit.widen and not reach.lies_in(self.reach):
            raise WideningRefusedError(field=_wider(reach, self.reach), say="widen")
        return self.reaching(reach)


def _wider(reach: Reach, than: Reach) -> str:
    """Return the first member that reaches further."""
    if not reach.window.lies_in(than.window):
        return "window"
    return "capabilities" if reach.capabilities & ~than.capabilities else "schedule"


VERBS: Final[Mapping[str, Capability]] = {
    "unlock": Capability.UNLOCK,
    "hold_open": Capability.HOLD_OPEN,
    "lock": Capability.LOCK,
    "read_journal": Capability.READ_JOURNAL,
    "administer": Capability.ADMINISTER,
}
"""The words of the API. `entry` and `carry` are nobody's to give."""


def verbs_of(capabilities: int) -> list[str]:
    """Return the words for these capabilities."""
    return [word for word, bit in VERBS.items() if capabilities & bit]


def capabilities_of(words: Any) -> int | None:  # noqa: ANN401 - JSON
    """Return the bits of a list of words; None where it is no such list, or empty."""
    if not isinstance(words, list) or not words:
        return None
    if any(not isinstance(word, str) or word not in VERBS for word in words):
        return None
    bits = 0
    for word in words:
        bits |= int(VERBS[word])
    return bits
