"""Vectors of commands, reports and the journal."""

from dataclasses import replace

from lockserver.protocol.bolt import BoltState, DoorState
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.commands import (
    ActBody,
    CaptureBody,
    Command,
    CommandKind,
    DocumentsBody,
    FirmwareBody,
    HelloBody,
    InventoryBody,
    JournalAckBody,
)
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.documents import sign_access_state, sign_release, sign_revocation_list
from lockserver.protocol.envelope import Envelope, Position, seal_command, seal_report
from lockserver.protocol.errors import Denial
from lockserver.protocol.firmware import sign_firmware
from lockserver.protocol.journal import Entry, Head, How, What, entry_hash, entry_row, head_after
from lockserver.protocol.pin import OfflinePin, PinCode, activation, offline_subject
from lockserver.protocol.reports import (
    Applied,
    Captured,
    CapturedKind,
    FirmwareState,
    Hello,
    Inventory,
    JournalBatch,
    Outcome,
    Report,
    Result,
    TimeRequest,
)
from lockserver.protocol.sealed import Box, box_info, unseal
from lockserver.protocol.wish import WishOperation, sign_wish
from tests.vectors.build_carriers import FIRMWARE, IMAGE, MANIFEST
from tests.vectors.build_documents import RELEASE, REVOCATION, STATE, STATE_FINGERS, WISH
from tests.vectors.cast import (
    COMMAND,
    HOLDER,
    ISSUER,
    LOCK,
    LOCK_ECDH,
    LOCK_ID,
    NOW,
    REPORT,
    claims,
    key,
    octets,
    scalar,
)


def entries() -> tuple[Entry, ...]:
    """A short, rightful history."""
    told: list[dict[str, object]] = [
        {"what": What.BOOTED, "how": How.SELF},
        {"what": What.CLOCK_SET, "how": How.REMOTE, "at": NOW, "uncertainty": 1},
        {
            "what": What.UNLOCKED,
            "how": How.BLE,
            "subject": octets("credential", 16),
            "at": NOW + 5,
            "uncertainty": 1,
        },
        {
            "what": What.DENIED,
            "how": How.BLE,
            "denial": Denial.REVOKED,
            "at": NOW + 9,
            "uncertainty": 1,
            "count": 31,
        },
        {"what": What.UNLOCKED, "how": How.PIN, "subject": 2, "at": NOW + 70, "uncertainty": 1},
        {"what": What.LOCKED, "how": How.SELF, "at": NOW + 75, "uncertainty": 1},
    ]
    return _history(told, Head())


