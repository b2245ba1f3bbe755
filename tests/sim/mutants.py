"""Checks of the product taken out, one at a time: each makes worlds in which a law breaks.

A mutant is a context: inside it the product lacks the check. `caught` looks for the first world that sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from firmware_sim.core import firmware as running
from firmware_sim.core import ring, sessions
from firmware_sim.core.acts import Acts
from firmware_sim.core.backoff import BackOff
from firmware_sim.core.firmware import Firmware
from firmware_sim.core.held import Held
from firmware_sim.core.nonces import TimeNonces
from firmware_sim.core.results import Results
from firmware_sim.core.ring import Ring
from firmware_sim.core.rtc import Rtc
from firmware_sim.core.server import Server
from firmware_sim.core.wishes import Wishes
from firmware_sim.links.mqtt_light import LightMqttLink
from lockserver.app import (
    accept_report,
    ingest_journal,
    issue_access_documents,
    phone_sync,
    read_lock,
    spend_wish,
    unlock_remotely,
)
from lockserver.app.issue_credential import Withheld
from lockserver.app.ports.steps import Conclusion
from lockserver.app.spend_wish import Taken
from lockserver.domain.grant import KEEP, Edit, Grant
from lockserver.protocol import access, handshake
from lockserver.protocol.cose import peek
from lockserver.protocol.curve import private_key
from lockserver.protocol.errors import Denial
from lockserver.protocol.firmware import peek_firmware
from lockserver.protocol.handshake import LockInfo
from lockserver.protocol.journal import Chain, head_after
from lockserver.protocol.wish import Wish, WishOperation
from tests.sim.chance import Chance
from tests.sim.search import live

Patches = Callable[[ExitStack], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is taken out, in which worlds it shows, and which law it breaks."""

    law: str
    what: str
    profile: str
    apply: Patches


MUTANTS: dict[str, Mutant] = {}


def mutant(law: str, profile: str) -> Callable[[Patches], Patches]:
    """Enter a mutant; its name is the function's, what it takes out its docstring."""

    def enter(apply: Patches) -> Patches:
        MUTANTS[apply.__name__] = Mutant(law, (apply.__doc__ or "").strip(), profile, apply)
        return apply

    return enter


@contextmanager
def without(name: str) -> Iterator[Mutant]:
    """The product without one of its checks."""
    one = MUTANTS[name]
    with ExitStack() as stack:
        one.apply(stack)
        yield one


def caught(name: str, worlds: int) -> int | None:
    """The first seed below `worlds` in which the mutant breaks its law, or None."""
    with without(name) as one:
        for seed in range(worlds):
            if live(seed, one.profile).law == one.law:
                return seed
    return None


def _put(stack: ExitStack, where: Any, name: str, what: Any) -> None:
    stack.enter_context(patch.object(where, name, what))


def _never(*_given: Any, **_named: Any) -> None:
    return None


# ---- at the door


@mutant("L-02", "radio")
def the_lock_is_never_fresh(stack: ExitStack) -> None:
    """The lock says the same M2 to the same M1: one ephemeral key, one nonce, no time."""
    key = private_key(Chance("stale").bytes)
    _put(stack, sessions, "private_key", lambda _random: key)
    _put(
        stack, sessions, "LockInfo", lambda **told: LockInfo(**{**told, "time": None, "time_nonce": bytes(8)})
    )


@mutant("L-04", "clocks")
def windows_are_not_looked_at(stack: ExitStack) -> None:
    """A key is good for ever."""
    _put(stack, access, "_window", _never)


@mutant("L-05", "radio")
def nobody_proves_his_key(stack: ExitStack) -> None:
    """The holder's signature under M3 is not verified."""
    _put(stack, handshake, "verify", lambda *_given: True)


@mutant("L-05", "pooled")
def a_key_opens_every_door(stack: ExitStack) -> None:
    """The lock does not look for which lock a key was issued."""
    _put(stack, access, "_audience", _never)


@mutant("L-06", "strangers")
def guessing_is_free(stack: ExitStack) -> None:
    """A refusal is never held back."""
    _put(stack, BackOff, "failed", lambda _self, _mono: 0)


