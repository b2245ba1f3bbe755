"""Vectors of gateways' frames and of firmware manifests."""

from collections.abc import Callable

from lockserver.protocol.codec import encode
from lockserver.protocol.cose import Kind, sign1
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.firmware import FirmwareManifest, manifest_of, read_firmware, sign_firmware
from lockserver.protocol.gateway import (
    AskGatewayHello,
    CarriedReport,
    CarryCommand,
    CarryFault,
    CarryMaterial,
    GatewayDown,
    GatewayHello,
    GatewayUp,
    Handed,
    Heard,
    Sight,
    decode_down,
    decode_up,
    encode_down,
    encode_up,
)
from lockserver.protocol.gatt import tag
from lockserver.protocol.limits import MAX_CARRIED, MAX_HEARD
from lockserver.protocol.parcels import MAX_CONTENT
from tests.vectors.cast import FACTORY, LOCK_ID, NOW, OTHER_LOCK_ID, octets, pair

FIRMWARE = pair("firmware")
IMAGE = octets("image", 600)
REF = octets("ref", 16)
TAG = tag(LOCK_ID)

DOWN: dict[str, GatewayDown] = {
    "carry": CarryCommand(LOCK_ID, REF, TAG, octets("command box", 300)),
    "carry the largest": CarryCommand(LOCK_ID, REF, TAG, octets("large box", MAX_CONTENT)),
    "material": CarryMaterial(
        (octets("credential a", 236), octets("credential b", 240)), (octets("door", 210),)
    ),
    "no material": CarryMaterial((), ()),
    "say hello": AskGatewayHello(),
}
UP: dict[str, GatewayUp] = {
    "report": CarriedReport(LOCK_ID, octets("report box", 200)),
    "heard": Heard((Sight(TAG, -61), Sight(tag(OTHER_LOCK_ID), -127), Sight(tag(b"LK1-000042"), 20))),
    "heard nothing": Heard(()),
    **{f"handed: {fault.word}": Handed(REF, fault) for fault in CarryFault},
    "hello": GatewayHello(7, 3),
}


def _refused() -> tuple[dict[str, object], dict[str, object]]:
    sight: list[object] = [TAG, -61]
    box = octets("b", 9)
    down: dict[str, object] = {
        "empty": [],
        "no array": {1: 2},
        "unknown number": [4],
        "number as text": ["1", LOCK_ID, REF, TAG, box],
        "hello with more": [3, 0],
        "carry without tag": [1, LOCK_ID, REF, box],
        "short lock id": [1, LOCK_ID[1:], REF, TAG, box],
        "tag of six": [1, LOCK_ID, REF, TAG + b"0", box],
        "box too large for a parcel": [1, LOCK_ID, REF, TAG, bytes(MAX_CONTENT + 1)],
        "box as text": [1, LOCK_ID, REF, TAG, "box"],
        "credential too long": [2, [bytes(641)], []],
        "too many credentials": [2, [b"c"] * (MAX_CARRIED + 1), []],
        "doors missing": [2, []],
    }
    up: dict[str, object] = {
        "empty": [],
        "number of a boolean": [True, LOCK_ID, box],
        "unknown number": [5],
        "report with more": [1, LOCK_ID, box, 0],
        "rssi too low": [2, [[TAG, -128]]],
        "rssi too high": [2, [[TAG, 21]]],
        "rssi null": [2, [[TAG, None]]],
        "too many heard": [2, [sight] * (MAX_HEARD + 1)],
        "heard without list": [2],
        "unknown fault": [3, REF, 5],
        "no ref": [3, 0],
        "hello with 256 free": [4, 7, 256],
        "boot beyond": [4, 1 << 32, 1],
    }
    return down, up


def _code(read: Callable[[bytes], object], data: bytes) -> str:
    try:
        read(data)
    except RemoteError as error:
        return error.code.word
    raise AssertionError(data.hex())


