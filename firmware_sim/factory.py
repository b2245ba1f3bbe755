"""The manufacturer, simulated: a CA, and locks with a key, a certificate and a claim code burnt in.

All of it lies in the data folder (files 0600): the CA's key would be the manufacturer's in earnest.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from firmware_sim.core.identity import MODEL, FactoryIdentity
from lockserver.protocol.curve import EcdsaSigner
from lockserver.protocol.firmware import manifest_of, sign_firmware
from lockserver.protocol.limits import CLAIM_CODE

if TYPE_CHECKING:
    from pathlib import Path

#: Years a factory certificate is good for: longer than a lock.
YEARS: Final = 30
#: Serial numbers: the maker, the year, and enough random digits never to collide.
MAKER: Final = "LSIM"

_FIRMWARE_KEY: Final = "firmware.key"
_CA_KEY: Final = "factory_ca.key"
_CA_CERT: Final = "factory_ca.pem"


@dataclass(frozen=True, slots=True)
class FactoryCa:
    """The manufacturer's certificate authority."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate, as the issuer is given it to trust."""
        return self.certificate.public_bytes(Encoding.PEM)


def open_ca(folder: Path) -> FactoryCa:
    """The CA in `folder`, made there if there is none."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file, certificate_file = folder / _CA_KEY, folder / _CA_CERT
    if key_file.exists() and certificate_file.exists():
        key = load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            message = f"{key_file} holds no P-256 key"
            raise TypeError(message)
        return FactoryCa(key, x509.load_pem_x509_certificate(certificate_file.read_bytes()))
    key = ec.generate_private_key(ec.SECP256R1())
    ca = FactoryCa(key, _certificate("Simulated lock factory CA", key, None))
    _private(key_file, _pem(key))
    _private(certificate_file, ca.pem)
    return ca


def firmware_key(folder: Path) -> EcdsaSigner:
    """The key that signs firmware, in `folder`, made there if there is none: apart from the CA's."""
    file = folder / _FIRMWARE_KEY
    if not file.exists():
        _private(file, _pem(ec.generate_private_key(ec.SECP256R1())))
    key = load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = f"{file} holds no P-256 key"
        raise TypeError(message)
    return EcdsaSigner(key)


def sign_image(folder: Path, image: bytes, counter: int, version: str, model: str = MODEL) -> bytes:
    """The manufacturer's LK1-FW for an image (`core.image.build_image`) of this version."""
    now = int(dt.datetime.now(dt.UTC).timestamp())
    manifest = manifest_of(image, model=model, counter=counter, version=version, iat=now)
    return sign_firmware(manifest, firmware_key(folder))


def make_lock(folder: Path, ca: FactoryCa) -> FactoryIdentity:
    """Build a new lock: its factory identity goes into `folder` and is returned."""
    serial = f"{MAKER}-{dt.datetime.now(dt.UTC):%Y}-{secrets.randbelow(10**10):010d}"
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(serial, key, ca).public_bytes(Encoding.DER)
    code = secrets.token_bytes(CLAIM_CODE)
    burnt = {
        "serial": serial,
        "key": _pem(key).decode(),
        "certificate": base64.b64encode(certificate).decode(),
        "claim_code": code.hex(),
        "model": MODEL,
        "firmware_public": firmware_key(folder).public.hex(),
    }
    _private(folder / f"{serial}.factory.json", json.dumps(burnt, indent=1).encode())
    return _identity(burnt, key)


def load_lock(file: Path) -> FactoryIdentity:
    """The factory identity in a file that `make_lock` wrote."""
    burnt = json.loads(file.read_text())
    key = load_pem_private_key(burnt["key"].encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = f"{file} holds no P-256 key"
        raise TypeError(message)
    return _identity(burnt, key)


def _identity(burnt: dict[str, str], key: ec.EllipticCurvePrivateKey) -> FactoryIdentity:
    return FactoryIdentity(
        serial=burnt["serial"],
        signer=EcdsaSigner(key),
        certificate=base64.b64decode(burnt["certificate"]),
        claim_code=bytes.fromhex(burnt["claim_code"]),
        model=burnt["model"],
        firmware_public=bytes.fromhex(burnt["firmware_public"]),
    )


def factory_files(folder: Path) -> list[Path]:
    """The factory identities in `folder`, oldest first."""
    return sorted(folder.glob("*.factory.json"), key=lambda f: (f.stat().st_mtime_ns, f.name))


def qr_payload(identity: FactoryIdentity) -> str:
    """What the QR on the box says. It claims nothing without the button."""
    code = base64.b32encode(identity.claim_code).decode().rstrip("=")
    return f"LK1:{identity.serial}:{code}"


def _certificate(name: str, key: ec.EllipticCurvePrivateKey, ca: FactoryCa | None) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if ca is None else ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * YEARS))
        .add_extension(
            x509.BasicConstraints(ca=ca is None, path_length=0 if ca is None else None), critical=True
        )
    )
    return builder.sign(key if ca is None else ca.key, hashes.SHA256())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _private(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(data)
