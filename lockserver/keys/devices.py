"""Certificates of locks: the manufacturer's, which is believed once, and the site's own.

A lock comes with a factory certificate: its serial number as common name, its factory key, signed by
the manufacturer's CA. At enrolment the site's device CA certifies the lock's *operational* key under
the lock's id. A broker with client certificates then needs to know only the device CA.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockserver.domain.errors import ClaimRefusedError
from lockserver.protocol.curve import parse_public, public_bytes

CA_LIFE: Final = timedelta(days=7300)
DEVICE_LIFE: Final = timedelta(days=3650)
"""A lock is not visited to renew: ten years, and retiring it revokes by name at the broker."""
SKEW: Final = timedelta(hours=1)
"""A certificate is valid from a little before it was made, for clocks that lag."""
SERIAL: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{3,31}")


def make_ca(name: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """Return a self-signed CA certificate that may sign leaves and no other CA."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        _builder(subject, subject, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def sign_leaf(
    common_name: str,
    public: bytes,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta = DEVICE_LIFE,
) -> x509.Certificate:
    """Return a client certificate of `public` (65-byte point) under `common_name`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _builder(subject, ca.subject, parse_public(public), now, life)
    return _sign(builder, ExtendedKeyUsageOID.CLIENT_AUTH, ca_key)


def sign_server_leaf(
    host: str, public: bytes, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    """Return a server certificate of `public` for `host`, a name or an address.

    Its usage keeps the two kinds apart: no lock's certificate can pose as the broker's.
    """
    name: x509.GeneralName
    try:
        name = x509.IPAddress(ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    builder = _builder(subject, ca.subject, parse_public(public), now, DEVICE_LIFE)
    builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    return _sign(builder, ExtendedKeyUsageOID.SERVER_AUTH, ca_key)


def _sign(
    builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier, ca_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
    )


class DeviceCa:
    """The site's device CA, in role issuer."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @property
    def pem(self) -> bytes:
        """The CA certificate, for a broker to trust."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, lock_id: UUID, sign_public: bytes, now: datetime) -> bytes:
        """Return the lock's operational certificate in DER, common name = lock id in hex."""
        leaf = sign_leaf(lock_id.hex, sign_public, self.certificate, self._key, now)
        return leaf.public_bytes(Encoding.DER)

    def issue_client(self, name: str, public: bytes, now: datetime) -> bytes:
        """Return the certificate (PEM) of a client of the broker that is no lock: a bridge."""
        return sign_leaf(name, public, self.certificate, self._key, now).public_bytes(Encoding.PEM)

    def issue_server(self, host: str, public: bytes, now: datetime) -> bytes:
        """Return the certificate (PEM) of the broker at `host`."""
        return sign_server_leaf(host, public, self.certificate, self._key, now).public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class FactoryProof:
    """What a factory certificate proves."""

    serial: str
    public: bytes
    fingerprint: bytes


class FactoryTrust:
    """The manufacturers' CAs that this site believes."""

    def __init__(self, authorities: tuple[x509.Certificate, ...]) -> None:
        self._authorities = authorities

    def verify(self, certificate: bytes, now: datetime) -> FactoryProof:
        """Return what a factory certificate (DER) proves.

        Raises ClaimRefusedError: not a certificate, another manufacturer's, out of its time, a CA,
        another kind of key, or a name that is no serial number.
        """
        try:
            leaf = x509.load_der_x509_certificate(certificate)
            constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
            names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
            raise ClaimRefusedError(reason="certificate") from None
        public = leaf.public_key()
        serial = str(names[0].value) if len(names) == 1 else ""
        if not any(_issued(leaf, authority) for authority in self._authorities):
            raise ClaimRefusedError(reason="manufacturer")
        if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
            raise ClaimRefusedError(reason="certificate_time")
        if constraints.ca or not isinstance(public, ec.EllipticCurvePublicKey):
            raise ClaimRefusedError(reason="certificate")
        if not isinstance(public.curve, ec.SECP256R1) or SERIAL.fullmatch(serial) is None:
            raise ClaimRefusedError(reason="certificate")
        return FactoryProof(serial, public_bytes(public), leaf.fingerprint(hashes.SHA256()))


def _issued(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def read_authorities(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the CA certificates of a PEM file; raises ValueError."""
    return tuple(x509.load_pem_x509_certificates(pem))
