"""Checks taken out against those who pretend, bend, have read a lock out, or speak as another: see `mutants.py`."""

from __future__ import annotations

from contextlib import ExitStack
from io import BytesIO
from typing import Any
from unittest.mock import patch

import cbor2

from lockserver.app import accept_report, enrol_lock
from lockserver.mqtt import authorise
from lockserver.mqtt.authorise import Granted
from lockserver.protocol import envelope, handshake
from lockserver.protocol.claims import read_claims
from lockserver.protocol.cose import peek
from lockserver.protocol.credential import Credential
from lockserver.protocol.fields import Fields
from lockserver.protocol.handshake import LockInfo, PhoneHandshake
from tests.sim.mutants import _never, _put, mutant


@mutant("L-03", "impostors")
def the_phone_believes_any_lock(stack: ExitStack) -> None:
    """The phone does not verify the lock's signature under M2."""
    read = PhoneHandshake._read_m2

    def credulous(self: PhoneHandshake, message: bytes) -> LockInfo:
        with patch.object(handshake, "verify", lambda *_given: True):
            return read(self, message)

    _put(stack, PhoneHandshake, "_read_m2", credulous)


@mutant("L-03", "impostors")
def the_lock_signs_no_transcript(stack: ExitStack) -> None:
    """The lock's signature is over what it says of itself, and not over this exchange."""
    read, greet = PhoneHandshake._read_m2, handshake.LockHandshake.greet

    def unbound(whole: Any) -> Any:
        def without(self: Any, message: bytes) -> Any:
            with patch.object(handshake, "_LOCK_SIGNS", _Alone(handshake._LOCK_SIGNS)):
                return whole(self, message)

        return without

    _put(stack, PhoneHandshake, "_read_m2", unbound(read))
    _put(stack, handshake.LockHandshake, "greet", unbound(greet))


class _Alone(bytes):
    """A label to which no transcript is added."""

    def __add__(self, _transcript: bytes) -> bytes:  # type: ignore[override]
        return bytes(self)


@mutant("L-07", "benders")
def what_nobody_knows_is_passed_over(stack: ExitStack) -> None:
    """A reader takes what it knows of a signed map and leaves the rest."""
    _put(stack, Fields, "close", _never)


@mutant("L-07", "benders")
def what_follows_is_not_read(stack: ExitStack) -> None:
    """The lock reads the first value of M3 and does not look whether that was all, or its one encoding."""
    _put(stack, handshake, "decode", lambda data: cbor2.CBORDecoder(BytesIO(data)).decode())


@mutant("L-07", "benders")
def any_version_will_do(stack: ExitStack) -> None:
    """The version of M1 is not looked at."""
    _put(stack, handshake, "_head", lambda message, exact: message[2:67])


@mutant("L-18", "neighbours")
def a_lock_may_speak_for_all(stack: ExitStack) -> None:
    """Whoever is a lock may publish under every lock's name."""
    _put(stack, Granted, "permissions", property(lambda _self: (["l.*.*.up.>"], [])))


@mutant("L-18", "neighbours")
def a_lock_may_hear_all(stack: ExitStack) -> None:
    """Whoever is a lock may listen to its whole shard and every other."""
    _put(stack, Granted, "permissions", property(lambda _self: ([], ["l.*.*.down.>"])))


@mutant("L-18", "neighbours")
def any_secret_will_do(stack: ExitStack) -> None:
    """Which lock a secret belongs to is not asked."""
    _put(stack, authorise, "secret_matches", lambda *_given: True)


@mutant("L-13", "spilled")
def all_locks_have_one_secret(stack: ExitStack) -> None:
    """The site gives every lock the same secret for the broker."""
    _put(stack, enrol_lock, "new_secret", lambda _random: bytes(32))


@mutant("L-13", "spilled")
def a_report_is_believed_unsigned(stack: ExitStack) -> None:
    """Whichever key a report is signed with, it is the lock's whose name is in it."""

    def read(signed: bytes, _lock_id: bytes, _public: bytes) -> Any:
        return envelope._read_envelope(peek(signed))

    _put(stack, accept_report, "read_signed_report", read)


@mutant("L-13", "spilled")
def any_lock_issues_keys(stack: ExitStack) -> None:
    """Under which key a credential is signed is not verified, so that a lock's own will do."""

    def read(data: bytes, _keys: Any) -> Any:
        return Credential(read_claims(peek(data)), bytes(8), data)

    _put(stack, handshake, "read_credential", read)
