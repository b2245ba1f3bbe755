"""The keyring on disk, and the certificates that it issues and believes."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockserver.domain.errors import ClaimRefusedError, SealBrokenError
from lockserver.keys import keyring
from lockserver.keys.boxes import SealingKey
from lockserver.keys.devices import FactoryTrust, make_ca, sign_leaf
from lockserver.keys.files import KeyFileError
from lockserver.protocol.curve import private_key, public_bytes
from lockserver.protocol.documents import read_key_set

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    keyring.create_site(tmp_path / "keys", NOW)
    return tmp_path / "keys"


def test_every_role_finds_its_part_and_only_its_owner_may_read(site: Path) -> None:
    issuer = keyring.load_issuer(site / "issuer")
    bridge = keyring.load_bridge(site / "bridge")
    keyring.load_api(site / "api")
    keyring.load_verify(site / "verify")
    keyring.load_relay(site / "relay")
    keyring.load_jobs(site / "jobs")
    for path in site.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    public = {key.kind: key for key in keyring.public_keys(site)}
    assert public["issuer"].public == issuer.signer.public
    key_set = public["root"].key_set
    assert key_set is not None
    read = read_key_set(key_set, public["root"].public)
    assert read.issuer_keys == (issuer.signer.public,)
    assert read.command_keys == (bridge.command.public,)
    assert read.report_key == bridge.report.public
    assert bridge.callout_seed.startswith(b"SA")


def test_a_file_that_others_may_read_is_refused(site: Path) -> None:
    (site / "issuer" / "issuer.pem").chmod(0o640)
    with pytest.raises(KeyFileError, match=r"chmod 600 .*issuer\.pem"):
        keyring.load_issuer(site / "issuer")


def test_a_missing_file_is_named(site: Path) -> None:
    (site / "verify" / "id_index.key").unlink()
    with pytest.raises(KeyFileError, match=r"id_index\.key is missing"):
        keyring.load_verify(site / "verify")


def test_keys_are_never_overwritten(site: Path) -> None:
    before = (site / "issuer" / "issuer.pem").read_bytes()
    with pytest.raises(FileExistsError):
        keyring.create_site(site, NOW)
    assert (site / "issuer" / "issuer.pem").read_bytes() == before


def test_a_box_opens_under_its_key_and_purpose_only(site: Path) -> None:
    verify, relay = keyring.load_verify(site / "verify"), keyring.load_relay(site / "relay")
    box = SealingKey(verify.opening.public).seal(b"face", b"case 1")
    assert verify.opening.open(box, b"case 1") == b"face"
    for opener, info in ((verify.opening, b"case 2"), (relay.opening, b"case 1")):
        with pytest.raises(SealBrokenError):
            opener.open(box, info)


def test_a_locks_certificate_chains_to_the_sites_ca(site: Path) -> None:
    devices = keyring.load_issuer(site / "issuer").devices
    lock_id, key = uuid4(), private_key(secrets.token_bytes)
    leaf = x509.load_der_x509_certificate(devices.issue(lock_id, public_bytes(key), NOW))
    leaf.verify_directly_issued_by(devices.certificate)
    assert leaf.subject.rfc4514_string() == f"CN={lock_id.hex}"
    assert len(leaf.public_bytes(Encoding.DER)) < 700


FACTORY_KEY = private_key(lambda n: bytes(range(n)))
FACTORY_CA = make_ca("factory", FACTORY_KEY, NOW)


def factory_leaf(serial: str = "SN-000001", **changed: object) -> bytes:
    key = private_key(secrets.token_bytes)
    leaf = sign_leaf(serial, public_bytes(key), FACTORY_CA, FACTORY_KEY, NOW, **changed)  # type: ignore[arg-type]
    return leaf.public_bytes(Encoding.DER)


def test_a_factory_certificate_proves_its_serial() -> None:
    proof = FactoryTrust((FACTORY_CA,)).verify(factory_leaf(), NOW)
    assert proof.serial == "SN-000001"
    assert len(proof.public) == 65


@pytest.mark.parametrize(
    ("certificate", "at", "reason"),
    [
        (b"not a certificate", NOW, "certificate"),
        (factory_leaf("sn with spaces"), NOW, "certificate"),
        (factory_leaf(life=timedelta(days=1)), NOW + timedelta(days=2), "certificate_time"),
        (factory_leaf(), NOW - timedelta(days=2), "certificate_time"),
        (FACTORY_CA.public_bytes(Encoding.DER), NOW, "certificate"),
    ],
)
def test_what_is_no_factory_certificate_is_refused(certificate: bytes, at: datetime, reason: str) -> None:
    with pytest.raises(ClaimRefusedError) as refused:
        FactoryTrust((FACTORY_CA,)).verify(certificate, at)
    assert refused.value.detail == {"reason": reason}


def test_a_strangers_factory_is_not_believed_even_under_the_same_name() -> None:
    stranger = private_key(secrets.token_bytes)
    theirs = make_ca("factory", stranger, NOW)
    leaf = sign_leaf("SN-000001", public_bytes(stranger), theirs, stranger, NOW)
    for trust in (FactoryTrust((FACTORY_CA,)), FactoryTrust(())):
        with pytest.raises(ClaimRefusedError) as refused:
            trust.verify(leaf.public_bytes(Encoding.DER), NOW)
        assert refused.value.detail == {"reason": "manufacturer"}