@mutant("L-06", "strangers")
def power_forgets_who_guessed(stack: ExitStack) -> None:
    """The count of failures is not in flash."""
    made = BackOff.__post_init__

    def fresh(self: BackOff) -> None:
        made(self)
        self.failures = 0

    _put(stack, BackOff, "__post_init__", fresh)


@mutant("L-06", "strangers")
def the_rightful_pay_for_strangers(stack: ExitStack) -> None:
    """While strangers are held back, a good key waits too."""
    decide = access.decide

    def grudging(*given: Any) -> Any:
        return access.Denied(Denial.BACK_OFF) if _strangers.count else decide(*given)

    failed = BackOff.failed

    class _Counting:
        count = 0

    _strangers = _Counting()

    def counting(self: BackOff, mono: int) -> int:
        _strangers.count = self.failures + 1 > 2
        return failed(self, mono)

    _put(stack, BackOff, "failed", counting)
    _put(stack, sessions, "decide", grudging)


@mutant("L-52", "turnover")
def the_owner_walks_in(stack: ExitStack) -> None:
    """Nobody asks whether the room is occupied."""
    _put(stack, access, "_occupied", _never)


# ---- keys that die


@mutant("L-08", "turnover")
def the_list_is_not_looked_at(stack: ExitStack) -> None:
    """The lock keeps the list and never reads it."""
    _put(stack, access, "_revocation", _never)


@mutant("L-08", "turnover")
def the_epoch_is_not_kept(stack: ExitStack) -> None:
    """A newer tenancy's key raises nothing."""
    take = Held._take_state

    def unturned(self: Held, state: Any) -> None:
        epoch = self.epoch
        take(self, state)
        self.epoch = epoch

    _put(stack, Held, "raise_for", lambda _self, _claims, _grant: False)
    _put(stack, Held, "_take_state", unturned)


@mutant("L-08", "turnover")
def nobody_writes_the_list(stack: ExitStack) -> None:
    """The issuer names no key that was taken back."""

    async def nothing(*_given: Any) -> bool:
        return False

    _put(stack, issue_access_documents, "_refresh_list", nothing)


@mutant("L-09", "turnover")
def a_new_list_forgets_the_last(stack: ExitStack) -> None:
    """A list names only what was taken back since the one before it."""
    from tests.sim.memory.commands import Credentials

    async def nothing(*_given: Any) -> list[Any]:
        return []

    _put(stack, Credentials, "revoked", nothing)


# ---- power, time, numbers, journal


@mutant("L-10", "power")
def no_intent_is_written(stack: ExitStack) -> None:
    """What is under way is not in flash when the motor turns."""
    begin = Acts._next

    def careless(self: Acts) -> None:
        flash = self._core.flash
        put = flash.put

        def without_intent(values: Any) -> None:
            put({key: value for key, value in values.items() if key != "intent"})

        with patch.object(flash, "put", without_intent):
            begin(self)

    _put(stack, Acts, "_next", careless)


@mutant("L-11", "clocks")
def no_clock_is_ever_lost(stack: ExitStack) -> None:
    """A chip that lost its time is believed."""
    _put(stack, Rtc, "lost", lambda self, at: at.chip is None or self.offset is None)


@mutant("L-11", "clocks")
def any_statement_sets_the_clock(stack: ExitStack) -> None:
    """Whose nonce a time statement answers is not asked."""
    _put(stack, TimeNonces, "redeem", lambda _self, _nonce, _mono: 100)


@mutant("L-11", "power")
def the_floor_is_in_memory_only(stack: ExitStack) -> None:
    """The floor is not written down."""
    record = Held.record

    def floorless(self: Held) -> Any:
        floor, self.rtc.floor = self.rtc.floor, 0
        try:
            return record(self)
        finally:
            self.rtc.floor = floor

    _put(stack, Held, "record", floorless)


@mutant("L-12", "olden")
def numbers_may_fall(stack: ExitStack) -> None:
    """An older document is as good as a newer one."""
    from firmware_sim.core import held

    _put(stack, held, "_must_rise", _never)


