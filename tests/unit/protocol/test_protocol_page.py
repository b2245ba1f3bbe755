"""``docs/protocol.md`` says what the code does, and the model covers the message table that stands there."""

import hashlib
import json
import re
from enum import IntEnum
from pathlib import Path

import pytest

from lockserver.domain.canonical import dumps
from lockserver.protocol import limits, pin
from lockserver.protocol.access import NEEDS, Operation
from lockserver.protocol.bolt import DoorState
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.commands import CommandKind
from lockserver.protocol.cose import Kind
from lockserver.protocol.errors import AirCode, Denial, air_code
from lockserver.protocol.gateway import CarryFault
from lockserver.protocol.handshake import LOCK_TABLE, PHONE_TABLE
from lockserver.protocol.journal import What
from lockserver.protocol.pin import PinCode
from lockserver.protocol.reports import ReportKind
from lockserver.protocol.sealed import Box
from lockserver.protocol.slots import SlotKind
from lockserver.protocol.wish import WishOperation, digest_of

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "protocol.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())
MODEL = (DOCS / "model" / "lk1.pv").read_bytes()
RECORD = (DOCS / "model" / "README.md").read_text(encoding="utf-8")


def rows(header: str) -> list[list[str]]:
    """Cells of the table whose header line starts with ``header``."""
    after = PAGE.split(f"\n{header}", 1)[1].split("\n")[2:]
    table = []
    for line in after:
        if not line.startswith("|"):
            break
        table.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return table


def test_the_state_tables_are_the_ones_that_run() -> None:
    for header, table in (("| phone: in state", PHONE_TABLE), ("| lock: in state", LOCK_TABLE)):
        assert rows(header) == [[s.value, e.value, n.value] for (s, e), n in table.items()]


def test_the_codes_are_the_ones_that_run() -> None:
    assert rows("| number | denial |") == [[str(d.value), d.word, air_code(d).word] for d in Denial]
    words = ", ".join(f"{code.value} {code.word.replace('_', ' ')}" for code in AirCode)
    assert f"M4 codes: {words}." in PAGE


def test_the_limits_are_the_ones_that_run() -> None:
    named = {name: str(value) for name, value in vars(limits).items() if name.isupper()}
    assert {name: value for name, value, _ in rows("| name | value |")} == named


def test_the_kinds_and_boxes_are_the_ones_that_run() -> None:
    assert [row[0] for row in rows("| kind | signed by |")] == [kind.value for kind in Kind]
    listed = {word.strip(" `") for row in rows("| purpose |") for word in row[0].split("·")}
    assert listed == {box.value for box in Box}


def test_the_numbers_in_the_text_are_the_ones_that_run() -> None:
    assert ", ".join(f"{c.value} {c.name.lower()}" for c in HolderClass) in PAGE
    for operation in Operation:
        assert f"{operation.value} {operation.name.lower().replace('_', ' ')}" in PAGE
    for kind in (*CommandKind, *ReportKind):
        assert re.search(rf"\| (.* · )?{kind.value} {kind.name.lower().replace('_', ' ')}\b", PAGE), kind
    for bit in Capability:
        assert f"{bit.value} {(bit.name or '').lower().replace('_', ' ')}" in PAGE
    assert NEEDS[Operation.SYNC] == Capability(0)


def words(member: IntEnum) -> str:
    return member.name.lower().replace("_", " ")


def test_the_wishes_are_the_ones_that_run() -> None:
    assert [row[:2] for row in rows("| wish | wants |")] == [[str(w.value), words(w)] for w in WishOperation]


def test_the_codes_of_offline_pins_are_the_ones_that_run() -> None:
    table = rows("| code | PIN |")
    assert [row[:3] for row in table] == [[str(c.value), words(c), str(c.life)] for c in PinCode]
    for code, (*_, opens) in zip(PinCode, table, strict=True):
        assert ("once" in opens) is code.one_time
        period = re.search(r"mod (\d+) < (\d+)", opens)
        said = {int(period[1]): int(period[2])} if period else {}
        assert said == ({pin.PERIODS[code]: pin.RECURRING} if code in pin.PERIODS else {})


def test_the_rules_and_kinds_are_the_ones_that_run() -> None:
    assert [row[0] for row in rows("| rule | a PIN is weak if |")] == list(pin.WEAKNESSES)
    assert [row[0] for row in rows("| kind of slot |")] == [kind.value for kind in SlotKind]
    assert [row[0] for row in rows("| fault | means |")] == [str(fault.value) for fault in CarryFault]
    for fault, row in zip(CarryFault, rows("| fault | means |"), strict=True):
        assert row[1].startswith(words(fault))
    for entry in What:
        assert re.search(rf"\b{entry.value} {words(entry)}\b", PAGE), entry
    for door in DoorState:
        assert f"{door.value} {words(door)}" in PAGE


def test_the_lockout_in_the_text_is_the_one_that_runs() -> None:
    pauses = [str(seconds) for seconds in limits.LOCKOUT_PAUSES]
    assert f"for {pauses[0]} s, the next for {', '.join(pauses[1:])} s" in FLAT
    assert f"start + {limits.USED_PIN_KEPT}," in FLAT
    assert f"iat + {limits.RELEASE_LIFE}" in FLAT
    assert f"(1 to {limits.MAX_FIRMWARE})" in FLAT


def test_the_digests_of_granting_wishes_are_the_ones_that_run() -> None:
    examples = rows("| J | `of` |")
    assert len(examples) == 2
    for canonical, of in examples:
        assert digest_of(bytes(range(16)), canonical.encode()).hex() == of
        assert dumps(dict(reversed(json.loads(canonical).items()))).decode() == canonical


# ------------------------------------------------------------------------------------ the model


def message_table(page: str) -> str:
    return page.split("these two marks -->\n", 1)[1].split("<!-- end of message table -->", 1)[0]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def recorded(name: str) -> str:
    found = re.search(rf"^\| {re.escape(name)} \| `([0-9a-f]{{64}})` \|$", RECORD, re.MULTILINE)
    assert found is not None, name
    return found[1]


def agrees(page: str, model: bytes) -> bool:
    """Whether the recorded result is about this message table and this model."""
    return recorded("message table") == digest(message_table(page).encode()) and recorded("lk1.pv") == digest(
        model
    )


def test_the_recorded_proof_covers_this_table_and_this_model() -> None:
    assert agrees(PAGE, MODEL), "table or model changed: run the model again, then record both hashes"


@pytest.mark.parametrize(
    "change", [("th3 || H(", "H("), ("salt = th1", "salt = 0"), ("M1 phone", "M0 phone")]
)
def test_mutant_a_table_changed_alone_is_caught(change: tuple[str, str]) -> None:
    assert change[0] in message_table(PAGE)
    assert not agrees(PAGE.replace(*change), MODEL)


def test_mutant_a_model_changed_alone_is_caught() -> None:
    assert not agrees(PAGE, MODEL.replace(b"verify(sigP", b"verify(sigL"))


def test_the_rest_of_the_page_may_change_without_the_model() -> None:
    assert agrees(PAGE + "\nA new chapter.\n", MODEL)
