"""The manifest of a firmware image: LK1-FW by the manufacturer, whose public key is burnt into the lock.

The site neither signs nor alters it.  The image follows in pieces (``commands.FirmwareBody``); the lock
takes it only for its own model, only above the counter that it runs, and only whole: size and hash.
"""

from dataclasses import dataclass

from lockserver.protocol.cose import Kind, peek, sign1, verify1
from lockserver.protocol.curve import Signer, keys_by_id, sha256
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import HASH, Fields, bad, writable
from lockserver.protocol.limits import MAX_FIRMWARE, MAX_MANIFEST, MAX_SHORT_TEXT


@dataclass(frozen=True, slots=True)
class FirmwareManifest:
    """What an image is.  ``counter`` only rises, whatever ``version`` is called; ``digest``: SHA-256."""

    model: str
    counter: int
    version: str
    size: int
    digest: bytes
    iat: int


def manifest_of(image: bytes, *, model: str, counter: int, version: str, iat: int) -> FirmwareManifest:
    """The manifest that fits ``image``."""
    return FirmwareManifest(model, counter, version, len(image), sha256(image), iat)


def sign_firmware(manifest: FirmwareManifest, signer: Signer) -> bytes:
    """Sign as LK1-FW, by the manufacturer's firmware key."""
    fields: dict[int, object] = {
        1: manifest.model,
        2: manifest.counter,
        3: manifest.version,
        4: manifest.size,
        5: manifest.digest,
        6: manifest.iat,
    }
    data = sign1(Kind.FW, writable(fields, _read), signer)
    if len(data) > MAX_MANIFEST:
        raise LocalError(f"a manifest of {len(data)} bytes, limit {MAX_MANIFEST}")
    return data


def read_firmware(data: bytes, public: bytes) -> FirmwareManifest:
    """Verify an LK1-FW under the manufacturer's key (a 65-byte point).

    RemoteError: UNKNOWN_KEY, BAD_SIGNATURE, BAD_FORMAT ...  Model and counter are the lock's to judge.
    """
    return _read(verify1(Kind.FW, data, keys_by_id((public,)), limit=MAX_MANIFEST).payload)


def peek_firmware(data: bytes) -> FirmwareManifest:
    """What an LK1-FW says, UNVERIFIED: for who keeps it and has no key of the manufacturer's."""
    if len(data) > MAX_MANIFEST:
        raise RemoteError(Denial.TOO_LARGE, f"{len(data)} bytes")
    return _read(peek(data))


def _read(payload: object) -> FirmwareManifest:
    fields = Fields(payload, "firmware")
    manifest = FirmwareManifest(
        model=fields.text(1, MAX_SHORT_TEXT),
        counter=fields.uint(2),
        version=fields.text(3, MAX_SHORT_TEXT),
        size=fields.uint(4, MAX_FIRMWARE),
        digest=fields.octets(5, HASH),
        iat=fields.time(6),
    )
    fields.close()
    if manifest.size == 0:
        raise bad("an empty image")
    return manifest


def check_image(manifest: FirmwareManifest, image: bytes) -> None:
    """RemoteError BAD_SIGNATURE unless ``image`` is the one that the manifest names."""
    if len(image) != manifest.size or sha256(image) != manifest.digest:
        raise RemoteError(Denial.BAD_SIGNATURE, "not the image of the manifest")
