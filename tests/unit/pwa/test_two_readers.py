"""Two readers of one page: what JavaScript takes or refuses, Python takes or refuses, with the same code (L-07)."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockserver.protocol.credential import read_credential
from lockserver.protocol.curve import key_id
from lockserver.protocol.documents import (
    read_access_state,
    read_door,
    read_key_set,
    read_release,
    read_revocation_list,
    read_time,
)
from lockserver.protocol.enrolment import read_offer
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.request import read_request
from lockserver.protocol.wish import read_wish

#: What a caller compares in Python, and the reader itself in JavaScript.
BY_THE_CALLER = {"wrong_lock", "wrong_nonce"}


def _javascript() -> tuple[bytes, list[dict[str, Any]]]:
    node = shutil.which("node")
    assert node, "Node.js 18 or later is needed (Debian: apt install nodejs)"
    script = Path(__file__).with_name("two_readers.mjs")
    done = subprocess.run([node, str(script)], capture_output=True, text=True, check=True, timeout=110)
    first, *lines = map(json.loads, done.stdout.splitlines())
    return bytes.fromhex(first["signer"]), lines


def _readers(signer: bytes) -> dict[str, Callable[[bytes], object]]:
    keys = {key_id(signer): signer}
    return {
        "LK1-EKEY": lambda raw: read_credential(raw, keys),
        "LK1-DOOR": lambda raw: read_door(raw, keys),
        "LK1-RL": lambda raw: read_revocation_list(raw, keys),
        "LK1-TIME": lambda raw: read_time(raw, keys),
        "LK1-STATE": lambda raw: read_access_state(raw, keys),
        "LK1-KEYS": lambda raw: read_key_set(raw, signer),
        "LK1-RELEASE": lambda raw: read_release(raw, keys),
        "LK1-WISH": lambda raw: read_wish(raw, signer),
        "LK1-REQ": lambda raw: read_request(raw, signer),
        "LK1-OFFER": lambda raw: read_offer(raw, signer),
    }


@pytest.fixture(scope="module")
def both() -> list[tuple[str, str, str]]:
    """(which document, what JavaScript said, what Python said)."""
    signer, lines = _javascript()
    readers = _readers(signer)
    pairs = []
    for line in lines:
        try:
            readers[line["kind"]](bytes.fromhex(line["hex"]))
            said = "ok"
        except RemoteError as error:
            said = error.code.word
        pairs.append((f"{line['kind']}: {line['name']}", line["said"], said))
    return pairs


def _apart(pairs: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [(name, js, py) for name, js, py in pairs if js != py and not (js in BY_THE_CALLER and py == "ok")]


def test_L07_both_readers_take_and_refuse_the_same(both: list[tuple[str, str, str]]) -> None:
    assert len(both) > 1200
    assert {"ok", "bad_format", "bad_point", "unknown_claim", "too_large", "life_too_long"} <= {
        p for _, _, p in both
    }
    assert _apart(both) == []


def test_L07_mutant_a_lenient_reader_is_noticed(both: list[tuple[str, str, str]]) -> None:
    lenient = [(name, "ok" if js == "unknown_claim" else js, py) for name, js, py in both]
    assert len(_apart(lenient)) >= 9
