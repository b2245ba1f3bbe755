"""L-01: any bytes, any split, end in an event or a RemoteError, never in another exception.

Memory stays bounded, and a stream read whole is a stream read byte by byte.
"""

import random
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockserver.protocol import codec
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.framing import HEADER, Fragmenter, Reassembler
from lockserver.protocol.limits import MAX_MESSAGE
from tests.property.hostile_bytes import (
    GOLDEN,
    INNER_DOORS,
    OPEN_DOORS,
    PAYLOADS,
    any_payload,
    anything,
    cbor_bytes,
    escapes,
    spoil,
)

TEXTS = {"topic", "gateway's topic", "enrolment's topic"}
hard = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("door", list(OPEN_DOORS))
@hard
@given(data=anything)
def test_L01_any_bytes_at_any_door(door: str, data: bytes) -> None:
    assert escapes(OPEN_DOORS[door], data) is None


@pytest.mark.parametrize("door", list(INNER_DOORS))
@hard
@given(payload=any_payload)
def test_L01_any_payload_under_a_right_signature_or_key(door: str, payload: bytes) -> None:
    assert escapes(INNER_DOORS[door], payload) is None


def corpus(seeds: list[bytes], count: int = 600) -> list[bytes]:
    source = random.Random(7)
    return [spoil(source.choice(seeds), source) for _ in range(count)]


def _bare_cbor(data: bytes) -> object:
    """A reader that trusts its CBOR library to raise only its own errors."""
    try:
        return cbor2.loads(data)[0]
    except cbor2.CBORDecodeError as error:
        raise RemoteError(Denial.BAD_FORMAT) from error


def _bare_index(data: bytes) -> object:
    """A reader that takes the fields it expects."""
    fields = codec.decode(data)
    return fields[1], fields[2]  # type: ignore[index]  # the mistake itself


def _bare_length(data: bytes) -> object:
    """A framing that believes the length it reads."""
    length = int.from_bytes(data[:2], "big")
    return data[2 : 2 + length][length - 1]


@pytest.mark.parametrize(
    ("mutant", "seeds"), [(_bare_cbor, GOLDEN), (_bare_index, PAYLOADS), (_bare_length, GOLDEN)]
)
def test_L01_mutant_reader_is_caught(mutant: Callable[[bytes], object], seeds: list[bytes]) -> None:
    assert any(escapes(mutant, data) is not None for data in corpus(seeds))


def test_L01_the_corpus_reaches_behind_every_door() -> None:
    """A fuzzer whose every input dies at the first byte proves nothing: each door is also passed."""
    for door in OPEN_DOORS.keys() - {"enrolment", *TEXTS}:  # a MAC of zeros; text
        assert any(passes(OPEN_DOORS[door], data) for data in GOLDEN), door
    for door in INNER_DOORS:
        assert any(passes(INNER_DOORS[door], data) for data in PAYLOADS + GOLDEN), door


def passes(decoder: Callable[[bytes], object], data: bytes) -> bool:
    try:
        decoder(data)
    except RemoteError:
        return False
    return True


@hard
@given(data=cbor_bytes)
def test_L07_what_decodes_has_exactly_one_encoding(data: bytes) -> None:
    try:
        value = codec.decode(data)
    except RemoteError:
        return
    assert codec.encode(value) == data
    assert cbor2.loads(data) == value  # and the library, asked plainly, reads the same


def _lenient(data: bytes) -> object:
    """A reader that takes any encoding."""
    return cbor2.loads(data)


def test_L07_mutant_lenient_reader_takes_a_second_encoding() -> None:
    second = bytes.fromhex("a202000100")
    assert _lenient(second) == {2: 0, 1: 0}
    assert escapes(codec.decode, second) is None
    assert not passes(codec.decode, second)


@hard
@given(data=st.sampled_from([g for g in GOLDEN if g[:1] == b"\x84"]), extra=st.binary(min_size=1, max_size=3))
def test_L07_nothing_signed_survives_trailing_bytes(data: bytes, extra: bytes) -> None:
    for door in ("credential", "door", "revocation list", "time", "access state", "key set", "wish"):
        assert not passes(OPEN_DOORS[door], data + extra)


@hard
@given(index=st.integers(0, 10**6), bit=st.integers(0, 7), seed=st.sampled_from(GOLDEN))
def test_L19_one_changed_bit_never_passes_as_the_same_signed_thing(index: int, bit: int, seed: bytes) -> None:
    changed = bytearray(seed)
    changed[index % len(seed)] ^= 1 << bit
    for door in ("credential", "door", "time", "wish", "request", "command", "report", "M2", "M4", "parcel"):
        assert not passes(OPEN_DOORS[door], bytes(changed))


