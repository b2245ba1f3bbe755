"""MQTT topics: ``l/{shard}/{lock}/up/report`` and ``l/{shard}/{lock}/down/command``.

shard = first byte of SHA-256(lock id) mod 64 as two hex digits; lock = 32 lower-case hex digits.  One
word each way, so that the broker does not even learn what kind of message passes.
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
