"""What a phone does at a door: open it, carry documents in and reports out, claim it."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.cose import peek
from lockserver.protocol.curve import SIGNATURE, TAG, private_key
from lockserver.protocol.enrolment import read_e2, read_e4, write_e1, write_e3
from lockserver.protocol.errors import AirCode, Denial, RemoteError
from lockserver.protocol.handshake import Answer, LockInfo, PhoneHandshake
from lockserver.protocol.limits import MAX_DOCUMENTS, MAX_MESSAGE
from lockserver.protocol.parcels import Parcel, ParcelKind
from mobile_api.phone.conversation import Conversation, find
from mobile_api.phone.errors import DoorGoneError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from lockserver.protocol.curve import Signer
    from mobile_api.phone.radio import PhoneRadio

#: Seconds of silence after which the lock has said all it had to say.
QUIET = 0.25

#: Bytes of M3 beside credential and documents: head, tag, signature and CBOR heads.
_M3_FRAME = 1 + TAG + SIGNATURE + 16
#: Bytes of a carried document's row beside it.
_ROW = 8


@dataclass(frozen=True, slots=True)
class DoorKey:
    """All that a phone needs for one door, as it came from the issuer by a sync."""

    lock_id: bytes
    lock_public: bytes
    credential: bytes
    documents: tuple[SignedDocument, ...] = ()


@dataclass(slots=True)
class Visit:
    """What happened at a door: the lock's answer, its clock and nonce, and sealed reports taken along."""

    answer: Answer
    info: LockInfo
    reports: list[bytes] = field(default_factory=list)

    @property
    def opened(self) -> bool:
        """Whether the lock said that it moved."""
        return self.answer.code is AirCode.GRANTED


async def visit(
    radio: PhoneRadio,
    key: DoorKey,
    holder: Signer,
    *,
    operation: Operation = Operation.UNLOCK,
    parcels: Sequence[bytes] = (),
    collect: bool = True,
    patience: float = 0.0,
) -> Visit:
    """Find the door, prove both sides, ask, carry sealed `parcels` in and reports out.

    `patience`: seconds to stay although the lock says nothing (a capture waits for somebody's card).

    Raises `NoSuchDoorError`, `DoorGoneError`, `RefusedError` (`7F`), and `RemoteError` when the lock
    is not the one that was pinned: nothing has then been said about the holder.
    """
    device = await find(radio, key.lock_id)
    async with Conversation(radio, device) as door:
        handshake = PhoneHandshake(key.lock_id, key.lock_public, private_key(secrets.token_bytes))
        info = handshake.receive_m2(await door.ask(handshake.hello()))
        news = fitting(key.credential, news_for(info, key.documents))
        m3 = handshake.request(key.credential, operation, holder, news)
        try:
            answer = handshake.receive_m4(await door.ask(m3))
        except RemoteError as error:
            if error.code is Denial.BURNT:
                raise RefusedError(error.code.word) from error
            raise
        result = Visit(answer, info)
        if answer.code is AirCode.GRANTED and (collect or parcels):
            channel = handshake.channel()
            for content in parcels:
                await door.send(channel.pack(Parcel(ParcelKind.COMMAND, content)))
            await _gather(door, channel.unpack, result, patience)
        return result


async def _gather(
    door: Conversation, unpack: Callable[[bytes], Parcel], result: Visit, patience: float
) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            parcel = unpack(await door.hear(max(QUIET, until - loop.time())))
        except DoorGoneError:
            return
        if parcel.kind is ParcelKind.REPORT:
            result.reports.append(parcel.content)


def news_for(info: LockInfo, documents: Sequence[SignedDocument]) -> list[SignedDocument]:
    """Of what we carry, what the lock does not have yet, by the numbers in its M2.

    Time statements are only good for the nonce they were made for, so all are offered; an access
    state's version is not in M2, and the lock passes over one that it holds; a release is always news.
    """
    news = []
    for signed in documents:
        number = _number(signed)
        held = {DocumentKind.KEYS: info.key_set_number, DocumentKind.REVOCATION: info.list_number}
        if number is None or number > held.get(signed.kind, -1):
            news.append(signed)
    return news


def fitting(credential: bytes, documents: Sequence[SignedDocument]) -> list[SignedDocument]:
    """Those that fit M3 beside the credential, in their order: the others go at the next opening."""
    room = MAX_MESSAGE - _M3_FRAME - len(credential)
    taken: list[SignedDocument] = []
    for signed in documents:
        if len(taken) < MAX_DOCUMENTS and len(signed.raw) + _ROW <= room:
            room -= len(signed.raw) + _ROW
            taken.append(signed)
    return taken


def _number(signed: SignedDocument) -> int | None:
    """The number a list or key set claims; the phone need not believe it, the lock verifies."""
    fields = {DocumentKind.KEYS: 1, DocumentKind.REVOCATION: 2}
    if signed.kind not in fields:
        return None
    value = peek(signed.raw).get(fields[signed.kind])
    return value if isinstance(value, int) else None


async def claim(
    radio: PhoneRadio,
    serial: str,
    owner: Signer,
    enrol: Callable[[bytes], Awaitable[tuple[bytes, bytes]]],
) -> bytes:
    """Carry a lock's enrolment as its owner, after its button was pressed.

    `enrol` takes the LK1-OFFER to the server and returns (LK1-ENROL, MAC). Returns the lock's sealed
    first report, for the server. Raises `RefusedError` when the lock refuses.
    """
    device = await find(radio, serial.encode(), claimable=True)
    async with Conversation(radio, device) as door:
        try:
            offer = read_e2(await door.ask(write_e1(owner.public)))
            signed, mac = await enrol(offer)
            return read_e4(await door.ask(write_e3(signed, mac)))
        except RemoteError as error:
            raise RefusedError(error.code.word) from error
