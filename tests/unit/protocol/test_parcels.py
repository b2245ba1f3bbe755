"""Parcels after M4: in order, both ways, and unreadable and unforgeable for who listens."""

from collections.abc import Callable
from functools import partial

import pytest

from lockserver.protocol import parcels
from lockserver.protocol.access import Operation
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import aead_open, aead_seal
from lockserver.protocol.errors import Denial, LocalError
from lockserver.protocol.limits import MAX_MESSAGE, MAX_PARCELS
from lockserver.protocol.parcels import MAX_CONTENT, Channel, Parcel, ParcelKind
from tests.vectors.build_handshake import ANSWER
from tests.vectors.cast import HOLDER, ISSUER, TRUST, claims, code_of, lock_side, octets, phone_side


def channels() -> tuple[Channel, Channel]:
    phone, lock = phone_side(), lock_side()
    phone.receive_m2(lock.greet(phone.hello()))
    credential = issue_credential(claims(), ISSUER.signer)
    lock.receive(phone.request(credential, Operation.SYNC, HOLDER.signer), TRUST)
    phone.receive_m4(lock.answer(ANSWER))
    return phone.channel(), lock.channel()


def parcel(label: str, length: int = 40) -> Parcel:
    return Parcel(ParcelKind.COMMAND, octets(label, length))


def test_parcels_arrive_in_order_both_ways() -> None:
    phone, lock = channels()
    for n in range(3):
        assert lock.unpack(phone.pack(parcel(f"down {n}"))) == parcel(f"down {n}")
        assert phone.unpack(lock.pack(parcel(f"up {n}"))) == parcel(f"up {n}")
    assert octets("x", 40) not in phone.pack(parcel("x"))


def misdelivered() -> dict[str, Callable[[Channel, Channel], bytes]]:
    """Ways of the air to hand a lock something other than the next parcel."""

    def skipped(phone: Channel, _: Channel) -> bytes:
        phone.pack(parcel("lost"))
        return phone.pack(parcel("next"))

    def reflected(_: Channel, lock: Channel) -> bytes:
        return lock.pack(parcel("its own"))

    def tampered(phone: Channel, _: Channel) -> bytes:
        good = phone.pack(parcel("good"))
        return good[:-1] + bytes([good[-1] ^ 1])

    def renumbered(phone: Channel, _: Channel) -> bytes:
        phone.pack(parcel("lost"))
        second = phone.pack(parcel("second"))
        return second[:1] + b"\0\0" + second[3:]

    return {"skipped": skipped, "reflected": reflected, "tampered": tampered, "renumbered": renumbered}


@pytest.mark.parametrize("name", list(misdelivered()))
def test_anything_but_the_next_parcel_is_refused_and_ends_the_channel(name: str) -> None:
    phone, lock = channels()
    message = misdelivered()[name](phone, lock)
    assert code_of(partial(lock.unpack, message)) in {Denial.BAD_BOX, Denial.BAD_FORMAT}
    fresh_phone, _ = channels()
    assert code_of(partial(lock.unpack, fresh_phone.pack(parcel("later")))) is Denial.WRONG_STATE


def test_a_replayed_parcel_is_refused() -> None:
    phone, lock = channels()
    first = phone.pack(parcel("first"))
    lock.unpack(first)
    assert code_of(partial(lock.unpack, first)) is Denial.BAD_FORMAT


def test_mutant_channel_with_one_nonce_for_all_takes_a_renumbered_parcel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parcels, "_nonce", lambda iv, _: iv)
    monkeypatch.setattr(parcels, "aead_seal", lambda k, n, p, _: aead_seal(k, n, p, b""))
    monkeypatch.setattr(parcels, "aead_open", lambda k, n, c, _: aead_open(k, n, c, b""))
    phone, lock = channels()
    message = misdelivered()["renumbered"](phone, lock)
    assert code_of(partial(lock.unpack, message)) is None


def test_sizes_and_counts_are_bounded() -> None:
    phone, lock = channels()
    full = phone.pack(parcel("full", MAX_CONTENT))
    assert len(full) <= MAX_MESSAGE
    assert lock.unpack(full) == parcel("full", MAX_CONTENT)
    with pytest.raises(LocalError):
        phone.pack(parcel("too full", MAX_CONTENT + 1))
    for _ in range(MAX_PARCELS - 1):
        phone.pack(parcel("n", 1))
    with pytest.raises(LocalError):
        phone.pack(parcel("n", 1))