@mutant("L-21", "forged")
def the_chain_is_not_checked(stack: ExitStack) -> None:
    """The server believes any entry that the lock has signed."""

    def believing(_head: Any, entries: Any) -> Chain:
        accepted = tuple(entries)
        return Chain(accepted, head_after(accepted[-1]), ())

    async def nobody(*_given: Any) -> dict[UUID, Any]:
        return {}

    _put(stack, ingest_journal, "verify_chain", believing)
    _put(stack, ingest_journal, "_swiftly", nobody)


@mutant("L-53", "flood")
def the_oldest_goes_first(stack: ExitStack) -> None:
    """A full ring pushes out whatever is oldest, and denials have no end."""
    _put(stack, Ring, "_room_for_denial", lambda _self: True)
    _put(
        stack,
        Ring,
        "_evict",
        lambda self: None if len(self._entries) < ring.SLOTS else next(iter(self._entries)),
    )


# ---- commands


@mutant("L-15", "slow")
def no_deadline_is_kept(stack: ExitStack) -> None:
    """A command is good whenever it comes, and so is its wish."""
    read = Wishes.read
    _put(stack, Server, "_deadline_kept", lambda self, held, command: command.not_after)
    _put(stack, Wishes, "read", read)


@mutant("L-15", "slow")
def any_clock_is_trusted(stack: ExitStack) -> None:
    """A clock counts as attested that nobody attested."""
    _put(stack, Rtc, "bound", lambda self, at: None if self.now(at) is None else 0.0)
    _put(stack, Rtc, "age", lambda _self, _at: 0.0)


@mutant("L-16", "doubles")
def what_was_done_is_forgotten(stack: ExitStack) -> None:
    """Neither counter nor result nor wish is remembered."""
    act = Server._act

    def forgetful(self: Server, held: Held, command: Any, reply: Any) -> None:
        act(self, held, replace(command, counter=held.counter + 1), reply)

    _put(stack, Server, "_act", forgetful)
    _put(stack, Results, "find", lambda _self, _id: None)
    _put(stack, Wishes, "record", lambda _self, _wish, _latest: {})


@mutant("L-16", "doubles")
def the_retained_is_obeyed(stack: ExitStack) -> None:
    """The lock does not ask whether the broker had kept a command."""
    message = Server.message
    _put(stack, Server, "message", lambda self, data, *, retained: message(self, data, retained=False))


@mutant("L-17", "crashes")
def time_settles_nothing(stack: ExitStack) -> None:
    """A command of which nobody hears stays as it is."""
    from tests.sim import roles

    async def nothing(*_given: Any) -> list[Any]:
        return []

    _put(stack, roles, "settle_overdue", nothing)


@mutant("L-17", "lossy")
def a_gap_is_taken_for_granted(stack: ExitStack) -> None:
    """Entries that a lost message carried are acknowledged with the next."""
    _put(stack, ingest_journal, "_may_be_filled", lambda *_given: False)


@mutant("L-19", "thieves")
def a_session_is_enough(stack: ExitStack) -> None:
    """Neither server nor lock verifies whose signature stands under a wish."""

    def unread(raw: bytes, _public: bytes) -> Wish:
        fields = peek(raw)
        return Wish(fields[1], fields[2], WishOperation(fields[3]), fields[4])  # type: ignore[arg-type]

    from firmware_sim.core import wishes
    from tests.sim.memory import steps

    standing = steps.Steps.standing

    async def anybodys(self: Any, knock: Any, claim: Any) -> Any:
        phones = self.connection.store.rows("phones", holder_id=knock.holder_id)
        kid = unlock_remotely_kid(phones[-1]["sign_pub"]) if phones else knock.kid
        return await standing(self, replace(knock, kid=kid), claim)

    from lockserver.protocol.curve import key_id as unlock_remotely_kid

    _put(stack, unlock_remotely, "read_wish", unread)
    _put(stack, wishes, "read_wish", unread)
    _put(stack, steps.Steps, "standing", anybodys)


@mutant("L-22", "broker")
def hope_is_told_as_done(stack: ExitStack) -> None:
    """Whatever a lock answers, the command counts as done."""
    _put(stack, accept_report, "conclude", lambda _result: Conclusion("done", None))


