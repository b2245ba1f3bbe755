"""The keyring: one folder per role, made at set-up, and each role opens its own and no other.

    site/     site_root.pem  public.json       offline after set-up; public.json goes to `site_keys`
    api/      phone_index.key
    issuer/   issuer.pem  device_ca.pem  device_ca.crt  seed.key  pins.pem  factory_ca.crt
    verify/   verify.pem  case_kek.key  id_index.key
    bridge/   command.pem  report.pem  callout.nk  bridge.password  auth.password  sys.password
              factory_ca.crt
    relay/    relay.pem  province_client.pem  province_receipt.pub
    jobs/     checkpoint.pem

`factory_ca.crt` and `province_receipt.pub` are other people's public keys, put there by set-up.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from lockserver.keys.boxes import KeyedIndex, OpeningKey
from lockserver.keys.devices import DeviceCa, FactoryTrust, make_ca, read_authorities
from lockserver.keys.files import (
    KeyFileError,
    make_folder,
    read_exactly,
    read_private_key,
    read_secret,
    write_private_key,
    write_secret,
)
from lockserver.protocol.curve import EcdsaSigner, key_id, private_key, public_bytes
from lockserver.protocol.documents import KeySet, sign_key_set

SECRET_BYTES: Final = 32
ROLES: Final = ("site", "api", "issuer", "verify", "bridge", "relay", "jobs")
PASSWORDS: Final = ("bridge", "auth", "sys")
"""The broker's own users: the bridge, the auth callout's responder, the system account."""
_PUBLIC: Final = "public.json"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public half as it goes into `site_keys`; the root's carries the key set that it signed."""

    kind: str
    kid: bytes
    public: bytes
    key_set: bytes | None = None
    key_set_number: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """Role api: finds accounts by phone number."""

    phone_index: KeyedIndex


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """Role issuer: signs; certifies locks; keeps door seeds; opens the PINs that people choose."""

    signer: EcdsaSigner
    devices: DeviceCa
    factories: FactoryTrust
    seed_key: bytes
    pins: OpeningKey


@dataclass(frozen=True, slots=True)
class VerifyKeys:
    """Role verify: opens uploads; wraps case keys; computes the blind index."""

    opening: OpeningKey
    case_kek: bytes
    id_index: KeyedIndex


@dataclass(frozen=True, slots=True)
class BridgeKeys:
    """Role bridge: seals commands, reads reports, answers the broker's auth callout."""

    command: EcdsaSigner
    report: OpeningKey
    callout_seed: bytes
    passwords: Mapping[str, str]
    factories: FactoryTrust


@dataclass(frozen=True, slots=True)
class RelayKeys:
    """Role relay: opens outbox entries, signs requests to the province, believes its receipts."""

    opening: OpeningKey
    client: ec.EllipticCurvePrivateKey
    province_receipts: bytes


@dataclass(frozen=True, slots=True)
class JobsKeys:
    """Role jobs: signs audit checkpoints."""

    checkpoint: EcdsaSigner


def site_exists(folder: Path) -> bool:
    """Tell whether set-up was finished here: what it writes last is there."""
    return (folder / "site" / _PUBLIC).exists()


def create_site(
    folder: Path, now: datetime, *, factory_ca: bytes = b"", province_receipt: bytes = b""
) -> None:
    """Make every key of a new site below `folder`.

    `factory_ca`: PEM of the manufacturers' CAs to believe; `province_receipt`: the province's public
    receipt key file, as its operator hands it out. Raises FileExistsError where a site, or half of
    one, lies already: keys are never overwritten.
    """
    make_folder(folder)
    for role in ROLES:
        make_folder(folder / role)
    private = {
        name: private_key(secrets.token_bytes)
        for name in (
            "site/site_root", "issuer/issuer", "issuer/device_ca", "issuer/pins", "verify/verify",
            "bridge/command", "bridge/report", "relay/relay", "relay/province_client",
            "jobs/checkpoint",
        )
    }  # fmt: skip
    for name, key in private.items():
        write_private_key(folder / f"{name}.pem", key)
    for name in ("api/phone_index", "issuer/seed", "verify/case_kek", "verify/id_index"):
        write_secret(folder / f"{name}.key", secrets.token_bytes(SECRET_BYTES))
    certificate = make_ca("site devices", private["issuer/device_ca"], now)
    write_secret(folder / "issuer" / "device_ca.crt", certificate.public_bytes(Encoding.PEM))
    for role in ("issuer", "bridge"):
        write_secret(folder / role / "factory_ca.crt", factory_ca)
    write_secret(folder / "relay" / "province_receipt.pub", province_receipt)
    write_secret(
        folder / "bridge" / "callout.nk",
        nkeys.encode_seed(secrets.token_bytes(SECRET_BYTES), nkeys.PREFIX_BYTE_ACCOUNT),
    )
    for user in PASSWORDS:
        write_secret(folder / "bridge" / f"{user}.password", secrets.token_urlsafe(SECRET_BYTES).encode())
    write_secret(folder / "site" / _PUBLIC, _publish(private, now))


