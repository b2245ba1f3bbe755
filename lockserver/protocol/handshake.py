r"""LK1, the handshake at the door: SIGMA-I over P-256, four messages, no IO.

    M1 phone -> lock   01 || version || eP
    M2 lock -> phone   02 || version || eL || AEAD2([info, sign_lock("LK1 lock" || th2 || info)])
    M3 phone -> lock   03 || AEAD3([credential, documents, operation,
                                    sign_holder("LK1 phone" || th3 || H([credential, documents, operation]))])
    M4 lock -> phone   04 || AEAD4([code, state, time, journal number, journal hash])

    th1 = H(M1)  PRK = Extract(th1, ECDH.x)  th2 = H(M1 || head of M2)  th3 = H(th2 || ct2)
    th4 = H(th3 || M3)  key, IV of message n = Expand(PRK, "LK1 n\0" || th_n, 28)  AAD = th_n

The state tables are data (``PHONE_TABLE``, ``LOCK_TABLE``); whatever is not in them is refused, and any
refusal burns the session.  The lock side does not decide: ``receive`` hands over a proven ``Attempt``,
the lock's core decides and calls ``answer``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.carried import (
    CheckedDocument,
    DocumentKind,
    SignedDocument,
    check_documents,
    check_key_sets,
    document_rows,
    read_document_rows,
)
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.credential import MAX_CREDENTIAL, Credential, read_credential
from lockserver.protocol.curve import (
    POINT,
    SIGNATURE,
    Signer,
    aead_open,
    aead_seal,
    ecdh,
    hkdf_extract,
    key_and_iv,
    public_bytes,
    sha256,
    verify,
)
from lockserver.protocol.documents import Trust
from lockserver.protocol.errors import AirCode, Denial, LocalError, RemoteError
from lockserver.protocol.fields import HASH, as_choice, as_list, as_octets, as_uint
from lockserver.protocol.journal import Head
from lockserver.protocol.limits import ID, MAX_MESSAGE, MAX_NUMBER, MAX_TIME, NONCE
from lockserver.protocol.parcels import Channel, channel_keys

VERSION: Final = 1
REFUSAL: Final = b"\x7f"
"""All that a lock says until a credential has verified: one byte, then the session is burnt."""

M1, M2, M3, M4 = 0x01, 0x02, 0x03, 0x04

_HEAD: Final = 2 + POINT
_LOCK_SIGNS: Final = b"LK1 lock"
_PHONE_SIGNS: Final = b"LK1 phone"


class State(StrEnum):
    """States of both sides."""

    START = "start"
    SENT_M1 = "sent M1"
    LOCK_PROVED = "lock proved"
    SENT_M2 = "sent M2"
    SENT_M3 = "sent M3"
    DECIDING = "deciding"
    DONE = "done"
    BURNT = "burnt"


class Event(StrEnum):
    """What moves a side on."""

    SEND_M1 = "send M1"
    TAKE_M1 = "take M1, send M2"
    TAKE_M2 = "take M2"
    SEND_M3 = "send M3"
    TAKE_M3 = "take M3"
    SEND_M4 = "send M4"
    TAKE_M4 = "take M4"


PHONE_TABLE: Final[Mapping[tuple[State, Event], State]] = {
    (State.START, Event.SEND_M1): State.SENT_M1,
    (State.SENT_M1, Event.TAKE_M2): State.LOCK_PROVED,
    (State.LOCK_PROVED, Event.SEND_M3): State.SENT_M3,
    (State.SENT_M3, Event.TAKE_M4): State.DONE,
}
LOCK_TABLE: Final[Mapping[tuple[State, Event], State]] = {
    (State.START, Event.TAKE_M1): State.SENT_M2,
    (State.SENT_M2, Event.TAKE_M3): State.DECIDING,
    (State.DECIDING, Event.SEND_M4): State.DONE,
}


@dataclass(frozen=True, slots=True)
class LockInfo:
    """What the lock says of itself in M2.  ``time``: Unix seconds, None while its clock is lost."""

    lock_id: bytes
    time: int | None
    list_number: int
    key_set_number: int
    time_nonce: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """M4: the coarse code, the bolt, the lock's time (None: lost) and the head of its journal."""

    code: AirCode
    bolt: BoltState
    time: int | None
    journal: Head


@dataclass(frozen=True, slots=True)
class Attempt:
    """A proven request: the credential is the issuer's and its holder is here, now, at this lock.

    Nothing is said yet of window, lock, revocation, epoch or capability.  Apply ``key_set`` and
    ``documents`` first, then decide, even if the decision is a denial.
    """

    credential: Credential
    operation: Operation
    key_set: CheckedDocument | None
    documents: tuple[CheckedDocument, ...]
    refused: tuple[tuple[DocumentKind, Denial], ...]