# ------------------------------------------------------------------------------------- framing


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def read_in(parts: list[bytes], reader: Callable[[], Reassembler] = Reassembler) -> tuple[list[bytes], str]:
    """Every message, and how the stream ended."""
    reassembler, messages = reader(), list[bytes]()
    for part in parts:
        try:
            messages += reassembler.push(part)
        except RemoteError as error:
            return messages, error.code.word
    return messages, f"{reassembler.pending} pending"


streams = st.one_of(
    st.binary(max_size=200),
    st.lists(st.binary(min_size=1, max_size=60), max_size=6).map(
        lambda messages: b"".join(b"".join(Fragmenter(23).split(m)) for m in messages)
    ),
)


def same(stream: bytes, cuts: list[int], reader: Callable[[], Reassembler] = Reassembler) -> bool:
    """Whether whole, byte by byte and this split give the same messages and the same end.

    A refusal drops the messages that came whole in the same push: the connection ends with it anyway.
    """
    whole, end = read_in([stream], reader)
    single, single_end = read_in([stream[i : i + 1] for i in range(len(stream))], reader)
    split, split_end = read_in(pieces(stream, cuts), reader)
    if end.endswith("pending"):
        return (whole, end) == (single, single_end) == (split, split_end)
    return end == single_end == split_end and whole == single[: len(whole)] and split == single[: len(split)]


@settings(max_examples=400, deadline=None)
@given(stream=streams, cuts=st.lists(st.integers(0, 10**6), max_size=8))
def test_L01_whole_is_byte_by_byte(stream: bytes, cuts: list[int]) -> None:
    assert same(stream, cuts)


def test_L01_mutant_framing_that_needs_its_header_in_one_piece() -> None:
    class Impatient(Reassembler):
        def push(self, fragment: bytes) -> list[bytes]:
            if not self.pending and len(fragment) < HEADER:
                return []  # drops a header's first half
            return super().push(fragment)

    assert not same(b"\x00\x03abc", [1], Impatient)


@hard
@given(message=st.binary(min_size=1, max_size=MAX_MESSAGE), mtu=st.integers(23, 600))
def test_fragments_join_to_the_message_and_fit_the_attribute(message: bytes, mtu: int) -> None:
    fragments = Fragmenter(mtu).split(message)
    assert all(len(fragment) <= min(mtu - 3, 512) for fragment in fragments)
    assert read_in(fragments) == ([message], "0 pending")


def test_L01_a_slow_or_endless_sender_holds_one_message_at_most() -> None:
    reassembler = Reassembler()
    for _ in range(3):
        reassembler.push((MAX_MESSAGE).to_bytes(2, "big") + bytes(MAX_MESSAGE - 1))
        assert reassembler.pending <= MAX_MESSAGE + HEADER
        assert reassembler.push(b"\0") == [bytes(MAX_MESSAGE)]
    with pytest.raises(RemoteError):
        reassembler.push(b"\xff\xff")
    assert reassembler.pending == 0
    with pytest.raises(RemoteError, match="wrong_state"):
        reassembler.push(b"\x00\x01a")


def test_L01_no_bytes_make_the_decoder_take_much_memory() -> None:
    bombs = [
        bytes.fromhex(h)
        for h in (
            "5bffffffffffffffff",
            "9bffffffffffffffff",
            "bbffffffffffffffff",
            "9a7fffffff",
            "ba7fffffff",
            "7b7fffffffffffffff",
            "c5821b7fffffffffffffff01",
            "c4821b7fffffffffffffff01",
        )
    ]
    bombs += [b"\x81" * 4000 + b"\x00", b"\xd8\x1c\x81" * 1300, b"\x9f" * 4000, b"\xa1\x00" * 2000]
    for bomb in bombs:
        tracemalloc.start()
        assert not passes(codec.decode, bomb)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20, bomb[:8].hex()


@hard
@given(
    value=st.one_of(
        st.floats(),
        st.integers(min_value=2**53),
        st.just("\ud800"),
        st.just({b"k": 1}),
        st.just({None: 1}),
        st.just(object()),
    )
)
def test_what_the_wire_does_not_carry_is_our_own_error(value: object) -> None:
    for wrapped in (value, [value], {1: value}):
        with pytest.raises(LocalError):
            codec.encode(wrapped)
