"""`lockserver sim --gateways`: a gateway as its own process has it, over the control door."""

from __future__ import annotations

import json
import secrets
import uuid
from pathlib import Path

import pytest

from firmware_sim.control import Control, ControlError, control
from firmware_sim.fleet import Fleet
from firmware_sim.main import _parse
from lockserver.domain.canonical import b64url, unb64url
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.documents import KeySet, sign_key_set
from lockserver.protocol.request import hash_body, read_request
from lockserver.protocol.sealed import Box, box_info, seal

pytestmark = pytest.mark.e2e


def given(ecdh_pub: bytes) -> dict[str, str]:
    """What a server answers that named it."""
    random, gateway_id = secrets.token_bytes, uuid.uuid4()
    root, other = EcdsaSigner(private_key(random)), public_bytes(private_key(random))
    key_set = sign_key_set(KeySet(1, (other,), (other,), other, 1_800_000_000), root)
    box = seal(ecdh_pub, random(32), box_info(Box.BROKER, gateway_id.bytes), private_key(random))
    return {
        "gateway_id": str(gateway_id),
        "certificate": b64url(b"certificate"),
        "broker_secret": b64url(box),
        "site_root": b64url(root.public),
        "key_set": b64url(key_set),
    }


async def test_a_gateway_is_offered_adopted_killed_and_comes_back(tmp_path: Path) -> None:
    assert _parse(["--data", str(tmp_path), "--gateways", "2"]).gateways == 2
    fleet = Fleet(tmp_path)
    await fleet.start_gateways(1)
    door = Control(fleet)
    where = await door.listen()
    try:
        house = uuid.uuid4()
        offer = await control(*where, do="gateway_offer", name="gateway-1", house_id=str(house))
        keys = {name: unb64url(text) for name, text in offer.items()}
        said = read_request(keys["proof"], keys["sign_pub"])
        assert said.phone_id == house.bytes
        assert said.body_hash == hash_body(keys["sign_pub"] + keys["ecdh_pub"])
        made = given(keys["ecdh_pub"])
        assert len(json.dumps(made)) < 4096
        state = await control(*where, do="gateway_adopt", name="gateway-1", given=made)
        assert state["on"]
        assert state["gateway_id"] == uuid.UUID(made["gateway_id"]).hex
        assert not (await control(*where, do="gateway_kill", name="gateway-1"))["on"]
        back = await control(*where, do="gateway_restart", name="gateway-1")
        assert (back["on"], back["boots"]) == (True, 2)
        assert (await control(*where, do="gateway_deafen", name="gateway-1", decibels=40))[
            "attenuation"
        ] == 40
        assert len((await control(*where, do="gateways"))["gateways"]) == 1
        with pytest.raises(ControlError, match="no_such_gateway"):
            await control(*where, do="gateway_kill", name="gateway-9")
    finally:
        await door.close()
        await fleet.stop()
    again = Fleet(tmp_path)
    await again.start_gateways(1)  # it knows who it is
    assert again.gateways[0].on
    await again.stop()
