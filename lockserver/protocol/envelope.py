"""Envelopes between server and lock: signed inside, sealed outside, for a broker that may be hostile.

Down: LK1-CMD by the site command key, in a box for the lock's ECDH key.  Up: LK1-RPT by the lock, in a
box for the server's report key.  Both name the lock inside the signature and in the box's info.  A
report's (boot, seq) strictly ascends, so that a replayed one is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.protocol.commands import Command, command_map, read_command
from lockserver.protocol.cose import Kind, sign1, verify1
from lockserver.protocol.curve import Signer, keys_by_id
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import Fields, writable
from lockserver.protocol.limits import MAX_ENVELOPE
from lockserver.protocol.reports import Report, ReportKind, read_report, report_body, report_kind
from lockserver.protocol.sealed import Box, box_info, seal, unseal


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a report stands: ``boot`` counts the lock's starts, ``seq`` its reports since."""

    boot: int
    seq: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """A report with its lock and position."""

    lock_id: bytes
    position: Position
    report: Report


def seal_command(
    command: Command,
    lock_id: bytes,
    lock_ecdh_public: bytes,
    signer: Signer,
    ephemeral: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Sign with the site command key and seal for the lock.  ``ephemeral``: fresh, used once."""
    signed = sign1(Kind.CMD, writable(command_map(command, lock_id), read_command), signer)
    return _bounded(seal(lock_ecdh_public, signed, box_info(Box.COMMAND, lock_id), ephemeral))


def open_command(
    data: bytes,
    lock_id: bytes,
    ecdh_private: ec.EllipticCurvePrivateKey,
    command_keys: Mapping[bytes, bytes],
) -> Command:
    """The lock's side.  RemoteError: BAD_BOX, UNKNOWN_KEY, BAD_SIGNATURE, WRONG_LOCK, BAD_FORMAT ...

    Counter, deadline, wish and credential are still to be judged by the lock.
    """
    if len(data) > MAX_ENVELOPE:
        raise RemoteError(Denial.TOO_LARGE, f"{len(data)} bytes")
    signed = unseal(ecdh_private, data, box_info(Box.COMMAND, lock_id))
    verified = verify1(Kind.CMD, signed, command_keys, limit=MAX_ENVELOPE)
    meant, command = read_command(verified.payload)
    if meant != lock_id:
        raise RemoteError(Denial.WRONG_LOCK, meant.hex())
    return command


def seal_report(
    envelope: Envelope,
    signer: Signer,
    report_public: bytes,
    ephemeral: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Sign with the lock's operational key and seal for the server.  ``ephemeral``: fresh, used once."""
    payload: dict[int, object] = {
        1: envelope.lock_id,
        2: envelope.position.boot,
        3: envelope.position.seq,
        4: int(report_kind(envelope.report)),
        5: report_body(envelope.report),
    }
    signed = sign1(Kind.RPT, writable(payload, _read_envelope), signer)
    return _bounded(seal(report_public, signed, box_info(Box.REPORT, envelope.lock_id), ephemeral))


def unseal_report(data: bytes, lock_id: bytes, report_private: ec.EllipticCurvePrivateKey) -> bytes:
    """The signed LK1-RPT inside: kept as evidence, and judged by ``read_signed_report``.

    RemoteError: TOO_LARGE, BAD_BOX, BAD_POINT.
    """
    if len(data) > MAX_ENVELOPE:
        raise RemoteError(Denial.TOO_LARGE, f"{len(data)} bytes")
    return unseal(report_private, data, box_info(Box.REPORT, lock_id))


def read_signed_report(signed: bytes, lock_id: bytes, lock_public: bytes) -> Envelope:
    """Verify a signed LK1-RPT.  RemoteError: UNKNOWN_KEY, BAD_SIGNATURE, WRONG_LOCK, BAD_FORMAT ..."""
    verified = verify1(Kind.RPT, signed, keys_by_id((lock_public,)), limit=MAX_ENVELOPE)
    envelope = _read_envelope(verified.payload)
    if envelope.lock_id != lock_id:
        raise RemoteError(Denial.WRONG_LOCK, envelope.lock_id.hex())
    return envelope


def open_report(
    data: bytes,
    lock_id: bytes,
    report_private: ec.EllipticCurvePrivateKey,
    lock_public: bytes,
) -> Envelope:
    """The server's side; ``lock_id`` from the topic, ``lock_public`` its signing key.

    RemoteError: BAD_BOX, UNKNOWN_KEY, BAD_SIGNATURE, WRONG_LOCK, BAD_FORMAT ...  Then ``check_order``.
    """
    return read_signed_report(unseal_report(data, lock_id, report_private), lock_id, lock_public)


def check_order(last: Position | None, position: Position) -> None:
    """RemoteError REPLAYED unless ``position`` is above the last one accepted."""
    if last is not None and position <= last:
        raise RemoteError(Denial.REPLAYED, f"{position} after {last}")


def _read_envelope(payload: object) -> Envelope:
    fields = Fields(payload, "report")
    envelope = Envelope(
        lock_id=fields.id(1),
        position=Position(fields.uint(2), fields.uint(3)),
        report=read_report(fields.choice(4, ReportKind), fields.raw(5)),
    )
    fields.close()
    return envelope


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_ENVELOPE:
        raise LocalError(f"an envelope of {len(data)} bytes, limit {MAX_ENVELOPE}")
    return data
