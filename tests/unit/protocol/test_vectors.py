"""The golden vectors are what the code writes, and what their sources say."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.protocol import codec, curve, framing, sealed, topics
from lockserver.protocol.claims import minute_of_week
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import read_access_state, read_release
from lockserver.protocol.errors import RemoteError
from tests.vectors.cast import ISSUER
from tests.vectors.generate import FOLDER, build, text

HAND = json.loads((FOLDER / "hand.json").read_text(encoding="ascii"))


def load(name: str) -> dict[str, list[dict[str, str]]]:
    content: dict[str, list[dict[str, str]]] = json.loads((FOLDER / name).read_text(encoding="ascii"))
    return content


def from_scalar(value: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(value, 16), ec.SECP256R1())


@pytest.fixture(scope="module")
def built() -> dict[str, object]:
    return build()


def test_vectors_regenerate_without_a_difference(built: dict[str, object]) -> None:
    on_disk = {path.name for path in FOLDER.glob("*.json")} - {"hand.json"}
    assert on_disk == set(built)
    for name, content in built.items():
        assert (FOLDER / name).read_text(encoding="ascii") == text(content), f"{name}: regenerate"


def test_mutant_a_changed_label_shows_in_the_vectors(
    built: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "_LABEL", b"LK1 bax\0")
    changed = {name for name, content in build().items() if text(content) != text(built[name])}
    assert changed == {"sealed.json", "envelopes.json", "enrolment.json"}


READERS: dict[str, Callable[[bytes], object]] = {
    "LK1-STATE": lambda data: read_access_state(data, keys_by_id((ISSUER.public,))),
    "LK1-RELEASE": lambda data: read_release(data, keys_by_id((ISSUER.public,))),
}


@pytest.mark.parametrize("row", load("documents.json")["refused_documents"], ids=lambda r: r["name"])
def test_documents_to_refuse_are_refused_with_their_code(row: dict[str, str]) -> None:
    with pytest.raises(RemoteError) as refused:
        READERS[row["kind"]](bytes.fromhex(row["hex"]))
    assert refused.value.code.word == row["code"]


@pytest.mark.parametrize("row", HAND["cbor"], ids=lambda r: r["hex"])
def test_cbor_as_the_rfc_writes_it(row: dict[str, object]) -> None:
    assert codec.encode(row["value"]).hex() == row["hex"]
    assert codec.decode(bytes.fromhex(str(row["hex"]))) == row["value"]


def test_cbor_key_order_as_the_rfc_writes_it() -> None:
    row = HAND["cbor_key_order"]
    assert codec.encode(dict.fromkeys(reversed(row["keys"]), 0)).hex() == row["hex"]


def test_hkdf_as_the_rfc_writes_it() -> None:
    row = HAND["hkdf"]
    prk = curve.hkdf_extract(bytes.fromhex(row["salt"]), bytes.fromhex(row["ikm"]))
    assert prk.hex() == row["prk"]
    assert curve.hkdf_expand(prk, bytes.fromhex(row["info"]), row["length"]).hex() == row["okm"]


def test_signatures_as_the_rfc_writes_them() -> None:
    row = HAND["ecdsa"]
    signer = curve.EcdsaSigner(from_scalar(row["scalar"]))
    message = bytes.fromhex(row["message"])
    assert signer.public.hex() == row["public"]
    assert signer.sign(message).hex() == row["signature"]
    assert curve.verify(signer.public, bytes.fromhex(row["signature"]), message)
    assert not curve.verify(signer.public, bytes.fromhex(row["signature"]), message + b".")


def test_ecdh_as_the_rfc_writes_it() -> None:
    row = HAND["ecdh"]
    assert curve.ecdh(from_scalar(row["scalar"]), bytes.fromhex(row["public"])).hex() == row["x"]


def test_gcm_as_its_authors_write_it() -> None:
    row = {name: bytes.fromhex(value) for name, value in HAND["gcm"].items() if name != "source"}
    box = curve.aead_seal(row["key"], row["iv"], row["plaintext"], row["aad"])
    assert box == row["ciphertext"]
    assert curve.aead_open(row["key"], row["iv"], box, row["aad"]) == row["plaintext"]


@pytest.mark.parametrize("row", HAND["week"], ids=lambda r: r["source"])
def test_minutes_of_the_week_as_the_calendar_has_them(row: dict[str, int]) -> None:
    assert minute_of_week(row["now"], row["offset"]) == row["minute"]


@pytest.mark.parametrize("row", load("codec.json")["refuse"], ids=lambda r: r["name"])
def test_L07_an_encoding_that_is_not_the_one_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(RemoteError):
        codec.decode(bytes.fromhex(row["hex"]))


@pytest.mark.parametrize("row", load("sealed.json")["boxes"], ids=lambda r: r["name"])
def test_boxes_open(row: dict[str, str]) -> None:
    box, info = bytes.fromhex(row["box"]), bytes.fromhex(row["info"])
    assert sealed.unseal(from_scalar(row["recipient_scalar"]), box, info).hex() == row["plaintext"]


@pytest.mark.parametrize("row", load("sealed.json")["refuse"], ids=lambda r: r["name"])
def test_boxes_for_another_or_tampered_with_do_not_open(row: dict[str, str]) -> None:
    with pytest.raises(RemoteError):
        sealed.unseal(
            from_scalar(row["recipient_scalar"]), bytes.fromhex(row["box"]), bytes.fromhex(row["info"])
        )


@pytest.mark.parametrize("row", load("framing.json")["refuse"], ids=lambda r: r["name"])
def test_streams_that_are_refused(row: dict[str, str]) -> None:
    with pytest.raises(RemoteError):
        framing.Reassembler().push(bytes.fromhex(row["stream"]))


@pytest.mark.parametrize("name", load("topics.json")["refuse"])
def test_topics_that_are_not_ours_are_refused(name: str) -> None:
    with pytest.raises(RemoteError):
        topics.parse_topic(name)


def test_topics_parse_to_what_they_were_made_of() -> None:
    for row in load("topics.json")["topics"]:
        lock_id = bytes.fromhex(row["lock_id"])
        for name, direction in ((row["report"], "up"), (row["command"], "down")):
            assert topics.parse_topic(name) == topics.Topic(row["shard"], lock_id, direction)


def test_the_vectors_name_no_machine() -> None:
    for path in Path(FOLDER).glob("*.json"):
        assert "/tmp" not in path.read_text(encoding="ascii")  # noqa: S108 - looked for, not used