def _down_fields(frame: GatewayDown) -> dict[str, object]:
    if isinstance(frame, CarryCommand):
        return {
            "lock_id": frame.lock_id.hex(),
            "ref": frame.ref.hex(),
            "tag": frame.tag.hex(),
            "box": frame.box.hex(),
        }
    if isinstance(frame, CarryMaterial):
        return {"credentials": [c.hex() for c in frame.credentials], "doors": [d.hex() for d in frame.doors]}
    return {}


def _up_fields(frame: GatewayUp) -> dict[str, object]:
    if isinstance(frame, CarriedReport):
        return {"lock_id": frame.lock_id.hex(), "box": frame.box.hex()}
    if isinstance(frame, Heard):
        return {"sights": [[s.tag.hex(), s.rssi] for s in frame.sights]}
    if isinstance(frame, Handed):
        return {"ref": frame.ref.hex(), "fault": int(frame.fault)}
    return {"boot": frame.boot, "free": frame.free}


def gateway_vectors() -> object:
    """Frames each way with their fields; bytes to refuse, with the code."""
    down, up = _refused()
    return {
        "down": [
            {"name": n, "fields": _down_fields(f), "hex": encode_down(f).hex()} for n, f in DOWN.items()
        ],
        "up": [{"name": n, "fields": _up_fields(f), "hex": encode_up(f).hex()} for n, f in UP.items()],
        "refuse_down": [
            {"name": name, "code": _code(decode_down, encode(row)), "hex": encode(row).hex()}
            for name, row in down.items()
        ],
        "refuse_up": [
            {"name": name, "code": _code(decode_up, encode(row)), "hex": encode(row).hex()}
            for name, row in up.items()
        ],
    }


MANIFEST = manifest_of(IMAGE, model="LK1-SIM", counter=7, version="1.7.0", iat=NOW)
OLDER = manifest_of(IMAGE[:500], model="LK1-SIM", counter=6, version="1.7.1-rc", iat=NOW - 86400)


def _manifest_row(name: str, manifest: FirmwareManifest, image: bytes) -> dict[str, object]:
    return {
        "name": name,
        "fields": {
            "model": manifest.model,
            "counter": manifest.counter,
            "version": manifest.version,
            "size": manifest.size,
            "digest": manifest.digest.hex(),
            "iat": manifest.iat,
        },
        "image": image.hex(),
        "hex": sign_firmware(manifest, FIRMWARE.signer).hex(),
    }


def firmware_vectors() -> object:
    """Manifests with their images; manifests to refuse, with the code."""
    good = sign_firmware(MANIFEST, FIRMWARE.signer)
    fields: dict[int, object] = {
        1: MANIFEST.model,
        2: MANIFEST.counter,
        3: MANIFEST.version,
        4: MANIFEST.size,
        5: MANIFEST.digest,
        6: MANIFEST.iat,
    }
    sign = FIRMWARE.signer
    refused = {
        "by the factory's other key": sign_firmware(MANIFEST, FACTORY.signer),
        "another kind": sign1(Kind.CMD, fields, sign),
        "last bit of the signature": good[:-1] + bytes([good[-1] ^ 1]),
        "cut": good[:-1],
        "empty image": sign1(Kind.FW, fields | {4: 0}, sign),
        "image above 1 MiB": sign1(Kind.FW, fields | {4: (1 << 20) + 1}, sign),
        "hash of 31 bytes": sign1(Kind.FW, fields | {5: MANIFEST.digest[1:]}, sign),
        "model of 33 characters": sign1(Kind.FW, fields | {1: "m" * 33}, sign),
        "an unknown field": sign1(Kind.FW, fields | {7: 1}, sign),
        "no counter": sign1(Kind.FW, {k: v for k, v in fields.items() if k != 2}, sign),
        "above 512 bytes": sign1(Kind.FW, fields | {300: bytes(400)}, sign),
    }
    return {
        "signer_public": FIRMWARE.public.hex(),
        "manifests": [
            _manifest_row("the next", MANIFEST, IMAGE),
            _manifest_row("an older one", OLDER, IMAGE[:500]),
        ],
        "refuse": [
            {"name": n, "code": _code(lambda d: read_firmware(d, FIRMWARE.public), data), "hex": data.hex()}
            for n, data in refused.items()
        ],
    }
