"""PINs, gateways and firmware of the vectors, taken apart by an implementation that shares nothing with ours."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.protocol import cose, firmware, gateway, keyed, pin, topics
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.pin import subject_pin
from tests.vectors import second_reading as wire
from tests.vectors.build_pins import pin_cases, slot_cases
from tests.vectors.generate import FOLDER


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="ascii"))


PINS = load("pins.json")
SEED = bytes.fromhex(PINS["seed"])
GATEWAY = load("gateway.json")
FIRMWARE = load("firmware.json")
TOPICS = load("topics.json")

raw = bytes.fromhex


def test_the_digits_of_offline_pins_follow_from_the_page() -> None:
    for row in PINS["digits"]:
        _epoch, code, hour, n = row["pin"]
        assert wire.offline_pin(SEED, row["pin"]) == row["digits"]
        life = wire.LIVES[code]
        assert (row["start"], row["until"]) == (hour * 3600, hour * 3600 + life)
        assert row["first_until"] == hour * 3600 + min(life, 86400)
        assert row["kept_until"] == (hour * 3600 + 90000 if code in {0, 7} else row["until"])
        assert row["subject"] == hour * 256 + code * 16 + n
        if hour:
            assert subject_pin(row["subject"]) == (code, hour, n)
    assert {row["pin"][1] for row in PINS["digits"]} == set(wire.LIVES)


def test_what_is_searched_follows_from_the_page() -> None:
    for row in PINS["searched"]:
        rows = wire.searched(row["shared"], row["epoch"], row["owner_epoch"], row["now"])
        assert len(rows) == row["count"]
        digits = sorted(wire.offline_pin(SEED, each) for each in rows)
        assert wire.sha256("".join(digits).encode()) == raw(row["digits_sorted_sha256"])


def test_verifiers_follow_from_the_page() -> None:
    for row in PINS["verifiers"]:
        assert wire.slot_verifier(SEED, row["kind"], raw(row["value"])) == raw(row["verifier"])


@pytest.mark.parametrize("row", PINS["rules"], ids=lambda r: ascii(r["digits"]))
def test_weak_pins_are_weak_by_the_page(row: dict[str, str]) -> None:
    assert wire.weak(row["digits"]) == row["weak"]


@given(st.text("0123456789", min_size=6, max_size=10))
def test_both_readers_find_the_same_pins_weak(digits: str) -> None:
    assert pin.weakness(digits) == wire.weak(digits)


EXPECTED = {
    "one_time: from -1": "not_yet", "one_time: from +0": "granted", "one_time: end of first use -1": "granted",
    "one_time: end of first use +0": "expired", "one_time: until +0": "expired",
    "hours_3: until -1": "granted", "hours_3: until +0": "expired",
    "days_3: end of first use +0": "expired", "days_3: until -1": "granted", "days_3: until +0": "expired",
    "daily: window's end -1": "granted", "daily: window's end +0": "schedule",
    "daily: next window -1": "schedule", "daily: next window +0": "granted",
    "weekly: next window -1": "schedule", "weekly: next window +0": "granted", "weekly: until +0": "expired",
    "clock lost": "clock_lost", "clock lost, floor past its life": "expired", "clock behind its floor": "expired",
    "one-time, used": "used_up", "one-time, its twin used": "granted", "owner's, used": "used_up",
    "as many as can be remembered": "back_off", "one of as many as can be remembered": "granted",
    "next epoch": "epoch 4, occupied", "next epoch, occupied": "epoch 4, occupied",
    "epoch after the next": "epoch_jump", "epoch below, in use": "epoch_low", "at a gate": "granted",
    "an epoch at a gate": "epoch_shared", "owner's next epoch": "epoch 1", "owner's at a gate": "granted",
    "owner's below his epoch": "epoch_low", "owner's at an occupied room": "occupied",
    "guest's at an occupied room": "granted", "cleared in its own hour": "revoked", "cleared, in use": "revoked",
    "cleared the hour before": "granted", "owner's, cleared": "granted", "clear": "granted",
    "clear, again": "granted", "clear at an occupied room, next epoch": "granted",
    "clear, as many as can be remembered": "granted", "clear, a day later": "expired",
}  # fmt: skip
"""Written by hand from the page; of the edges of the lives, those that could be mistaken."""

EXPECTED_SLOTS = {
    "from -300": "not_yet", "from -1": "not_yet", "from +0": "granted", "from +1": "granted",
    "from +300": "expired", "until -300": "not_yet", "until -1": "granted", "until +0": "expired",
    "until +1": "expired", "until +300": "expired", "tenant's, clock lost": "granted",
    "tenant's, clock lost, floor past until": "expired",
    "tenant's, clock lost, of the last tenancy": "epoch_low",
    "tenant's, clock lost, of the next tenancy": "clock_lost",
    "tenant's, clock lost, of the next tenancy begun": "epoch 4, occupied", "clock behind its floor": "expired",
    "guest's, clock lost": "clock_lost", "owner's, clock lost": "clock_lost", "epoch below": "epoch_low",
    "epoch above": "epoch 4, occupied", "epoch jump at its bound": "epoch 19, occupied",
    "epoch jump beyond": "epoch_jump", "no epoch at a room": "epoch_low", "at a gate": "granted",
    "epoch at a gate": "epoch_shared", "owner's": "granted", "owner's below the owner's epoch": "epoch_low",
    "owner's raises the owner's epoch": "epoch 1", "staff's at a gate": "granted",
    "owner's at an occupied room": "occupied", "staff's at an occupied room": "occupied",
    "guest's at an occupied room": "granted",
}  # fmt: skip


def told(verdict: dict[str, Any]) -> str:
    if "denied" in verdict:
        return str(verdict["denied"])
    if verdict["raise_epoch"] is None:
        return "granted"
    return f"epoch {verdict['raise_epoch']}" + (", occupied" if verdict["occupies"] else "")


def test_L40_every_verdict_about_pins_and_slots_is_the_expected_one() -> None:
    said = {row["name"]: told(row["verdict"]) for row in PINS["decide"]}
    assert {name: said[name] for name in EXPECTED} == EXPECTED
    assert {row["name"]: told(row["verdict"]) for row in PINS["slots"]} == EXPECTED_SLOTS


@pytest.mark.parametrize("check", ["_slot_window", "epoch_denial", "_too_early_to_tell", "_occupied"])
def test_L40_mutant_a_slot_judged_without_one_check_is_caught(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verdicts() -> list[object]:
        return [keyed.decide_slot(case.slot, case.clock, case.door) for case in slot_cases()]

    before = verdicts()
    monkeypatch.setattr(keyed, check, lambda *_, **__: None)
    assert verdicts() != before
    assert len(pin_cases()) == len(PINS["decide"])


# -------------------------------------------------------------------------------- carriers


@pytest.mark.parametrize("row", GATEWAY["down"] + GATEWAY["up"], ids=lambda r: r["name"])
def test_a_gateways_frame_is_the_array_of_the_page(row: dict[str, Any]) -> None:
    down = row in GATEWAY["down"]
    numbers = (
        {"carry": 1, "carry the largest": 1, "material": 2, "no material": 2, "say hello": 3}
        if down
        else {"report": 1, "heard": 2, "heard nothing": 2, "hello": 4}
    )

    def value(item: Any) -> Any:
        if isinstance(item, list):
            return [value(each) for each in item]
        return raw(item) if isinstance(item, str) else item

    expected = [numbers.get(row["name"], 3), *map(value, row["fields"].values())]
    assert wire.enc(expected) == raw(row["hex"])
    decoded = (gateway.decode_down if down else gateway.decode_up)(raw(row["hex"]))
    again = gateway.encode_down(decoded) if down else gateway.encode_up(decoded)  # type: ignore[arg-type]  # its own
    assert again == raw(row["hex"])


@pytest.mark.parametrize("way", ["down", "up"])
def test_L01_frames_to_refuse_are_refused_with_their_code(way: str) -> None:
    read = {"down": gateway.decode_down, "up": gateway.decode_up}[way]
    for row in GATEWAY[f"refuse_{way}"]:
        with pytest.raises(RemoteError) as refused:
            read(raw(row["hex"]))
        assert refused.value.code.word == row["code"], row["name"]


def test_manifests_say_what_the_page_says_they_say() -> None:
    signer = raw(FIRMWARE["signer_public"])
    for row in FIRMWARE["manifests"]:
        fields = wire.signed("LK1-FW", raw(row["hex"]), signer)
        said = row["fields"]
        image = raw(row["image"])
        assert fields == {
            1: said["model"], 2: said["counter"], 3: said["version"], 4: said["size"], 5: raw(said["digest"]),
            6: said["iat"],
        }  # fmt: skip
        assert (len(image), wire.sha256(image)) == (fields[4], fields[5])
        manifest = firmware.read_firmware(raw(row["hex"]), signer)
        firmware.check_image(manifest, image)


@pytest.mark.parametrize("row", FIRMWARE["refuse"], ids=lambda r: r["name"])
def test_L14_a_manifest_that_is_not_the_manufacturers_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(RemoteError) as refused:
        firmware.read_firmware(raw(row["hex"]), raw(FIRMWARE["signer_public"]))
    assert refused.value.code.word == row["code"]


def test_L14_a_truncated_or_altered_image_is_not_the_manifests() -> None:
    row = FIRMWARE["manifests"][0]
    manifest = firmware.read_firmware(raw(row["hex"]), raw(FIRMWARE["signer_public"]))
    image = raw(row["image"])
    for other in (image[:-1], image + b"\0", image[:-1] + bytes([image[-1] ^ 1]), b""):
        with pytest.raises(RemoteError, match="bad_signature"):
            firmware.check_image(manifest, other)


def test_L14_mutant_a_reader_that_checks_no_signature_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken() -> set[str]:
        return {row["name"] for row in FIRMWARE["refuse"] if passes(raw(row["hex"]))}

    def passes(data: bytes) -> bool:
        try:
            firmware.read_firmware(data, raw(FIRMWARE["signer_public"]))
        except RemoteError:
            return False
        return True

    assert taken() == set()
    monkeypatch.setattr(cose, "verify", lambda *_: True)
    assert taken() == {"another kind", "last bit of the signature"}


def test_L14_mutant_an_image_that_is_only_measured_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    row = FIRMWARE["manifests"][0]
    manifest = firmware.read_firmware(raw(row["hex"]), raw(FIRMWARE["signer_public"]))
    altered = bytes([raw(row["image"])[0] ^ 1]) + raw(row["image"])[1:]
    with pytest.raises(RemoteError):
        firmware.check_image(manifest, altered)
    monkeypatch.setattr(firmware, "sha256", lambda _: manifest.digest)
    firmware.check_image(manifest, altered)  # what the check above would have let by


def test_topics_of_gateways_and_of_enrolment_follow_from_the_page() -> None:
    for row in TOPICS["gateways"]:
        shard = f"{wire.sha256(raw(row['gateway_id']))[0] % 64:02x}"
        assert row["up"] == f"g/{shard}/{row['gateway_id']}/up"
        assert row["down"] == f"g/{shard}/{row['gateway_id']}/down"
        for way in ("up", "down"):
            parsed = topics.parse_gateway_topic(row[way])
            assert parsed == topics.GatewayTopic(shard, raw(row["gateway_id"]), way)
    for row in TOPICS["enrolments"]:
        for way in ("up", "down"):
            assert row[way] == f"e/{row['serial']}/{way}"
            assert topics.parse_enrol_topic(row[way]) == (row["serial"], way)
    for read, name in (
        (topics.parse_gateway_topic, "refuse_gateways"),
        (topics.parse_enrol_topic, "refuse_enrolments"),
    ):
        for wrong in TOPICS[name]:
            with pytest.raises(RemoteError):
                read(wrong)
