"""The vectors, taken apart by an implementation that shares nothing with ours (``second_reading``)."""

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag

from tests.vectors import second_reading as wire
from tests.vectors.generate import FOLDER


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="ascii"))


HANDSHAKE = load("handshake.json")
DOCUMENTS = load("documents.json")
ENVELOPES = load("envelopes.json")
ENROLMENT = load("enrolment.json")


def raw(value: str) -> bytes:
    return bytes.fromhex(value)


@pytest.mark.parametrize("side", ["phone", "lock"])
@pytest.mark.parametrize("run", HANDSHAKE["exchanges"], ids=lambda r: r["name"])
def test_an_exchange_reads_the_same_from_both_ends(run: dict[str, Any], side: str) -> None:
    m1, m2, m3, m4 = (raw(run[m]) for m in ("m1", "m2", "m3", "m4"))
    ephemerals = {s: wire.private(HANDSHAKE[f"{s}_ephemeral_scalar"]) for s in ("phone", "lock")}
    assert m1 == b"\x01\x01" + wire.point(ephemerals["phone"])
    assert m2[:67] == b"\x02\x01" + wire.point(ephemerals["lock"])
    theirs = m2[2:67] if side == "phone" else m1[2:]
    seen = wire.Transcript(ephemerals[side], theirs, m1, m2, m3)
    assert seen.prk == raw(run["prk"])
    assert seen.th3 == raw(run["keys3"]["th"])
    assert seen.th4 == raw(run["keys4"]["th"])

    info, signature = seen.open(2, seen.th2, m2[67:])
    wire.check(raw(HANDSHAKE["lock_public"]), signature, b"LK1 lock" + seen.th2 + info)
    told = HANDSHAKE["info"]
    assert wire.dec(info) == [
        raw(told["lock_id"]), told["time"], told["list_number"], told["key_set_number"], raw(told["time_nonce"]),
    ]  # fmt: skip

    assert m3[:1] == b"\x03"
    credential, documents, operation, proof = seen.open(3, seen.th3, m3[1:])
    assert credential == raw(run["credential"])
    assert documents == [[kind, raw(data)] for kind, data in run["documents"]]
    assert operation == run["operation"]
    body = wire.sha256(wire.enc([credential, documents, operation]))
    wire.check(raw(HANDSHAKE["holder_public"]), proof, b"LK1 phone" + seen.th3 + body)

    answer = HANDSHAKE["answer"]
    assert m4[:1] == b"\x04"
    assert seen.open(4, seen.th4, m4[1:]) == [
        answer["code"], answer["bolt"], answer["time"], answer["journal_number"], raw(answer["journal_hash"]),
    ]  # fmt: skip

    th5 = seen.th5(m4)
    for number, way, name in ((5, "to_lock", "parcel_to_lock"), (6, "to_phone", "parcel_to_phone")):
        key_iv = seen.key_iv(number, th5)
        for count, parcel in enumerate(map(raw, run[f"parcels_{way}"])):
            assert parcel[:3] == b"\x05" + count.to_bytes(2, "big")
            iv = (int.from_bytes(key_iv[16:], "big") ^ count).to_bytes(12, "big")
            opened = wire.dec(wire.gcm_open(key_iv[:16] + iv, parcel[3:], th5 + parcel[:3]))
            assert opened == [run[name][0], raw(run[name][1])]


@pytest.mark.parametrize("row", DOCUMENTS["credentials"], ids=lambda r: r["name"])
def test_a_credential_says_what_the_page_says_it_says(row: dict[str, Any]) -> None:
    claims = wire.signed("LK1-EKEY", raw(row["hex"]), raw(row["signer_public"]))
    said = row["fields"]
    holder = raw(said["holder_public"])
    expected = {
        2: raw(said["subject"]), 3: raw(said["lock_id"]), 4: said["exp"], 5: said["nbf"], 6: said["iat"],
        7: raw(said["cti"]), 8: {1: {1: 2, -1: 1, -2: holder[1:33], -3: holder[33:]}},
        -1: said["capabilities"], -2: said["class"],
    }  # fmt: skip
    if said["epoch"] is not None:
        expected[-3] = said["epoch"]
    if said["schedule"] is not None:
        offset, windows = said["schedule"]
        expected[-4] = [offset, [minute for window in windows for minute in window]]
    if "uses" in said:
        expected[-5] = said["uses"]
    assert claims == expected