def _publish(private: Mapping[str, ec.EllipticCurvePrivateKey], now: datetime) -> bytes:
    """Return the public halves as JSON; the site root signs the key set here, and never again."""
    public = {name.rpartition("/")[2]: public_bytes(key) for name, key in private.items()}
    key_set = KeySet(
        number=1,
        issuer_keys=(public["issuer"],),
        command_keys=(public["command"],),
        report_key=public["report"],
        iat=int(now.timestamp()),
        pins_key=public["pins"],
    )
    signed = sign_key_set(key_set, EcdsaSigner(private["site/site_root"]))
    halves = {
        kind: public[name]
        for kind, name in (
            ("root", "site_root"), ("issuer", "issuer"), ("command", "command"), ("report", "report"),
            ("verify", "verify"), ("relay", "relay"), ("device_ca", "device_ca"),
            ("checkpoint", "checkpoint"), ("pins", "pins"),
        )
    }  # fmt: skip
    return json.dumps(
        {
            "keys": {kind: point.hex() for kind, point in halves.items()},
            "province_client": public["province_client"].hex(),
            "key_set": {"number": key_set.number, "signed": signed.hex()},
        },
        indent=1,
    ).encode()


def public_keys(folder: Path) -> list[PublicKey]:
    """Return the public halves of the site below `folder`, for `site_keys`. Raises KeyFileError."""
    path = folder / "site" / _PUBLIC
    try:
        read = json.loads(read_secret(path))
        key_set = read["key_set"]
        found = {kind: bytes.fromhex(point) for kind, point in read["keys"].items()}
        signed, number = bytes.fromhex(key_set["signed"]), int(key_set["number"])
    except (KeyError, TypeError, ValueError):
        raise KeyFileError(f"{path} is not what set-up wrote: put back the right file") from None
    return [
        PublicKey(kind, key_id(point), point, signed, number)
        if kind == "root"
        else PublicKey(kind, key_id(point), point)
        for kind, point in found.items()
    ]


def load_api(role_folder: Path) -> ApiKeys:
    """Load role api's keys from its own folder. Raises KeyFileError, as do the others."""
    return ApiKeys(KeyedIndex(read_exactly(role_folder / "phone_index.key", SECRET_BYTES)))


def load_issuer(role_folder: Path) -> IssuerKeys:
    """Load role issuer's keys."""
    path = role_folder / "device_ca.crt"
    try:
        certificate = x509.load_pem_x509_certificate(read_secret(path))
    except ValueError:
        raise KeyFileError(f"a certificate in {role_folder} is not PEM: put back the right file") from None
    return IssuerKeys(
        EcdsaSigner(read_private_key(role_folder / "issuer.pem")),
        DeviceCa(certificate, read_private_key(role_folder / "device_ca.pem")),
        _factories(role_folder),
        read_exactly(role_folder / "seed.key", SECRET_BYTES),
        OpeningKey(read_private_key(role_folder / "pins.pem")),
    )


def _factories(role_folder: Path) -> FactoryTrust:
    factories = read_secret(role_folder / "factory_ca.crt")
    try:
        return FactoryTrust(read_authorities(factories) if factories else ())
    except ValueError:
        raise KeyFileError(f"a certificate in {role_folder} is not PEM: put back the right file") from None


def load_verify(role_folder: Path) -> VerifyKeys:
    """Load role verify's keys."""
    return VerifyKeys(
        OpeningKey(read_private_key(role_folder / "verify.pem")),
        read_exactly(role_folder / "case_kek.key", SECRET_BYTES),
        KeyedIndex(read_exactly(role_folder / "id_index.key", SECRET_BYTES)),
    )


def load_bridge(role_folder: Path) -> BridgeKeys:
    """Load role bridge's keys."""
    return BridgeKeys(
        EcdsaSigner(read_private_key(role_folder / "command.pem")),
        OpeningKey(read_private_key(role_folder / "report.pem")),
        read_secret(role_folder / "callout.nk"),
        {user: read_secret(role_folder / f"{user}.password").decode() for user in PASSWORDS},
        _factories(role_folder),
    )


def load_relay(role_folder: Path) -> RelayKeys:
    """Load role relay's keys."""
    return RelayKeys(
        OpeningKey(read_private_key(role_folder / "relay.pem")),
        read_private_key(role_folder / "province_client.pem"),
        read_secret(role_folder / "province_receipt.pub"),
    )


def load_jobs(role_folder: Path) -> JobsKeys:
    """Load role jobs' keys."""
    return JobsKeys(EcdsaSigner(read_private_key(role_folder / "checkpoint.pem")))
