"""Keypad, card reader and finger reader: whether what was keyed, held up or touched opens the door.

The lock decides by its signed access state (slots), by its door seed (offline PINs) and by its clock;
nobody needs to be reachable. An opening goes through the same motor queue as every other, so a power cut
moves the bolt once at most. Whatever does not open counts as a failure, whether nothing fits or what
fits is over: a refusal tells a guesser nothing. The search looks at every slot and every offline PIN
that could be keyed now, whether or not one has matched.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from firmware_sim.core.acts import Act, Acts, Done
from firmware_sim.core.events import KeypadAnswer, Sign
from firmware_sim.core.lockout import Lockout
from firmware_sim.core.reader import named
from lockserver.protocol.access import Denied, Granted, Operation, Verdict
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import How, What
from lockserver.protocol.keyed import decide_pin, decide_slot
from lockserver.protocol.limits import PIN_DIGITS, PIN_LEAST
from lockserver.protocol.pin import OfflinePin, PinCode, candidates, offline_subject, search, verifier
from lockserver.protocol.reports import Captured, CapturedKind
from lockserver.protocol.slots import SlotKind

if TYPE_CHECKING:
    from firmware_sim.core.core import Core
    from firmware_sim.core.held import Held
    from firmware_sim.core.server import Server
    from lockserver.protocol.claims import HolderClass

#: Bytes of a card's number; a reader hands over nothing longer.
UID: Final = 32
#: Bytes of a finger's template number.
TEMPLATE: Final = 16

_HOW: Final = {SlotKind.PIN: How.PIN, SlotKind.CARD: How.CARD, SlotKind.FINGER: How.FINGER}
_CAPTURED: Final = {SlotKind.CARD: CapturedKind.CARD, SlotKind.FINGER: CapturedKind.FINGER}


@dataclass(frozen=True, slots=True)
class _Fit:
    """Something held here that fits what was given. `subject`: as it stands in the journal."""

    subject: int
    holder_class: HolderClass
    verdict: Verdict
    pin: OfflinePin | None = None


class Keypad:
    """The keypad and the readers of one lock."""

    def __init__(self, core: Core, acts: Acts, server: Server) -> None:
        self._core = core
        self._acts = acts
        self._server = server
        self._lockouts = {kind: Lockout(core.flash, kind.value, core.at.mono) for kind in SlotKind}
        self._unseen = dict.fromkeys(SlotKind, 0)
        """Entries during the pause that is on, the first one not counted: that is journalled at once."""

    @property
    def deadline(self) -> int | None:
        """Milliseconds since boot at which to look again."""
        times = [self._core.capture.deadline, *(lockout.deadline for lockout in self._lockouts.values())]
        return min((t for t in times if t is not None), default=None)

    def tick(self) -> None:
        """Look at the timers."""
        mono = self._core.at.mono
        self._core.capture.tick(mono)
        for kind, lockout in self._lockouts.items():
            if lockout.tick(mono):
                unseen, self._unseen[kind] = self._unseen[kind], 0
                if unseen > 1:
                    self._core.deny(_HOW[kind], Denial.KEYPAD_LOCKED, count=unseen - 1)

    # ---- what people do

    def entered(self, digits: str) -> None:
        """A whole entry on the keypad."""
        held = self._core.held
        if held is None:
            self._answer(Sign.DENIED)
        elif not self._resting(SlotKind.PIN):
            good = PIN_LEAST <= len(digits) <= PIN_DIGITS and digits.isascii() and digits.isdecimal()
            fits = self._pins(held, digits) if good else []
            self._decide(held, SlotKind.PIN, fits)

    def card(self, uid: bytes) -> None:
        """A card at the reader."""
        self._presented(SlotKind.CARD, uid, well_formed=1 <= len(uid) <= UID)

    def finger(self, template: bytes) -> None:
        """A finger on the reader."""
        self._presented(SlotKind.FINGER, template, well_formed=len(template) == TEMPLATE)

    def _presented(self, kind: SlotKind, value: bytes, *, well_formed: bool) -> None:
        held = self._core.held
        if held is None:
            self._answer(Sign.DENIED)
        elif not (well_formed and self._captured(held, kind, value)) and not self._resting(kind):
            self._decide(held, kind, self._slots(held, kind, value) if well_formed else [])

    # ---- what fits

    def _slots(self, held: Held, kind: SlotKind, value: bytes) -> list[_Fit]:
        clock, door = held.clock(self._core.at), self._core.door_view()
        wanted = verifier(held.identity.door_seed, kind, value)
        usable = self._core.reader.usable(kind, held.state)
        matches = [(slot, hmac.compare_digest(slot.verifier, wanted)) for slot in usable]
        return [
            _Fit(slot.slot, slot.holder_class, decide_slot(slot, clock, door))
            for slot, match in matches
            if match
        ]

    def _pins(self, held: Held, digits: str) -> list[_Fit]:
        core = self._core
        clock, door = held.clock(core.at), core.door_view()
        fits = self._slots(held, SlotKind.PIN, digits.encode())
        if clock.now is None:
            return fits
        activated = core.activations.held(clock.now, door)
        could_be = [*candidates(held.epoch, held.owner_epoch, shared=held.identity.shared, now=clock.now)]
        could_be += activated.difference(could_be)
        for pin in search(held.identity.door_seed, digits, could_be):
            verdict = decide_pin(pin, activated, clock, door, cleared=core.activations.cleared)
            fits.append(_Fit(offline_subject(pin), pin.code.holder_class, verdict, pin))
        return fits

    # ---- what comes of it

    def _decide(self, held: Held, kind: SlotKind, fits: list[_Fit]) -> None:
        granted = (fit for fit in fits if isinstance(fit.verdict, Granted))
        fit = next(granted, fits[0] if fits else None)
        if fit is None:
            lost = kind is SlotKind.PIN and self._core.now is None  # it may have been an offline PIN
            self._failed(kind, Denial.CLOCK_LOST if lost else Denial.PIN_UNKNOWN, None)
        elif isinstance(fit.verdict, Denied) and fit.verdict.denial is not Denial.BACK_OFF:
            self._failed(kind, fit.verdict.denial, fit.subject)
        elif isinstance(fit.verdict, Denied) or self._acts.full:
            denial = fit.verdict.denial if isinstance(fit.verdict, Denied) else Denial.BUSY
            self._core.deny(_HOW[kind], denial, fit.subject)
            self._answer(Sign.TRY_LATER)
        elif fit.pin is not None and fit.pin.code is PinCode.CLEAR:
            self._clear(fit.pin)
        else:
            self._open(held, kind, fit, fit.verdict)

    def _open(self, held: Held, kind: SlotKind, fit: _Fit, verdict: Granted) -> None:
        core, how = self._core, _HOW[kind]
        before = {}
        if fit.pin is not None and core.now is not None:
            before = core.activations.take(fit.pin, core.now, core.door_view())
        if held.store(fit.holder_class, verdict):
            core.journal(What.EPOCH_RAISED, how, fit.subject, held.record())
        self._acts.begin(
            Act(
                operation=Operation.UNLOCK,
                how=how,
                subject=fit.subject,
                before=before,
                settle=partial(self._settle, fit.pin),
                answer=self._moved,
            )
        )

    def _settle(self, pin: OfflinePin | None, done: Done, _number: int) -> dict[str, bytes | None]:
        return {} if pin is None else self._core.activations.settle(pin, done.denial)

    def _moved(self, done: Done) -> None:
        self._answer(Sign.TRY_LATER if done.torn or done.denial is not None else Sign.OPEN)

    def _clear(self, pin: OfflinePin) -> None:
        record = self._core.activations.clear(pin)
        if record is not None:
            self._core.journal(What.CLEARED, How.PIN, offline_subject(pin), record)
        self._answer(Sign.CLEARED)

    def _captured(self, held: Held, kind: SlotKind, value: bytes) -> bool:
        """Whether this card or finger was waited for: then it is reported, and judged by nobody here."""
        core = self._core
        asked = core.capture.take(core.at.mono)
        if asked is None:
            return False
        wanted = verifier(held.identity.door_seed, kind, value)
        here = (*core.reader.holds(kind, held.state), *named(kind, held.state))
        report = Captured(_CAPTURED[kind], wanted, asked.cti, any(s.verifier == wanted for s in here))
        core.journal(What.CAPTURED, _HOW[kind], asked.cti)
        self._server.publish(report)
        core.capture.unheard = None if self._server.linked else report
        if asked.reply is not None:
            asked.reply(report)
        self._answer(Sign.CAPTURED)
        return True

    # ---- failures

    def _resting(self, kind: SlotKind) -> bool:
        """Whether nothing is looked at now. What is said meanwhile is counted, not judged."""
        self.tick()  # a pause that is over says how often it was met, before the next begins
        left = self._lockouts[kind].left(self._core.at.mono)
        if not left:
            return False
        if not self._unseen[kind]:
            self._core.deny(_HOW[kind], Denial.KEYPAD_LOCKED)
        self._unseen[kind] += 1
        self._answer(Sign.LOCKED, left)
        return True

    def _failed(self, kind: SlotKind, denial: Denial, subject: int | None) -> None:
        """Count it before it can be seen: whoever cuts the power at the refusal has paid all the same."""
        core = self._core
        pause = self._lockouts[kind].failed(core.at.mono)
        core.deny(_HOW[kind], denial, subject)
        if pause:
            self._unseen[kind] = 0
            core.rests(_HOW[kind])
        self._answer(Sign.DENIED)

    def _answer(self, sign: Sign, left_ms: int = 0) -> None:
        self._core.emit(KeypadAnswer(sign, -(-left_ms // 1000) if left_ms else None))
