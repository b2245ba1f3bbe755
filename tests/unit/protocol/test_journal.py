"""The journal proves its own completeness: what is missing, doubled or rewritten is named (L-21)."""

import random
from dataclasses import replace

import pytest

from lockserver.protocol import journal
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.journal import (
    Entry,
    FlawKind,
    Head,
    How,
    What,
    entry_hash,
    entry_row,
    head_after,
    read_entry,
    verify_chain,
)
from tests.vectors.build_envelopes import entries
from tests.vectors.cast import NOW, octets


def history(length: int, how: How = How.BLE) -> list[Entry]:
    told: list[Entry] = []
    head = Head()
    for n in range(length):
        told.append(Entry(n + 1, head.hash, What.UNLOCKED, how, octets(f"c{n}", 16), at=NOW + n))
        head = head_after(told[-1])
    return told


def named(found: journal.Chain) -> list[tuple[FlawKind, int, int]]:
    return [(flaw.kind, flaw.number, flaw.missing) for flaw in found.flaws]


def test_a_whole_history_is_accepted_in_one_or_many_batches() -> None:
    told = history(30)
    whole = verify_chain(Head(), told)
    assert whole == journal.Chain(tuple(told), head_after(told[-1]), ())
    head = Head()
    for start in range(0, 30, 7):
        part = verify_chain(head, told[start : start + 7])
        assert part.flaws == ()
        head = part.head
    assert head == whole.head


def test_rows_read_as_they_were_written() -> None:
    for entry in entries():
        assert read_entry(entry_row(entry)) == entry
    for wrong in ([], entry_row(entries()[0])[:-1], [0, *entry_row(entries()[0])[1:]], "x", None):
        with pytest.raises(RemoteError):
            read_entry(wrong)


def test_L21_a_dropped_entry_is_a_named_gap_and_the_rest_is_kept() -> None:
    told = history(9)
    found = verify_chain(Head(), told[:3] + told[5:])
    assert named(found) == [(FlawKind.GAP, 6, 2)]
    assert found.accepted == tuple(told[:3] + told[5:])


def test_L21_a_repeat_is_skipped_and_named() -> None:
    told = history(6)
    found = verify_chain(Head(), [*told[:4], told[1], told[3], *told[4:]])
    assert named(found) == [(FlawKind.REPEAT, 2, 0), (FlawKind.REPEAT, 4, 0)]
    assert found.accepted == tuple(told)


@pytest.mark.parametrize("number", [2, 5, 6])
def test_L21_a_rewritten_entry_is_a_fork(number: int) -> None:
    told = history(6)
    told[number - 1] = replace(told[number - 1], what=What.DENIED)
    found = verify_chain(Head(), told)
    if number == len(told):  # the last one contradicts nothing yet; it does once it is known
        truth = head_after(history(6)[-1])
        assert named(verify_chain(truth, told[-1:])) == [(FlawKind.FORK, 6, 0)]
    else:
        assert named(found) == [(FlawKind.FORK, number + 1, 0)]
        assert len(found.accepted) == number


def test_L21_another_history_under_the_known_head_is_a_fork() -> None:
    other = history(6, How.REMOTE)
    found = verify_chain(head_after(history(6)[2]), other[3:])
    assert (named(found), found.accepted) == ([(FlawKind.FORK, 4, 0)], ())
    found = verify_chain(head_after(history(6)[2]), other[2:])
    assert named(found) == [(FlawKind.FORK, 3, 0)]


def scrambled_reads_true(seed: int) -> bool:
    """20 % dropped, doubled or changed: what is accepted is the truth, and what is missing is named."""
    source = random.Random(seed)
    told = history(40)
    sent: list[Entry] = []
    missing = 0
    for entry in told[:-1]:
        fate = source.random()
        if fate < 0.1:
            missing += 1
            continue
        sent += [entry, entry] if fate < 0.2 else [entry]
    sent.append(told[-1])
    if source.random() < 0.5:
        at = source.randrange(len(sent) - 1)
        forged = replace(sent[at], subject=octets("forged", 16))
        sent[at] = forged
        found = verify_chain(Head(), sent)
        # a gap right behind the forgery hides it from the chain alone; the gap itself is then named
        behind = next((e for e in sent[at + 1 :] if e.number > forged.number), None)
        adjacent = behind is not None and behind.number == forged.number + 1
        doubled = any(e.number == forged.number for i, e in enumerate(sent) if i != at)
        return any(f.kind is FlawKind.FORK for f in found.flaws) or not (adjacent or doubled)
    found = verify_chain(Head(), sent)
    gaps = sum(flaw.missing for flaw in found.flaws if flaw.kind is FlawKind.GAP)
    return (
        gaps == missing and found.accepted == tuple(dict.fromkeys(sent)) and len(found.accepted) + gaps == 40
    )


def test_L21_what_is_dropped_doubled_or_forged_is_named() -> None:
    assert all(scrambled_reads_true(seed) for seed in range(200))


def test_L21_mutant_chain_that_ignores_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "entry_hash", lambda _: bytes(32))
    monkeypatch.setattr(Entry, "__eq__", lambda a, b: a.number == b.number)
    found = verify_chain(Head(), [replace(e, prev_hash=bytes(32)) for e in history(6)])
    assert found.flaws == ()  # a rewritten history passes: the hash is what catches it


def test_L21_mutant_chain_that_ignores_numbers() -> None:
    def careless(prev: Head, told: list[Entry]) -> journal.Chain:
        renumbered = [replace(e, number=prev.number + n) for n, e in enumerate(told, 1)]
        return verify_chain(prev, renumbered)

    told = history(9)
    assert named(careless(Head(), told[:3] + told[5:])) != [(FlawKind.GAP, 6, 2)]


def test_the_hash_covers_every_field() -> None:
    entry = entries()[3]
    changed = [
        replace(entry, number=9),
        replace(entry, prev_hash=bytes(32)),
        replace(entry, what=What.LOCKED),
        replace(entry, how=How.PIN),
        replace(entry, subject=3),
        replace(entry, denial=None),
        replace(entry, at=None),
        replace(entry, uncertainty=None),
        replace(entry, count=1),
    ]
    assert len({entry_hash(e) for e in [entry, *changed]}) == 10