def expected_fields(kind: str, said: dict[str, Any]) -> dict[int, object]:
    """The fields of §2 for what the vector's JSON says; None is absent."""

    def keys(name: str) -> list[bytes]:
        return [raw(key) for key in said[name]]

    makers: dict[str, Any] = {
        "LK1-DOOR": lambda: {1: raw(said["lock_id"]), 2: raw(said["lock_public"]), 3: said["iat"]},
        "LK1-TIME": lambda: {1: said["now"], 2: raw(said["nonce"]), 3: raw(said["lock_id"])},
        "LK1-RL": lambda: {
            1: raw(said["lock_id"]), 2: said["number"], 3: [[raw(c), e] for c, e in said["entries"]],
            4: said["iat"], 5: said["iat_floor"],
        },
        "LK1-KEYS": lambda: {
            1: said["number"], 2: keys("issuer_keys"), 3: keys("command_keys"), 4: raw(said["report_key"]),
            5: said["iat"], 6: raw(said["pins_key"]) if "pins_key" in said else None,
        },
        "LK1-RELEASE": lambda: {1: raw(said["lock_id"]), 2: said["reason"], 3: said["iat"]},
        "LK1-REQ": lambda: {
            1: raw(said["phone_id"]), 2: said["method_path"], 3: wire.sha256(raw(said["body"])),
            4: said["issued_at"], 5: raw(said["nonce"]),
        },
        "LK1-WISH": lambda: {
            1: raw(said["wish_id"]), 2: raw(said["target_id"]), 3: said["operation"], 4: said["not_after"],
            5: {k: raw(v["hex"]) if isinstance(v, dict) else v for k, v in said["args"].items()} or None,
        },
    }  # fmt: skip
    return {number: value for number, value in makers[kind]().items() if value is not None}


@pytest.mark.parametrize("row", DOCUMENTS["documents"] + DOCUMENTS["wishes"], ids=lambda r: r["kind"])
def test_a_document_says_what_the_page_says_it_says(row: dict[str, Any]) -> None:
    fields = wire.signed(row["kind"], raw(row["hex"]), raw(row["signer_public"]))
    said = row["fields"]
    if row["kind"] == "LK1-STATE":
        epoch = {} if said["epoch"] is None else {3: said["epoch"]}
        rest = {1: raw(said["lock_id"]), 2: said["version"], 4: said["occupied"], 7: said["iat"]} | epoch
        if said.get("hold_open") is not None:
            offset, windows = said["hold_open"]
            rest[9] = [offset, [minute for window in windows for minute in window]]
        if said.get("auto_lock") is not None:
            rest[10] = said["auto_lock"]
        assert {k: v for k, v in fields.items() if k not in {5, 6, 8}} == rest
        assert (8 in fields) is bool(said.get("fingers"))
        for number, name in ((5, "pins"), (6, "cards"), (8, "fingers"))[: 2 + (8 in fields)]:
            slots = fields[number]
            assert isinstance(slots, list)
            assert [slot[0] for slot in slots] == said[name]
            assert all(len(slot) == 7 for slot in slots)
    else:
        assert fields == expected_fields(row["kind"], said)


def test_commands_and_reports_open_and_are_signed_by_whom_they_should_be() -> None:
    lock_id = raw(ENVELOPES["lock_id"])
    lock = wire.private(ENVELOPES["lock_ecdh_scalar"])
    for row in ENVELOPES["commands"]:
        inside = wire.open_box(lock, raw(row["hex"]), wire.box_info("command", lock_id))
        assert inside == raw(row["signed"])
        fields = wire.signed("LK1-CMD", inside, raw(ENVELOPES["command_public"]))
        assert fields[1] == lock_id
        assert (4 in fields, 5 in fields) == ((True, True) if fields[3] in {1, 2, 3, 9} else (False, False))
    server = wire.private(ENVELOPES["report_scalar"])
    for row in ENVELOPES["reports"]:
        inside = wire.open_box(server, raw(row["hex"]), wire.box_info("report", lock_id))
        assert inside == raw(row["signed"])
        fields = wire.signed("LK1-RPT", inside, raw(ENVELOPES["lock_public"]))
        assert (fields[1], fields[2], fields[3]) == (lock_id, row["boot"], row["seq"])