# ---- those who live there


@mutant("L-45", "landlord")
def anybody_ends_a_lease(stack: ExitStack) -> None:
    """A wish is not held against its holder's phone."""

    async def believed(work: Any, holder_id: UUID, raw: bytes, proved_for: UUID | None = None) -> Taken:
        fields = peek(raw)
        wish = Wish(fields[1], fields[2], WishOperation(fields[3]), fields[4], fields.get(5) or {})  # type: ignore[arg-type]
        return Taken(wish, (await work.phones.of_holder(holder_id))[-1])

    _put(stack, spend_wish, "read_holders_wish", believed)


@mutant("L-54", "daily")
def no_key_is_renewed(stack: ExitStack) -> None:
    """The issuer finds a reason to give a tenant no key."""

    async def withheld(*_given: Any) -> Withheld:
        return Withheld("receipt_awaited")

    _put(stack, phone_sync, "may_hold", withheld)


@mutant("L-50", "reading")
def every_lock_is_called_locked(stack: ExitStack) -> None:
    """A lock is shown as it should be, not as it said that it is."""
    known = read_lock.Known

    def hopeful(lock: Any, status: Any, **named: Any) -> Any:
        return known(lock, replace(status, bolt="locked"), **named)

    _put(stack, read_lock, "Known", hopeful)


# ---- what guests were given


@mutant("L-46", "guests")
def nobody_asks_for_the_word(stack: ExitStack) -> None:
    """An edit may widen without saying so."""
    edited = Grant.edited
    _put(stack, Grant, "edited", lambda self, edit: edited(self, replace(edit, widen=True)))


@mutant("L-46", "guests")
def what_is_omitted_is_erased(stack: ExitStack) -> None:
    """An edit that does not mention the hours takes them away, and nobody compares."""

    def erasing(self: Grant, edit: Edit) -> Grant:
        reach = edit.of(self.reach)
        return self.reaching(replace(reach, schedule=None if edit.schedule is KEEP else reach.schedule))

    _put(stack, Grant, "edited", erasing)


@mutant("L-46", "guests")
def a_frozen_guest_thaws_with_any_edit(stack: ExitStack) -> None:
    """Editing what was given sets it free."""
    edited = Grant.edited
    thawed: dict[str, Any] = {"state": "active", "frozen_at": None, "frozen_by": None}
    _put(stack, Grant, "edited", lambda self, edit: replace(edited(self, edit), **thawed))


# ---- what runs in a lock


@mutant("L-14", "firmware")
def an_older_image_will_do(stack: ExitStack) -> None:
    """The lock does not compare an image's counter with its own."""
    take = Firmware._take

    def forgetful(self: Firmware, body: Any) -> None:
        runs = self.running
        self.running = replace(runs, counter=-1)
        try:
            take(self, body)
        finally:
            self.running = runs

    _put(stack, Firmware, "_take", forgetful)


@mutant("L-14", "firmware")
def nobody_asks_who_made_it(stack: ExitStack) -> None:
    """The manufacturer's signature is not verified."""
    _put(stack, running, "read_firmware", lambda raw, _public: peek_firmware(raw))


@mutant("L-14", "firmware")
def any_bytes_will_do(stack: ExitStack) -> None:
    """The hash of what arrived is not compared with the manifest."""
    _put(stack, running, "_check", _never)


@mutant("L-14", "firmware")
def it_runs_before_it_is_whole(stack: ExitStack) -> None:
    """The lock switches as soon as something has arrived."""
    ready = property(lambda self: self._coming is not None and self._coming.offset > 0)
    _put(stack, Firmware, "ready", ready)
    _put(stack, running, "_check", _never)


@mutant("L-20", "storm")
def everybody_dials_at_once(stack: ExitStack) -> None:
    """The pause before a lock dials again has no jitter."""

    def together(self: Any) -> None:
        pause = self._wait
        self._wait = min(2 * self._wait, 30.0)
        self._later(pause, self._dial)

    _put(stack, LightMqttLink, "_again", together)