def later_entries() -> tuple[Entry, ...]:
    """What a lock with a keypad, readers and sensors goes on to say."""
    subject = offline_subject(OfflinePin(3, PinCode.DAILY, NOW // 3600, 1))
    cleared = offline_subject(OfflinePin(3, PinCode.CLEAR, NOW // 3600))
    told: list[dict[str, object]] = [
        {"what": What.CAPTURED, "how": How.CARD, "subject": octets("credential", 16), "at": NOW + 80},
        {"what": What.UNLOCKED, "how": How.FINGER, "subject": 255, "at": NOW + 90, "uncertainty": 1},
        {"what": What.UNLOCKED, "how": How.PIN, "subject": subject, "at": NOW + 95, "uncertainty": 1},
        {"what": What.DENIED, "how": How.PIN, "denial": Denial.PIN_UNKNOWN, "at": NOW + 99, "count": 5},
        {"what": What.LOCKOUT, "how": How.PIN, "denial": Denial.KEYPAD_LOCKED, "at": NOW + 99},
        {"what": What.CLEARED, "how": How.PIN, "subject": cleared, "at": NOW + 900},
        {"what": What.DOOR_HELD, "how": How.SELF, "at": NOW + 999},
        {"what": What.FIRMWARE_REFUSED, "how": How.REMOTE, "denial": Denial.ROLLED_BACK},
    ]
    return _history(told, head_after(entries()[-1]))


def _history(told: list[dict[str, object]], head: Head) -> tuple[Entry, ...]:
    history: list[Entry] = []
    for row in told:
        history.append(Entry(number=head.number + 1, prev_hash=head.hash, **row))  # type: ignore[arg-type]  # a table
        head = head_after(history[-1])
    return tuple(history)


COMMANDS: dict[str, Command] = {
    "unlock": Command(
        octets("command id", 16),
        CommandKind.UNLOCK,
        ActBody(sign_wish(WISH, HOLDER.signer), issue_credential(claims(), ISSUER.signer)),
        counter=17,
        not_after=NOW + 20,
    ),
    "documents": Command(
        octets("command id 2", 16),
        CommandKind.DOCUMENTS,
        DocumentsBody(
            (
                SignedDocument(DocumentKind.REVOCATION, sign_revocation_list(REVOCATION, ISSUER.signer)),
                SignedDocument(DocumentKind.STATE, sign_access_state(STATE, ISSUER.signer)),
            )
        ),
    ),
    "journal ack": Command(
        octets("command id 3", 16),
        CommandKind.JOURNAL_ACK,
        JournalAckBody(6, head_after(entries()[-1]).hash),
    ),
    "say hello": Command(octets("command id 4", 16), CommandKind.SAY_HELLO, HelloBody()),
    "firmware": Command(
        octets("command id 5", 16),
        CommandKind.FIRMWARE,
        FirmwareBody(sign_firmware(MANIFEST, FIRMWARE.signer), 512, IMAGE[512:]),
    ),
    "firmware asks": Command(
        octets("command id 6", 16),
        CommandKind.FIRMWARE,
        FirmwareBody(sign_firmware(MANIFEST, FIRMWARE.signer), 0),
    ),
    "inventory": Command(octets("command id 7", 16), CommandKind.INVENTORY, InventoryBody()),
    "capture": Command(
        octets("command id 8", 16),
        CommandKind.CAPTURE,
        CaptureBody(
            sign_wish(replace(WISH, operation=WishOperation.ENROL_CARD), HOLDER.signer),
            issue_credential(claims(), ISSUER.signer),
        ),
        counter=18,
        not_after=NOW + 20,
    ),
    "release": Command(
        octets("command id 9", 16),
        CommandKind.DOCUMENTS,
        DocumentsBody((SignedDocument(DocumentKind.RELEASE, sign_release(RELEASE, ISSUER.signer)),)),
    ),
}

REPORTS: dict[str, Report] = {
    "hello": Hello(
        counter=16,
        state_version=7,
        list_number=42,
        key_set_number=1,
        epoch=3,
        occupied=True,
        journal=head_after(entries()[-1]),
        oldest_unacked=4,
        time=NOW,
        uncertainty=1,
        attested=True,
        bolt=BoltState.LOCKED,
        time_nonce=octets("time nonce", 8),
        battery=87,
    ),
    "hello, clock lost, gate": Hello(
        counter=0,
        state_version=0,
        list_number=0,
        key_set_number=1,
        epoch=None,
        occupied=False,
        journal=Head(),
        oldest_unacked=1,
        time=None,
        uncertainty=0,
        attested=False,
        bolt=BoltState.UNKNOWN,
        time_nonce=octets("time nonce 2", 8),
    ),
    "done": Result(octets("command id", 16), Outcome.DONE, BoltState.UNLOCKED, 17, None, NOW + 1, 7),
    "refused": Result(
        octets("command id", 16), Outcome.REFUSED, BoltState.LOCKED, 17, Denial.STALE_COMMAND, NOW + 30, 7
    ),
    "journal": JournalBatch(entries()),
    "time request": TimeRequest(octets("time nonce 3", 8)),
    "applied": Applied(7, 42, 1, 3, occupied=True, command_id=octets("command id 2", 16)),
    "applied, some refused": Applied(
        7, 42, 1, None, occupied=False, denials=(Denial.ROLLED_BACK, Denial.WRONG_LOCK)
    ),
    "hello, all of it": Hello(
        counter=18,
        state_version=8,
        list_number=42,
        key_set_number=1,
        epoch=3,
        occupied=True,
        journal=head_after(entries()[-1]),
        oldest_unacked=7,
        time=NOW + 9,
        uncertainty=2,
        attested=True,
        bolt=BoltState.JAMMED,
        time_nonce=octets("time nonce 4", 8),
        battery=19,
        door=DoorState.OPEN,
        tampered=False,
        firmware=6,
        firmware_version="1.6.2",
        battery_age=86400,
        jams=3,
    ),
    "captured": Captured(CapturedKind.CARD, octets("card", 16), octets("credential", 16), already=False),
    "captured again": Captured(
        CapturedKind.FINGER, octets("finger", 16), octets("credential", 16), already=True
    ),
    "inventory": Inventory(
        8,
        42,
        3,
        STATE_FINGERS.pins,
        STATE_FINGERS.cards,
        STATE_FINGERS.fingers,
        tuple(
            activation(OfflinePin(3, code, NOW // 3600, n))
            for n, code in enumerate((PinCode.ONE_TIME, PinCode.WEEK))
        ),
    ),
    "inventory of a gate": Inventory(0, 0, None),
    "firmware comes": FirmwareState(6, "1.6.2", 512, 7),
    "firmware refused": FirmwareState(6, "1.6.2", 0, 7, Denial.BAD_SIGNATURE),
    "firmware": FirmwareState(7, "1.7.0", 0),
}


def _command_row(name: str) -> dict[str, object]:
    ephemeral = key(f"command {name}")
    box = seal_command(COMMANDS[name], LOCK_ID, LOCK_ECDH.public, COMMAND.signer, ephemeral)
    signed = unseal(LOCK_ECDH.private, box, box_info(Box.COMMAND, LOCK_ID))
    return {
        "name": name,
        "ephemeral_scalar": scalar(ephemeral).hex(),
        "signed": signed.hex(),
        "hex": box.hex(),
    }


def _report_row(name: str, seq: int) -> dict[str, object]:
    ephemeral = key(f"report {name}")
    envelope = Envelope(LOCK_ID, Position(5, seq), REPORTS[name])
    box = seal_report(envelope, LOCK.signer, REPORT.public, ephemeral)
    signed = unseal(REPORT.private, box, box_info(Box.REPORT, LOCK_ID))
    return {
        "name": name,
        "boot": 5,
        "seq": seq,
        "ephemeral_scalar": scalar(ephemeral).hex(),
        "signed": signed.hex(),
        "hex": box.hex(),
    }


def envelope_vectors() -> object:
    """Sealed commands and reports with the keys to open them."""
    return {
        "lock_id": LOCK_ID.hex(),
        "lock_public": LOCK.public.hex(),
        "lock_ecdh_scalar": scalar(LOCK_ECDH.private).hex(),
        "command_public": COMMAND.public.hex(),
        "report_scalar": scalar(REPORT.private).hex(),
        "commands": [_command_row(name) for name in COMMANDS],
        "reports": [_report_row(name, seq) for seq, name in enumerate(REPORTS, 1)],
    }


def journal_vectors() -> object:
    """Entries as rows with their hashes."""
    return {
        "genesis": bytes(32).hex(),
        "entries": [
            {
                "row": [v.hex() if isinstance(v, bytes) else v for v in entry_row(entry)],
                "hash": entry_hash(entry).hex(),
            }
            for entry in entries()
        ],
        "later": [
            {
                "row": [v.hex() if isinstance(v, bytes) else v for v in entry_row(entry)],
                "hash": entry_hash(entry).hex(),
            }
            for entry in later_entries()
        ],
    }
