"""L-32: a ciphertext opens where it was sealed, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.db import sealed as room
from lockserver.db.sealed import SealedFields
from lockserver.domain.errors import CiphertextMovedError

OLD, NEW = bytes(32), bytes(range(32))
names = st.text(min_size=1, max_size=12)
places = st.tuples(names, names, st.binary(min_size=1, max_size=24))


def opened(fields: SealedFields, data: bytes, place: tuple[str, str, bytes]) -> bytes:
    return fields.open(data, table=place[0], column=place[1], row=place[2])


def sealed_at(fields: SealedFields, place: tuple[str, str, bytes], plain: bytes = b"seed") -> bytes:
    return fields.seal(plain, table=place[0], column=place[1], row=place[2])


@given(places, places, st.binary(max_size=40))
def test_L32_moved_means_closed(
    here: tuple[str, str, bytes], there: tuple[str, str, bytes], plain: bytes
) -> None:
    fields = SealedFields(NEW)
    data = sealed_at(fields, here, plain)
    assert opened(fields, data, here) == plain
    if here != there:
        with pytest.raises(CiphertextMovedError):
            opened(fields, data, there)


def test_L32_mutant_without_lengths_two_places_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = SealedFields(NEW)
    here, there = ("cases", "key", b"x"), ("case", "skey", b"x")
    with pytest.raises(CiphertextMovedError):
        opened(fields, sealed_at(fields, here), there)
    monkeypatch.setattr(room, "_place", lambda t, c, r: t.encode() + c.encode() + r)
    assert opened(fields, sealed_at(fields, here), there) == b"seed"


@given(st.data())
def test_any_changed_byte_closes_it(data: st.DataObject) -> None:
    fields = SealedFields(NEW)
    place = ("locks", "seed_sealed", b"row")
    good = sealed_at(fields, place)
    where = data.draw(st.integers(0, len(good) - 1))
    bad = good[:where] + bytes([good[where] ^ data.draw(st.integers(1, 255))]) + good[where + 1 :]
    with pytest.raises(CiphertextMovedError):
        opened(fields, bad, place)
    for cut in range(len(good)):
        with pytest.raises(CiphertextMovedError):
            opened(fields, good[:cut], place)


def test_an_old_key_still_opens_and_a_lost_one_does_not() -> None:
    place = ("cases", "sealed_key", b"1")
    before = sealed_at(SealedFields(OLD), place)
    both = SealedFields(NEW, OLD)
    assert opened(both, before, place) == b"seed"
    assert not both.is_current(before)
    assert both.is_current(sealed_at(both, place))
    with pytest.raises(CiphertextMovedError):
        opened(SealedFields(NEW), before, place)
