"""A lock with keypad, card reader and finger reader, and somebody who stands before it."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_sim.core.events import (
    BrokerDown,
    CardPresented,
    Event,
    FingerRead,
    KeypadAnswer,
    KeypadEntered,
    Sign,
)
from firmware_sim.core.held import Held
from firmware_sim.core.lock import Lock
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.pin import OfflinePin, PinCode, pin_digits, verifier
from lockserver.protocol.reports import Captured, Inventory
from lockserver.protocol.slots import Slot, SlotKind
from tests.support.site import T0
from tests.unit.firmware_sim.desk import Desk

#: A PIN that nobody was given.
WRONG = "918273645"
YEAR = 365 * 86400


@dataclass
class Doorstep(Desk):
    """`give` is the server's hand, `key`, `card` and `finger` are a person's. At T0 the hour is full."""

    def __post_init__(self) -> None:
        super().__post_init__()
        assert T0 % 3600 == 0
        self.broker_up()
        self.online = True
        self._version = 0
        self.pins: tuple[Slot, ...] = ()
        self.cards: tuple[Slot, ...] = ()
        self.fingers: tuple[Slot, ...] = ()

    @property
    def core(self) -> Lock:
        assert self.lock.lock is not None
        return self.lock.lock

    @property
    def held(self) -> Held:
        held = self.core.held
        assert held is not None
        return held

    @property
    def seed_of_door(self) -> bytes:
        return self.enrolled.door_seed

    def leap(self, seconds: float) -> None:
        """True time passes, and nothing happens meanwhile."""
        self.lock.wait(seconds, step=seconds)
        self.site.now = T0 + round(self.lock.clocks.true)

    # ---- the server

    def slot(
        self,
        number: int,
        value: bytes | str,
        kind: SlotKind = SlotKind.PIN,
        *,
        nbf: int = T0 - 60,
        until: int = T0 + YEAR,
        holder_class: HolderClass = HolderClass.TENANT,
        epoch: int | None = 0,
    ) -> Slot:
        raw = value.encode() if isinstance(value, str) else value
        wanted = verifier(self.seed_of_door, kind, raw)
        return Slot(number, wanted, bytes([number]) * 16, nbf, until, holder_class, epoch)

    def give(
        self,
        *,
        pins: tuple[Slot, ...] | None = None,
        cards: tuple[Slot, ...] | None = None,
        fingers: tuple[Slot, ...] | None = None,
        epoch: int | None = None,
        occupied: bool | None = None,
    ) -> None:
        """Push an access state; what is not named stays."""
        self._version += 1
        self.pins = self.pins if pins is None else pins
        self.cards = self.cards if cards is None else cards
        self.fingers = self.fingers if fingers is None else fingers
        shared = self.held.identity.shared
        state = self.site.state(
            self.enrolled,
            version=self._version,
            epoch=None if shared else (self.held.epoch if epoch is None else epoch),
            occupied=self.held.occupied if occupied is None else occupied,
            pins=self.pins,
            cards=self.cards,
            fingers=self.fingers,
        )
        if self.online:
            self.deliver(self.site.documents(self.enrolled, state))
        else:  # any phone carries it
            passer_by = self.site.holder()
            stale = self.site.credential(
                self.enrolled, passer_by, nbf=self.site.now - 60, exp=self.site.now - 30, epoch=None
            )
            self.open(passer_by, stale, state)
        assert self.held.state_version == self._version

    def go_offline(self) -> None:
        self.online = False
        self.lock.feed(BrokerDown())

    def offline(
        self, code: PinCode = PinCode.ONE_TIME, *, start: int = T0, epoch: int = 0, n: int = 0
    ) -> str:
        """The digits that the server hands out without telling the lock."""
        return pin_digits(self.seed_of_door, OfflinePin(epoch, code, start // 3600, n))

    # ---- somebody at the door

    def key(self, digits: str) -> Sign:
        return self._tried(KeypadEntered(digits)).answer

    def card(self, uid: bytes) -> Sign:
        return self._tried(CardPresented(uid)).answer

    def finger(self, template: bytes) -> Sign:
        return self._tried(FingerRead(template)).answer

    def answered(self, digits: str) -> KeypadAnswer:
        return self._tried(KeypadEntered(digits))

    def guess(self, times: int = 1, wrong: str = WRONG) -> None:
        """So many failures at the keypad, each as soon as the keypad lets him."""
        for _ in range(times):
            while (answer := self.answered(wrong)).answer is Sign.LOCKED:
                assert answer.seconds
                self.leap(answer.seconds)
            assert answer.answer is Sign.DENIED

    def _tried(self, event: Event) -> KeypadAnswer:
        before = len(self.lock.effects)
        self.lock.feed(event)
        answers = [e for e in self.lock.effects[before:] if isinstance(e, KeypadAnswer)]
        assert len(answers) == 1, answers
        return answers[0]

    # ---- what the lock says

    def captured(self) -> list[Captured]:
        return [r for r in self.news() if isinstance(r, Captured)]

    def inventory(self) -> Inventory:
        self.news()
        self.deliver(self.site.ask_inventory(self.enrolled))
        (report,) = [r for r in self.news() if isinstance(r, Inventory)]
        return report
