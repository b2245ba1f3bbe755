"""Who is whom at the world's broker: the door-keeper's own decision, for every connection, word and subscription.

A lock shows its id and its broker secret; what it then may say and hear are the permissions that
`lockserver.mqtt.authorise` gives it, held against subjects as the broker does. A neighbour is a lock that has its own
secret and wants another's place.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from lockserver.mqtt import authorise
from lockserver.mqtt.authorise import Asked, Granted, KnownLock, Proof
from lockserver.protocol.curve import private_key
from lockserver.protocol.envelope import Envelope, Position, seal_report
from lockserver.protocol.reports import TimeRequest
from lockserver.protocol.topics import command_topic, report_topic
from tests.sim.acts import dice_of

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.plan import Item
    from tests.sim.world import World


def admit(world: World, name: str, client_id: str, secret: bytes) -> Granted | None:
    """What the door-keeper says to a connection; None: no."""
    password = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    asked = Asked("U", "S", "broker", 1, "mqtt", client_id, name, password, ())
    claimed = authorise.claimed_name(asked, Proof.SECRET)
    if not isinstance(claimed, str):
        return None
    row = next((one for one in world.store.rows("locks") if one["id"].hex == claimed), None)
    known = None
    if row is not None:
        known = KnownLock(claimed, row["shard"], row["state"], row["broker_secret_hash"] or b"", b"")
    verdict = authorise.judge(asked, claimed, known, Proof.SECRET)
    return verdict if isinstance(verdict, Granted) else None


def fits(subject: str, pattern: str) -> bool:
    """Whether NATS finds a subject under a pattern; `subject` may itself be a filter, which must lie within it."""
    said, allowed = subject.split("."), pattern.split(".")
    for number, token in enumerate(allowed):
        if token == ">":
            return len(said) > number
        if number >= len(said) or said[number] == ">":
            return False
        if token not in {"*", said[number]}:
            return False
    return len(said) == len(allowed)


def subject_of(topic: str) -> str:
    """A topic or filter of MQTT as NATS names it."""
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")


def may_say(granted: Granted, topic: str) -> bool:
    """Whether this connection may publish there."""
    return any(fits(subject_of(topic), one) for one in granted.permissions[0])


def may_hear(granted: Granted, topic: str) -> bool:
    """Whether this connection may subscribe to that."""
    return any(fits(subject_of(topic), one) for one in granted.permissions[1])


def neighbour(world: World, item: Item) -> None:
    """A lock speaks to the broker as another, listens for another, and wants another's place."""
    dice = dice_of(world, item)
    if len(world.locks) < 2:
        return
    thief, victim = dice.some(world.locks, 2)
    identity = None if thief.lock is None else thief.lock.identity
    if identity is None or thief.id is None or victim.id is None:
        return
    mine, his = thief.id, victim.id
    world.weather.struck["broker.neighbour"] += 1
    granted = admit(world, mine.hex, mine.hex, identity.broker_secret)
    if granted is None:
        return
    world.harm.own_words += may_say(granted, report_topic(mine.bytes))
    world.harm.own_words += may_hear(granted, command_topic(mine.bytes))
    _speak(world, granted, thief, victim)
    for topic in (command_topic(his.bytes), "l/+/+/down/command", "l/#", "#", report_topic(his.bytes)):
        if may_hear(granted, topic):
            world.harm.overheard.append(f"{thief.name} listens at {topic}")
    for name, client_id in ((mine.hex, his.hex), (his.hex, his.hex), (his.hex, mine.hex)):
        if admit(world, name, client_id, identity.broker_secret) is not None:
            world.harm.robbed.append(f"{thief.name} has taken the place of {victim.name}")
            victim.disconnect()
            victim.reconnect_later()


def _speak(world: World, granted: Granted, thief: LockActor, victim: LockActor) -> None:
    """Publish on the other's topic what its own key signed, and what the other once said."""
    assert thief.lock is not None
    held = thief.lock.held
    if held is None or victim.id is None or not may_say(granted, report_topic(victim.id.bytes)):
        return
    world.harm.accepted.append(f"{thief.name} speaks as {victim.name}")
    random = world.dice.of("neighbour", world.agenda.ms).bytes
    envelope = Envelope(victim.id.bytes, Position(9_999, 1), TimeRequest(random(8)))
    sealed = seal_report(envelope, held.identity.signer, held.trust.key_set.report_key, private_key(random))
    world.broker.hand_up(victim.id, sealed)


NEIGHBOURS: dict[str, Any] = {"neighbour": neighbour}
