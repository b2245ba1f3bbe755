"""Commands and reports between a server and a lock, with a hostile broker in between (L-18, L-19, L-21)."""

from dataclasses import replace
from functools import partial

import pytest

from lockserver.protocol.commands import ActBody, Command, CommandKind, HelloBody, command_map
from lockserver.protocol.cose import Kind, sign1
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.envelope import (
    Envelope,
    Position,
    check_order,
    open_command,
    open_report,
    seal_command,
    seal_report,
)
from lockserver.protocol.errors import Denial, LocalError
from lockserver.protocol.journal import Entry, Head, How, What, head_after
from lockserver.protocol.limits import MAX_BATCH, MAX_ENVELOPE
from lockserver.protocol.reports import JournalBatch, Outcome, Report, Result
from lockserver.protocol.sealed import Box, box_info, seal
from tests.vectors.build_envelopes import COMMANDS, REPORTS, entries
from tests.vectors.cast import (
    COMMAND,
    ISSUER,
    LOCK,
    LOCK_ECDH,
    LOCK_ID,
    NOW,
    OTHER_LOCK,
    OTHER_LOCK_ID,
    REPORT,
    STRANGER,
    code_of,
    key,
    octets,
)

COMMANDERS = keys_by_id((COMMAND.public,))


def sealed(command: Command, lock_id: bytes = LOCK_ID) -> bytes:
    return seal_command(command, lock_id, LOCK_ECDH.public, COMMAND.signer, key("e"))


def opened(data: bytes, lock_id: bytes = LOCK_ID) -> Command:
    return open_command(data, lock_id, LOCK_ECDH.private, COMMANDERS)


def reported(report: Report, lock_id: bytes = LOCK_ID) -> bytes:
    return seal_report(Envelope(lock_id, Position(1, 1), report), LOCK.signer, REPORT.public, key("e"))


def read(data: bytes, lock_id: bytes = LOCK_ID) -> Envelope:
    return open_report(data, lock_id, REPORT.private, LOCK.public)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_opens_as_it_was_sealed(name: str) -> None:
    assert opened(sealed(COMMANDS[name])) == COMMANDS[name]


@pytest.mark.parametrize("name", list(REPORTS))
def test_a_report_opens_as_it_was_sealed(name: str) -> None:
    assert read(reported(REPORTS[name])) == Envelope(LOCK_ID, Position(1, 1), REPORTS[name])


def test_L19_the_broker_reads_nothing() -> None:
    body = COMMANDS["unlock"].body
    assert isinstance(body, ActBody)
    box = sealed(COMMANDS["unlock"])
    for secret in (
        body.wish,
        body.credential,
        body.credential[20:40],
        COMMANDS["unlock"].command_id,
        LOCK_ID,
    ):
        assert secret not in box
    assert octets("credential", 16) not in reported(REPORTS["journal"])


def test_L18_L19_what_is_meant_for_another_lock_does_not_open() -> None:
    assert code_of(lambda: opened(sealed(COMMANDS["say hello"]), OTHER_LOCK_ID)) is Denial.BAD_BOX
    assert code_of(lambda: read(reported(REPORTS["done"]), OTHER_LOCK_ID)) is Denial.BAD_BOX
    assert (
        code_of(lambda: open_report(reported(REPORTS["done"]), LOCK_ID, REPORT.private, OTHER_LOCK.public))
        is Denial.UNKNOWN_KEY
    )


def resealed(command: Command, signed_for: bytes) -> bytes:
    """A command signed for one lock, put by a hostile bridge into a fresh box for another."""
    signed = sign1(Kind.CMD, command_map(command, signed_for), COMMAND.signer)
    return seal(LOCK_ECDH.public, signed, box_info(Box.COMMAND, LOCK_ID), key("again"))


def test_L19_a_signed_command_in_a_new_box_for_another_lock_is_refused() -> None:
    assert code_of(lambda: opened(resealed(COMMANDS["unlock"], OTHER_LOCK_ID))) is Denial.WRONG_LOCK
    assert code_of(lambda: opened(resealed(COMMANDS["unlock"], LOCK_ID))) is None


def forgeries() -> dict[str, bytes]:
    """Boxes that anybody could make who knows every public key."""
    info = box_info(Box.COMMAND, LOCK_ID)
    fields = command_map(COMMANDS["unlock"], LOCK_ID)
    return {
        "signed by a stranger": seal_command(
            COMMANDS["unlock"], LOCK_ID, LOCK_ECDH.public, STRANGER.signer, key("f")
        ),
        "signed by the issuer": seal_command(
            COMMANDS["unlock"], LOCK_ID, LOCK_ECDH.public, ISSUER.signer, key("f")
        ),
        "another kind": seal(LOCK_ECDH.public, sign1(Kind.RPT, fields, COMMAND.signer), info, key("f")),
        "nothing": seal(LOCK_ECDH.public, b"", info, key("f")),
    }


@pytest.mark.parametrize("name", list(forgeries()))
def test_L19_a_forged_command_is_refused(name: str) -> None:
    assert code_of(partial(opened, forgeries()[name])) is not None


def test_L19_mutant_lock_that_skips_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    from lockserver.protocol import cose

    monkeypatch.setattr(cose, "verify", lambda *_: True)
    assert code_of(partial(opened, forgeries()["another kind"])) is None


def test_acts_and_only_acts_have_a_counter_and_a_deadline() -> None:
    act = COMMANDS["unlock"]
    for wrong in (
        replace(act, counter=None),
        replace(act, not_after=None),
        replace(COMMANDS["say hello"], counter=3),
        replace(COMMANDS["journal ack"], not_after=NOW),
        Command(octets("c", 16), CommandKind.UNLOCK, HelloBody(), 1, NOW),
    ):
        with pytest.raises(LocalError):
            sealed(wrong)


def test_a_denial_goes_with_a_refusal_and_only_with_one() -> None:
    from lockserver.protocol.bolt import BoltState

    for outcome, denial in ((Outcome.DONE, Denial.JAMMED), (Outcome.REFUSED, None)):
        with pytest.raises(LocalError):
            reported(Result(octets("c", 16), outcome, BoltState.LOCKED, 1, denial))


def test_L21_a_replayed_or_older_report_is_known_as_one() -> None:
    last = Position(5, 9)
    for position in (Position(5, 9), Position(5, 8), Position(4, 100), Position(0, 0)):
        assert code_of(partial(check_order, last, position)) is Denial.REPLAYED
    for position in (Position(5, 10), Position(6, 0), Position(6, 1)):
        check_order(last, position)
    check_order(None, Position(0, 0))


def test_the_fullest_batch_fits_an_envelope_and_a_fuller_one_is_not_sealed() -> None:
    told: list[Entry] = []
    head = Head(2**31, bytes(32))
    for _ in range(MAX_BATCH + 1):
        told.append(
            Entry(
                head.number + 1,
                head.hash,
                What.DENIED,
                How.BLE,
                octets("s", 16),
                Denial.REVOKED,
                NOW,
                2**31,
                2**31,
            )
        )
        head = head_after(told[-1])
    data = reported(JournalBatch(tuple(told[:-1])))
    assert len(data) < MAX_ENVELOPE
    assert read(data).report == JournalBatch(tuple(told[:-1]))
    with pytest.raises(LocalError):
        reported(JournalBatch(tuple(told)))
    assert len(entries()) == 6