class _Session:
    """What both sides share: the state, the transcript and the keys."""

    def __init__(
        self, table: Mapping[tuple[State, Event], State], ephemeral: ec.EllipticCurvePrivateKey
    ) -> None:
        self._table = table
        self._ephemeral = ephemeral
        self._point = public_bytes(ephemeral)
        self._m1 = b""
        self._prk = b""
        self._th = b""
        self.state = State.START

    def _may(self, event: Event) -> None:
        """Whether our own caller may do this now."""
        if (self.state, event) not in self._table:
            raise LocalError(f"{event} in state {self.state}")

    def _take(self, event: Event, message: bytes, first: int) -> None:
        """Whether this message may come now, and is one at all; a stranger's mistake burns."""
        if (self.state, event) not in self._table:
            raise RemoteError(Denial.WRONG_STATE, f"{event} in state {self.state}")
        if message == REFUSAL:
            raise RemoteError(Denial.BURNT, "7F")
        if len(message) > MAX_MESSAGE:
            raise RemoteError(Denial.TOO_LARGE, f"{len(message)} bytes")
        if not message or message[0] != first:
            raise RemoteError(Denial.BAD_FORMAT, f"not message {first}")

    def _moved(self, event: Event) -> None:
        self.state = self._table[self.state, event]

    def _agree(self, theirs: bytes, head_of_m2: bytes) -> None:
        """PRK from both ephemeral keys, and th2."""
        self._prk = hkdf_extract(sha256(self._m1), ecdh(self._ephemeral, theirs))
        self._th = sha256(self._m1, head_of_m2)

    def _seal(self, number: int, plaintext: bytes) -> bytes:
        key, iv = key_and_iv(self._prk, b"LK1 %d\0" % number, self._th)
        return aead_seal(key, iv, plaintext, self._th)

    def _open(self, number: int, ciphertext: bytes) -> bytes:
        key, iv = key_and_iv(self._prk, b"LK1 %d\0" % number, self._th)
        return aead_open(key, iv, ciphertext, self._th)

    def _advance(self, message: bytes) -> None:
        """th_(n+1) = H(th_n || message n)."""
        self._th = sha256(self._th, message)

    def _channel(self, *, phone: bool) -> Channel:
        if self.state is not State.DONE:
            raise LocalError("parcels follow M4")
        inward, outward = channel_keys(self._prk, self._th)
        mine, theirs = (inward, outward) if phone else (outward, inward)
        return Channel(send=mine, receive=theirs, transcript=self._th)


def _proof_body(credential: bytes, documents: Sequence[SignedDocument], operation: int) -> bytes:
    return encode([credential, document_rows(documents), operation])


def _head(message: bytes, *, exact: bool) -> bytes:
    """The ephemeral point of M1 or M2.  The version is judged before anything else."""
    if message[1:2] != bytes([VERSION]):
        raise RemoteError(Denial.BAD_VERSION, message[1:2].hex())
    if len(message) < _HEAD or (exact and len(message) != _HEAD):
        raise RemoteError(Denial.BAD_FORMAT, f"{len(message)} bytes")
    return message[2:_HEAD]


class PhoneHandshake(_Session):
    """The phone's side.  Any RemoteError burns it; start anew with a fresh ephemeral key."""

    def __init__(self, lock_id: bytes, lock_public: bytes, ephemeral: ec.EllipticCurvePrivateKey) -> None:
        """``lock_id`` and ``lock_public`` are those pinned from the door document."""
        super().__init__(PHONE_TABLE, ephemeral)
        self._lock_id = lock_id
        self._lock_public = lock_public

    def hello(self) -> bytes:
        """M1."""
        self._may(Event.SEND_M1)
        self._m1 = bytes([M1, VERSION]) + self._point
        self._moved(Event.SEND_M1)
        return self._m1

    def receive_m2(self, message: bytes) -> LockInfo:
        """Prove the lock.  RemoteError unless it is the pinned one, signing this very exchange."""
        try:
            info = self._read_m2(message)
        except RemoteError:
            self.state = State.BURNT
            raise
        self._moved(Event.TAKE_M2)
        return info

    def _read_m2(self, message: bytes) -> LockInfo:
        self._take(Event.TAKE_M2, message, M2)
        self._agree(_head(message, exact=False), message[:_HEAD])
        ciphertext = message[_HEAD:]
        info, signature = as_list(decode(self._open(2, ciphertext)), "M2", length=2)
        info = as_octets(info, None, "info")
        signature = as_octets(signature, SIGNATURE, "signature")
        if not verify(self._lock_public, signature, _LOCK_SIGNS + self._th + info):
            raise RemoteError(Denial.BAD_SIGNATURE, "not the pinned lock")
        read = _read_info(info)
        if read.lock_id != self._lock_id:
            raise RemoteError(Denial.WRONG_LOCK, read.lock_id.hex())
        self._advance(ciphertext)
        return read

    def request(
        self,
        credential: bytes,
        operation: Operation,
        holder: Signer,
        documents: Sequence[SignedDocument] = (),
    ) -> bytes:
        """M3, only after the lock has proved itself.  LocalError: too much for one message."""
        self._may(Event.SEND_M3)
        body = _proof_body(credential, documents, operation)
        signature = holder.sign(_PHONE_SIGNS + self._th + sha256(body))
        plaintext = encode([credential, document_rows(documents), int(operation), signature])
        message = bytes([M3]) + self._seal(3, plaintext)
        if len(message) > MAX_MESSAGE:
            raise LocalError(f"M3 of {len(message)} bytes: carry fewer documents")
        self._advance(message)
        self._moved(Event.SEND_M3)
        return message

    def receive_m4(self, message: bytes) -> Answer:
        """The lock's answer.  RemoteError BURNT: it refused before the credential verified."""
        try:
            self._take(Event.TAKE_M4, message, M4)
            answer = _read_answer(self._open(4, message[1:]))
        except RemoteError:
            self.state = State.BURNT
            raise
        self._advance(message[1:])
        self._moved(Event.TAKE_M4)
        return answer

    def channel(self) -> Channel:
        """Parcels after M4."""
        return self._channel(phone=True)


