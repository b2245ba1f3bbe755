"""MQTT topics of locks, gateways, and locks that have no identity yet.

``l/{shard}/{lock}/up/report`` and ``l/{shard}/{lock}/down/command``: shard = first byte of SHA-256(lock
id) mod 64 as two hex digits; lock = 32 lower-case hex digits.  One word each way, so that the broker does
not even learn what kind of message passes.  ``g/{shard}/{gateway}/up`` and ``.../down`` likewise;
``e/{serial}/up`` and ``.../down`` for enrolment.
"""

import re
from dataclasses import dataclass
from typing import Final

from lockserver.protocol.curve import sha256
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.limits import ID

SHARDS: Final = 64
UP: Final = "up"
DOWN: Final = "down"
REPORT: Final = "report"
COMMAND: Final = "command"

_TOPIC: Final = re.compile(r"l/([0-3][0-9a-f])/([0-9a-f]{32})/(?:(up)/report|(down)/command)", re.ASCII)
_GATEWAY: Final = re.compile(r"g/([0-3][0-9a-f])/([0-9a-f]{32})/(up|down)", re.ASCII)
_SERIAL: Final = re.compile(r"[A-Z0-9-]{4,32}", re.ASCII)
_ENROL: Final = re.compile(r"e/([A-Z0-9-]{4,32})/(up|down)", re.ASCII)

ENROL_FILTER: Final = "e/+/up"
"""What the server subscribes to for enrolment (MQTT filter)."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic; ``direction`` is "up" or "down"."""

    shard: str
    lock_id: bytes
    direction: str


def lock_name(lock_id: bytes) -> str:
    """A lock's name in topics, client ids and certificates: 32 lower-case hex digits."""
    if len(lock_id) != ID:
        raise LocalError("a lock id has 16 bytes")
    return lock_id.hex()


def shard(lock_id: bytes) -> str:
    """Two hex digits, "00" to "3f"."""
    return f"{sha256(lock_id)[0] % SHARDS:02x}"


def all_shards() -> tuple[str, ...]:
    """Every shard, in order."""
    return tuple(f"{number:02x}" for number in range(SHARDS))


def report_topic(lock_id: bytes) -> str:
    """Where a lock publishes."""
    return f"l/{shard(lock_id)}/{lock_name(lock_id)}/{UP}/{REPORT}"


def command_topic(lock_id: bytes) -> str:
    """What a lock subscribes to."""
    return f"l/{shard(lock_id)}/{lock_name(lock_id)}/{DOWN}/{COMMAND}"


def report_filter(of_shard: str) -> str:
    """What the owner of a shard subscribes to (MQTT filter)."""
    if of_shard not in all_shards():
        raise LocalError("no shard")
    return f"l/{of_shard}/+/{UP}/#"


def parse_topic(topic: str) -> Topic:
    """The parts of a topic of ours.  RemoteError: any other, or a shard that is not the lock's."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise RemoteError(Denial.BAD_FORMAT, "no topic of ours")
    lock_id = bytes.fromhex(match[2])
    if match[1] != shard(lock_id):
        raise RemoteError(Denial.WRONG_LOCK, "a foreign shard")
    return Topic(match[1], lock_id, match[3] or match[4])


@dataclass(frozen=True, slots=True)
class GatewayTopic:
    """A parsed topic of a gateway; ``direction`` is "up" or "down"."""

    shard: str
    gateway_id: bytes
    direction: str


def gateway_up(gateway_id: bytes) -> str:
    """Where a gateway publishes."""
    return f"g/{shard(gateway_id)}/{lock_name(gateway_id)}/{UP}"


def gateway_down(gateway_id: bytes) -> str:
    """What a gateway subscribes to."""
    return f"g/{shard(gateway_id)}/{lock_name(gateway_id)}/{DOWN}"


def parse_gateway_topic(topic: str) -> GatewayTopic:
    """The parts of a gateway's topic.  RemoteError: any other, or a shard that is not the gateway's."""
    match = _GATEWAY.fullmatch(topic)
    if match is None:
        raise RemoteError(Denial.BAD_FORMAT, "no topic of a gateway")
    gateway_id = bytes.fromhex(match[2])
    if match[1] != shard(gateway_id):
        raise RemoteError(Denial.WRONG_LOCK, "a foreign shard")
    return GatewayTopic(match[1], gateway_id, match[3])


def enrol_up(serial: str) -> str:
    """Where a lock without identity publishes E2 and E4, or 7F."""
    return f"e/{_serial(serial)}/{UP}"


def enrol_down(serial: str) -> str:
    """What a lock without identity subscribes to: E1 and E3."""
    return f"e/{_serial(serial)}/{DOWN}"


def parse_enrol_topic(topic: str) -> tuple[str, str]:
    """(serial, direction) of an enrolment topic.  RemoteError: any other."""
    match = _ENROL.fullmatch(topic)
    if match is None:
        raise RemoteError(Denial.BAD_FORMAT, "no topic of an enrolment")
    return match[1], match[2]


def _serial(serial: str) -> str:
    if _SERIAL.fullmatch(serial) is None:
        raise LocalError("a serial has 4 to 32 of A-Z, 0-9 and -")
    return serial
