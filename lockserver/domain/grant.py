"""An access grant: holder × door × capabilities × window, and a "permanent" one has no end.

A credential is cut from a grant and never reaches outside it. An edit narrows unless it says in
words that it widens; what an edit does not mention is kept, never erased (L-46).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from lockserver.domain.errors import GrantMissingError, WideningRefusedError
from lockserver.domain.times import Window
from lockserver.protocol.claims import Capability

GrantClass = Literal["owner", "staff", "tenant", "guest"]
GrantState = Literal["active", "frozen", "revoked"]

__all__ = ["Capability", "Grant", "GrantClass", "GrantState"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A right at the server; the lock never sees it, only credentials cut from it."""

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

    @property
    def window(self) -> Window:
        """Return the grant's half-open window."""
        return Window(self.lower, self.upper)

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
        return replace(self, state="revoked", revoked_at=at)

    def edited(
        self,
        *,
        window: Window | None = None,
        capabilities: int | None = None,
        widen: bool = False,
    ) -> "Grant":
        """Return the grant with what was named changed, the rest kept.

        Raises WideningRefusedError where the result reaches further than before in time or verbs
        and the caller did not say `widen`.
        """
        new_window = self.window if window is None else window
        new_verbs = self.capabilities if capabilities is None else capabilities
        wider = not new_window.lies_in(self.window) or bool(new_verbs & ~self.capabilities)
        if wider and not widen:
            raise WideningRefusedError
        return replace(self, lower=new_window.lower, upper=new_window.upper, capabilities=new_verbs)
