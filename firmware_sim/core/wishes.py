"""Holders' wishes, each obeyed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lockserver.protocol.access import Operation
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.limits import COMMAND_LIFE, REQUEST_SKEW
from lockserver.protocol.wish import Wish, WishOperation, read_wish

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash
    from firmware_sim.core.held import Record
    from lockserver.protocol.credential import Credential

#: How far ahead a wish may end, seconds: a phone's clock is set by nobody we trust.
AHEAD: Final = COMMAND_LIFE + REQUEST_SKEW
#: Wishes remembered; each is forgotten after its `not_after`, so this is one every five seconds.
REMEMBERED: Final = 64

_PREFIX: Final = "wish."
_WISHES: Final = {
    Operation.UNLOCK: WishOperation.UNLOCK,
    Operation.LOCK: WishOperation.LOCK,
    Operation.HOLD_OPEN: WishOperation.HOLD_OPEN,
    Operation.CAPTURE: WishOperation.ENROL_CARD,
}


@dataclass(slots=True)
class Wishes:
    """The wishes that one lock has obeyed, in flash."""

    flash: Flash

    def read(self, raw: bytes, by: Credential, operation: Operation, lock_id: bytes, latest: float) -> Wish:
        """A wish of the credential's holder for this lock, operation and time, not yet used.

        `latest`: the latest that it can be now, Unix seconds. RemoteError: WISH_BAD, WISH_EXPIRED,
        WISH_USED, BACK_OFF (too many to remember).
        """
        wish = read_wish(raw, by.claims.holder_public)
        if wish.target_id != lock_id or wish.operation is not _WISHES[operation]:
            raise RemoteError(Denial.WISH_BAD, "for another door, or another act")
        if latest > wish.not_after:
            raise RemoteError(Denial.WISH_EXPIRED, f"{wish.not_after}")
        if wish.not_after > latest + AHEAD:
            raise RemoteError(Denial.WISH_BAD, "ends too far ahead")
        if self.flash.get(_key(wish)) is not None:
            raise RemoteError(Denial.WISH_USED, wish.wish_id.hex())
        if len(self._alive(latest)) >= REMEMBERED:
            raise RemoteError(Denial.BACK_OFF, "too many wishes at once")
        return wish

    def record(self, wish: Wish, latest: float) -> Record:
        """What to put into flash before the wish is obeyed; what has expired is forgotten."""
        alive = self._alive(latest)
        keys = (key for key in self.flash.names() if key.startswith(_PREFIX))
        forgotten: Record = {key: None for key in keys if key not in alive}
        return forgotten | {_key(wish): encode(wish.not_after)}

    def _alive(self, latest: float) -> set[str]:
        alive = set()
        for key in self.flash.names():
            if key.startswith(_PREFIX):
                not_after = decode(self.flash.get(key) or b"\x00")
                if isinstance(not_after, int) and not_after >= latest - REQUEST_SKEW:
                    alive.add(key)
        return alive


def _key(wish: Wish) -> str:
    return f"{_PREFIX}{wish.wish_id.hex()}"
