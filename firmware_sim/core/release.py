"""Letting a lock go: by the issuer's signed order, or by ten seconds on the button of a vacant room.

First the lock says so (`retired`, in the journal of the door that it leaves), then it gives whoever can
carry that a little time, and then it forgets everything of that door, the bytes of its flash included.
What stays is what the factory made: identity, boot number, firmware and its counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firmware_sim.core.core import BOOT_KEY
from firmware_sim.core.events import IdentityChanged
from firmware_sim.core.firmware import KEPT
from lockserver.protocol.documents import ReleaseOrder, ReleaseReason
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import RELEASE_LIFE

if TYPE_CHECKING:
    from firmware_sim.core.core import Core
    from firmware_sim.core.held import Held

#: Milliseconds for the last reports: one connection of a phone, one reconnect to the broker.
LINGER_MS: Final = 10_000

_KEY: Final = "retiring"


def resume(core: Core) -> None:
    """After a power cut: a lock that had said `retired` goes on to forget."""
    if core.flash.get(_KEY) is not None:
        core.retire_at = core.at.mono + LINGER_MS


def obey(core: Core, held: Held, order: ReleaseOrder, how: How) -> None:
    """The issuer lets the lock go. RemoteError: EXPIRED (an order held back), OCCUPIED.

    While a tenancy lives only an emergency takes the lock from its door (law L-45). How old the order
    is, is judged by the floor too: a lost clock revives none.
    """
    latest = max(held.rtc.floor, core.now or 0)
    if latest >= order.iat + RELEASE_LIFE:
        raise RemoteError(Denial.EXPIRED, "an order held back")
    if held.occupied and order.reason is not ReleaseReason.EMERGENCY:
        raise RemoteError(Denial.OCCUPIED, "a tenancy lives here")
    _retire(core, how)


def held_button(core: Core) -> None:
    """Ten seconds on the button: a vacant room's lock is let go, every other says no.

    A shared door has no mark of its tenancies and its button is in the reach of everybody who lives
    behind it: it is released by its owner's order alone.
    """
    held = core.held
    if held is None or core.retire_at is not None:
        return
    if held.occupied or held.identity.shared:
        core.deny(How.BUTTON, Denial.OCCUPIED)
        return
    _retire(core, How.BUTTON)


def forget(core: Core) -> None:
    """Forget the door. The caller reboots: nothing of it is left in this object's memory either."""
    core.flash.wipe(KEPT | {BOOT_KEY})
    core.held = None
    core.retire_at = None
    core.emit(IdentityChanged())


def _retire(core: Core, how: How) -> None:
    if core.retire_at is None:
        core.journal(What.RETIRED, how, beside={_KEY: b"\xf5"})
        core.retire_at = core.at.mono + LINGER_MS