def test_boxes_open_and_the_refused_ones_do_not() -> None:
    boxes = load("sealed.json")
    for row in boxes["boxes"]:
        mine = wire.private(row["recipient_scalar"])
        assert wire.open_box(mine, raw(row["box"]), raw(row["info"])) == raw(row["plaintext"])
    for row in boxes["refuse"]:
        with pytest.raises((InvalidTag, ValueError)):
            wire.open_box(wire.private(row["recipient_scalar"]), raw(row["box"]), raw(row["info"]))


def test_the_journal_hashes_to_the_same_heads() -> None:
    previous = bytes(32)
    journal = load("journal.json")
    for number, entry in enumerate(journal["entries"] + journal["later"], 1):
        row = [raw(v) if isinstance(v, str) else v for v in entry["row"]]
        assert (row[0], row[1]) == (number, previous)
        previous = wire.sha256(b"LK1-JRNL" + wire.enc(row))
        assert previous == raw(entry["hash"])


def test_enrolment_is_signed_and_maced_as_the_page_says() -> None:
    lock_id = raw(ENROLMENT["lock_id"])
    assert raw(ENROLMENT["e1"]) == b"\x10\x01" + raw(ENROLMENT["owner_public"])
    offer = wire.signed("LK1-OFFER", raw(ENROLMENT["e2"])[2:], raw(ENROLMENT["factory_public"]))
    assert (offer[1], offer[2], offer[7]) == (1, ENROLMENT["serial"], raw(ENROLMENT["owner_public"]))
    nonce = raw(ENROLMENT["nonce"])
    prk = wire.mac(nonce, raw(ENROLMENT["claim_code"]))
    key = wire.expand(prk, b"LK1 enrol\0" + ENROLMENT["serial"].encode(), 32)
    for row in ENROLMENT["documents"]:
        signed = raw(row["signed"])
        assert wire.mac(key, b"\x12\x01" + signed) == raw(row["mac"])
        assert raw(row["e3"]) == b"\x12\x01" + raw(row["mac"]) + signed
        fields = wire.signed("LK1-ENROL", signed, raw(DOCUMENTS["issuer_public"]))
        assert (fields[2], fields[3]) == (lock_id, nonce)
        assert (11 in fields) == (fields[10] == 1)
        root = fields[4]
        assert isinstance(root, bytes)
        assert wire.signed("LK1-KEYS", fields[5], root)[2] == [raw(DOCUMENTS["issuer_public"])]  # type: ignore[arg-type]  # bytes
        mine = wire.private(ENROLMENT["lock_ecdh_scalar"])
        for number, purpose, name in ((7, "broker", "broker_secret"), (8, "seed", "door_seed")):
            box = fields[number]
            assert isinstance(box, bytes)
            assert wire.open_box(mine, box, wire.box_info(purpose, lock_id)) == raw(ENROLMENT[name])


def test_topics_and_fragments_follow_from_the_page() -> None:
    for row in load("topics.json")["topics"]:
        lock_id = raw(row["lock_id"])
        shard = f"{wire.sha256(lock_id)[0] % 64:02x}"
        assert row["report"] == f"l/{shard}/{lock_id.hex()}/up/report"
        assert row["command"] == f"l/{shard}/{lock_id.hex()}/down/command"
    for row in load("framing.json")["split"]:
        message = raw(row["message"])
        assert b"".join(map(raw, row["fragments"])) == len(message).to_bytes(2, "big") + message
        assert max(len(raw(f)) for f in row["fragments"]) <= min(row["mtu"] - 3, 512)


def test_encodings_are_the_same_bytes() -> None:
    codec = load("codec.json")
    for row in codec["accept"]:
        assert wire.enc(row["value"]) == raw(row["hex"])
    for row in codec["accept_maps"]:
        assert wire.enc({key: value for key, value in row["entries"]}) == raw(row["hex"])  # noqa: C416 - pairs


def test_mutant_a_wrong_label_or_kind_does_not_read() -> None:
    row = DOCUMENTS["credentials"][0]
    with pytest.raises(InvalidSignature):
        wire.signed("LK1-WISH", raw(row["hex"]), raw(row["signer_public"]))
    box = load("sealed.json")["boxes"][0]
    with pytest.raises(InvalidTag):
        wire.open_box(wire.private(box["recipient_scalar"]), raw(box["box"]), raw(box["info"]) + b".")
