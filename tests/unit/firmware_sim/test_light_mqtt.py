"""The light client reads a broker that lies: whole, split, too long, no MQTT at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.links.mqtt_light import PACKET, BrokenError, packet, split, text


@given(bodies=st.lists(st.binary(max_size=400), max_size=6), cut=st.integers(1, 50))
def test_packets_come_out_as_they_went_in_however_they_are_cut(bodies: list[bytes], cut: int) -> None:
    stream = b"".join(packet(0x30, body) for body in bodies)
    buffer, got = bytearray(), []
    for at in range(0, len(stream), cut):
        buffer += stream[at : at + cut]
        got += [body for _, body in split(buffer)]
    assert got == bodies
    assert not buffer


@given(data=st.binary(max_size=300))
def test_any_bytes_are_packets_or_broken(data: bytes) -> None:
    try:
        split(bytearray(data))
    except BrokenError:
        return


@pytest.mark.parametrize("length", [PACKET + 1, 128**4 - 1])
def test_a_broker_that_announces_too_much_is_not_waited_for(length: int) -> None:
    announced = packet(0x30, b"")[:1] + _length(length)
    with pytest.raises(BrokenError):
        split(bytearray(announced))


def test_a_length_of_five_bytes_is_no_mqtt() -> None:
    with pytest.raises(BrokenError):
        split(bytearray(b"\x30\xff\xff\xff\xff\x01"))


def test_the_length_is_in_base_128() -> None:
    assert packet(0x30, bytes(321))[:3] == b"\x30\xc1\x02"  # OASIS MQTT 3.1.1, table 2.4 and its example
    assert text(b"MQTT") == b"\x00\x04MQTT"


def _length(size: int) -> bytes:
    digits = bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(digits)
