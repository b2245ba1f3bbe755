"""A manufacturer who sends images to locks through the broker, and those who send what is none of his."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from firmware_sim.core.image import build_image
from lockserver.app.converge_access import command_id
from lockserver.protocol.commands import Command, CommandKind, FirmwareBody
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.firmware import manifest_of, sign_firmware
from tests.sim.chance import Chance

if TYPE_CHECKING:
    from tests.sim.chance import Chance as Dice
    from tests.sim.locks import LockActor
    from tests.sim.plan import Item
    from tests.sim.world import World

PIECE: Final = 300
#: Milliseconds between two pieces; whoever sends does not wait for answers, and sends everything again.
PACE: Final = 350
PASSES: Final = 3


@cache
def maker() -> EcdsaSigner:
    """The manufacturer's key for firmware: the same in every world."""
    return EcdsaSigner(private_key(Chance("maker").bytes))


def firmware(world: World, item: Item) -> None:
    """An image is offered: the newest, an older one, one that nobody signed, one that is cut short or spoilt."""
    dice = world.dice.of("item", item.number)
    able = [one for one in world.locks if one.online and one.lock is not None]
    if not able:
        return
    lock = dice.one(able)
    assert lock.lock is not None
    runs = lock.lock._firmware.running.counter
    kind = dice.weighted({"newer": 5, "older": 3, "unsigned": 3, "cut short": 2, "spoilt": 2})
    counter = runs + dice.between(1, 3) if kind != "older" else max(runs - dice.between(0, 2), 0)
    version = f"{counter}.{item.number}"
    image = build_image(version, dice.bytes(dice.between(200, 900)))
    signer = EcdsaSigner(private_key(dice.bytes)) if kind == "unsigned" else maker()
    manifest = sign_firmware(
        manifest_of(image, model=lock.factory.model, counter=counter, version=version, iat=world.agenda.unix),
        signer,
    )
    if kind in {"newer", "older", "cut short", "spoilt"}:
        world.made[counter, version] = image
    sent = {
        "cut short": image[: len(image) // 2],
        "spoilt": image[:-3] + bytes(3),
    }.get(kind, image)
    world.weather.struck[f"firmware.{kind}"] += 1
    world.say(f"{lock.name}: an image is offered, {kind}, {counter} after {runs}")
    if dice.happens(0.4):
        lock.cut_write(dice.below(9), dice.one((0.0, dice.share(), 1.0)))
    _offer(world, lock, manifest, sent, dice)


def _offer(world: World, lock: LockActor, manifest: bytes, image: bytes, dice: Dice) -> None:
    """Send all pieces, several times; now and then from the end."""
    pieces = [(at, image[at : at + PIECE]) for at in range(0, len(image), PIECE)]
    if dice.happens(0.2):
        pieces.reverse()
    for number, (at, piece) in enumerate(pieces * PASSES):
        body = FirmwareBody(manifest, at, piece)

        def send(body: FirmwareBody = body) -> None:
            world.bridge.process.start("offers firmware", _send(world, lock, body))

        world.agenda.after(1 + number * PACE, "a piece", send)


async def _send(world: World, lock: LockActor, body: FirmwareBody) -> None:
    bridging = world.bridge.bridging
    known = None if lock.id is None else await bridging.lock(lock.id)
    if known is not None:
        now = world.agenda.now()
        bridging.send(known, Command(command_id(bridging, now), CommandKind.FIRMWARE, body))


FIRMWARE: dict[str, Any] = {"firmware": firmware}
