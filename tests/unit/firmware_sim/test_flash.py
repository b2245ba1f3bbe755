"""Flash: what was put is there after any power cut, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.core.flash import BANK, Flash, PowerCutError
from firmware_sim.links.flash_file import FileMedium
from firmware_sim.links.memory import Cut, MemoryMedium

KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.one_of(st.none(), st.binary(max_size=40))
PUTS = st.lists(st.dictionaries(KEYS, VALUES, min_size=1), min_size=1, max_size=12)


def replay(puts: list[dict[str, bytes | None]]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for put in puts:
        for key, value in put.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
    return values


@given(PUTS, st.integers(0, 12), st.floats(0, 1))
def test_a_power_cut_leaves_a_whole_prefix_of_the_puts(
    puts: list[dict[str, bytes | None]], at: int, share: float
) -> None:
    medium = MemoryMedium()
    flash = Flash(medium)
    medium.cut = Cut(at, share)
    done = 0
    try:
        for put in puts:
            flash.put(put)
            done += 1
    except PowerCutError:
        pass
    after = Flash(medium)
    medium.cut = None
    held = {key: after.get(key) for key in after.names()}
    assert held in (replay(puts[:done]), replay(puts[: done + 1]))
    after.put({"again": b"works"})
    assert Flash(medium).get("again") == b"works"


def test_a_torn_write_that_were_trusted_would_be_seen() -> None:
    """The mutant: a reader without the CRC takes half a record for the truth."""
    medium = MemoryMedium()
    flash = Flash(medium)
    flash.put({"counter": b"\x00" * 30 + b"5"})
    size = len(medium.bank)
    medium.cut = Cut(0, 0.9)
    with pytest.raises(PowerCutError):
        flash.put({"counter": b"\x00" * 30 + b"6"})
    assert len(medium.bank) > size, "something of the torn record did arrive"
    assert Flash(medium).get("counter") == b"\x00" * 30 + b"5"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_full_bank_is_swapped_without_losing_anything(share: float) -> None:
    medium = MemoryMedium()
    flash = Flash(medium)
    flash.put({"kept": b"k" * 100})
    for i in range(BANK // 1000):
        flash.put({"filler": bytes([i % 256]) * 1000})
    assert len(medium.bank) < BANK
    after = Flash(medium)
    assert after.get("kept") == b"k" * 100
    assert len(after.get("filler") or b"") == 1000
    # and a cut in the swap itself keeps the old bank or the new one
    while len(medium.bank) < BANK - 1100:
        flash.put({"filler": b"z" * 1000})
    medium.cut = Cut(0, share)

    def fill() -> None:
        for _ in range(3):
            flash.put({"filler": b"y" * 1000})

    with pytest.raises(PowerCutError):
        fill()
    assert Flash(medium).get("kept") == b"k" * 100


def test_a_file_survives_its_process_and_keeps_its_secrets(tmp_path: Path) -> None:
    path = tmp_path / "flash" / "lock.bin"
    medium = FileMedium(path)
    Flash(medium).put({"key": b"secret"})
    medium.close()
    again = FileMedium(path)
    assert Flash(again).get("key") == b"secret"
    assert path.stat().st_mode & 0o077 == 0
    flash = Flash(again)
    for _ in range(BANK // 1000 + 2):
        flash.put({"filler": b"x" * 1000})
    flash.put({"last": b"word"})
    again.close()
    reopened = FileMedium(path)
    assert Flash(reopened).get("key") == b"secret"
    assert Flash(reopened).get("last") == b"word"
    reopened.close()


def test_a_wiped_file_holds_nothing_of_before_and_images_are_files_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "lock.flash"
    medium = FileMedium(path)
    flash = Flash(medium)
    flash.put({"seed": b"a secret of the door", "boot": b"7"})
    old = path.open("rb")  # a name that goes leaves its bytes on the disk
    flash.wipe({"boot"})
    assert (flash.get("seed"), flash.get("boot")) == (None, b"7")
    assert b"a secret of the door" not in path.read_bytes()
    assert b"a secret of the door" not in old.read()
    old.close()
    assert Flash(FileMedium(path)).names() == ["boot"]
    medium.write_image(0, 0, b"first")
    medium.write_image(0, 5, b"torn tail of a piece")
    medium.write_image(0, 5, b" second")
    assert medium.image(0) == b"first second"
    assert medium.image(1) == b""
    medium.erase_image(0)
    assert medium.image(0) == b""
    medium.close()


@pytest.mark.parametrize("write", range(3))
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_cut_in_a_wipe_leaves_all_or_after_the_next_boot_nothing(write: int, share: float) -> None:
    medium = MemoryMedium()
    flash = Flash(medium)
    flash.put({"seed": b"a secret of the door", "boot": b"7"})
    medium.cut = Cut(write, share)
    with pytest.raises(PowerCutError):
        flash.wipe({"boot"})
    again = Flash(medium)
    assert again.get("boot") == b"7"
    if again.get("seed") is None:
        assert b"a secret of the door" not in bytes(medium.bank) + bytes(medium.other)
    assert set(again.names()) in ({"boot"}, {"seed", "boot"})