class LockHandshake(_Session):
    """The lock's side: one attempt.  On RemoteError send ``REFUSAL`` and drop the connection."""

    def __init__(self, info: LockInfo, signer: Signer, ephemeral: ec.EllipticCurvePrivateKey) -> None:
        super().__init__(LOCK_TABLE, ephemeral)
        self._info = info
        self._signer = signer
        self.key_set: CheckedDocument | None = None
        """A newer key set, proved under the site root: to be applied even if ``receive`` then fails."""

    def greet(self, m1: bytes) -> bytes:
        """M2 for an M1."""
        try:
            self._take(Event.TAKE_M1, m1, M1)
            theirs = _head(m1, exact=True)
            self._m1 = m1
            head = bytes([M2, VERSION]) + self._point
            self._agree(theirs, head)
        except RemoteError:
            self.state = State.BURNT
            raise
        info = encode(_info_row(self._info))
        signature = self._signer.sign(_LOCK_SIGNS + self._th + info)
        ciphertext = self._seal(2, encode([info, signature]))
        self._advance(ciphertext)
        self._moved(Event.TAKE_M1)
        return head + ciphertext

    def receive(self, m3: bytes, trust: Trust) -> Attempt:
        """Open M3 and prove issuer and holder, in the design's order; decide nothing.

        RemoteError: BAD_BOX, BAD_FORMAT, BAD_ISSUER, BAD_PROOF ...; then ``key_set`` may still be news.
        """
        try:
            attempt = self._read_m3(m3, trust)
        except RemoteError:
            self.state = State.BURNT
            raise
        self._advance(m3)
        self._moved(Event.TAKE_M3)
        return attempt

    def _read_m3(self, m3: bytes, trust: Trust) -> Attempt:
        self._take(Event.TAKE_M3, m3, M3)
        raw, rows, operation, signature = as_list(decode(self._open(3, m3[1:])), "M3", length=4)
        raw = as_octets(raw, None, "credential", most=MAX_CREDENTIAL)
        documents = read_document_rows(rows)
        asked = as_choice(operation, Operation, "operation")
        signature = as_octets(signature, SIGNATURE, "signature")
        keys = check_key_sets(documents, trust)
        self.key_set = keys.key_set
        credential = read_credential(raw, keys.trust.key_set.issuers)
        proof = _PHONE_SIGNS + self._th + sha256(_proof_body(raw, documents, asked))
        if not verify(credential.claims.holder_public, signature, proof):
            raise RemoteError(Denial.BAD_PROOF, "not the holder of this credential")
        checked = check_documents(documents, trust, self._info.lock_id)
        return Attempt(credential, asked, checked.key_set, checked.accepted, checked.refused)

    def answer(self, answer: Answer) -> bytes:
        """M4, once the lock has decided and, if granted, moved."""
        self._may(Event.SEND_M4)
        ciphertext = self._seal(4, encode(_answer_row(answer)))
        self._advance(ciphertext)
        self._moved(Event.SEND_M4)
        return bytes([M4]) + ciphertext

    def channel(self) -> Channel:
        """Parcels after M4."""
        return self._channel(phone=False)


def _info_row(info: LockInfo) -> list[object]:
    return [info.lock_id, info.time, info.list_number, info.key_set_number, info.time_nonce]


def _read_info(data: bytes) -> LockInfo:
    lock_id, time, list_number, key_set_number, nonce = as_list(decode(data), "info", length=5)
    return LockInfo(
        lock_id=as_octets(lock_id, ID, "lock id"),
        time=None if time is None else as_uint(time, MAX_TIME, "time"),
        list_number=as_uint(list_number, MAX_NUMBER, "list number"),
        key_set_number=as_uint(key_set_number, MAX_NUMBER, "key-set number"),
        time_nonce=as_octets(nonce, NONCE, "time nonce"),
    )


def _answer_row(answer: Answer) -> list[object]:
    head = answer.journal
    return [int(answer.code), int(answer.bolt), answer.time, head.number, head.hash]


def _read_answer(data: bytes) -> Answer:
    code, bolt, time, number, digest = as_list(decode(data), "M4", length=5)
    return Answer(
        code=as_choice(code, AirCode, "code"),
        bolt=as_choice(bolt, BoltState, "bolt"),
        time=None if time is None else as_uint(time, MAX_TIME, "time"),
        journal=Head(as_uint(number, MAX_NUMBER, "number"), as_octets(digest, HASH, "hash")),
    )
