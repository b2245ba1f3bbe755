"""What the bridge subscribes to and publishes on. The words themselves are the wire's."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from lockserver.protocol.errors import RemoteError
from lockserver.protocol.topics import (
    ENROL_FILTER,
    UP,
    all_shards,
    command_topic,
    gateway_down,
    parse_enrol_topic,
    parse_gateway_topic,
    parse_topic,
    report_filter,
    shard,
)


def share(number: int, count: int) -> frozenset[str]:
    """Return the shards of bridge `number` (from 1) of `count`: every count-th one."""
    return frozenset(one for i, one in enumerate(all_shards()) if i % count == number - 1)


GATEWAYS = "g/+/+/up"
"""Every bridge hears every gateway: it carries for locks of all shards."""


def filters(shards: Iterable[str]) -> list[str]:
    """Return the subscriptions of a bridge that owns these shards."""
    return [*(report_filter(one) for one in sorted(shards)), GATEWAYS, ENROL_FILTER]


def speaking_gateway(topic: str) -> UUID | None:
    """Return the gateway that speaks on this topic, if the topic is exactly a gateway's."""
    try:
        parsed = parse_gateway_topic(topic)
    except RemoteError:
        return None
    return UUID(bytes=parsed.gateway_id) if parsed.direction == UP else None


def enrolling_lock(topic: str) -> str | None:
    """Return the serial of the lock without identity that speaks on this topic."""
    try:
        serial, direction = parse_enrol_topic(topic)
    except RemoteError:
        return None
    return serial if direction == UP else None


def reporting_lock(topic: str, owned: frozenset[str]) -> UUID | None:
    """Return the lock that speaks on this topic, if the topic is exactly one of ours.

    The broker may let a lock publish under a foreign shard (mosquitto's `+` does); `parse_topic`
    holds the shard against the lock id, and what another bridge owns is not ours to take.
    """
    try:
        parsed = parse_topic(topic)
    except RemoteError:
        return None
    if parsed.direction != UP or parsed.shard not in owned:
        return None
    return UUID(bytes=parsed.lock_id)


def owns(lock_id: UUID, owned: frozenset[str]) -> bool:
    """Tell whether this lock's shard is among these."""
    return shard(lock_id.bytes) in owned


__all__ = [
    "command_topic",
    "enrolling_lock",
    "filters",
    "gateway_down",
    "owns",
    "reporting_lock",
    "share",
    "speaking_gateway",
]
