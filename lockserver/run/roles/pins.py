"""What the issuer answers about PINs and slots. Digits pass through here in boxes only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockserver.app.assign_backup import assign_backup
from lockserver.app.give_offline_pin import give_offline_pin
from lockserver.app.remove_slot import remove_slot
from lockserver.app.set_pin import set_pin
from lockserver.run.roles.bodies import octets, uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lockserver.app.issuing import Issuing
    from lockserver.app.ports.asking import Handler


def pin_handlers(world: Issuing) -> Mapping[str, Handler]:
    """Return the handlers by kind. Bodies are JSON; binary is base64url."""

    async def pin(body: dict[str, Any]) -> dict[str, Any]:
        """`{holder_id, lock_id, wish}` → `{box, code, from, until}`."""
        read = await give_offline_pin(
            world, uuid(body, "holder_id"), uuid(body, "lock_id"), octets(body, "wish")
        )
        given = read.given
        return {"box": read.box, "code": given.code, "from": given.lower, "until": given.upper}

    async def slot(body: dict[str, Any]) -> dict[str, Any]:
        """`{holder_id, lock_id, wish}` sets a PIN, `{holder_id, slot_id, wish}` removes a slot → `{slot_id}`."""
        holder_id, wish = uuid(body, "holder_id"), octets(body, "wish")
        if "slot_id" in body:
            return {"slot_id": (await remove_slot(world, holder_id, uuid(body, "slot_id"), wish)).id}
        return {"slot_id": (await set_pin(world, holder_id, uuid(body, "lock_id"), wish)).id}

    async def backup(body: dict[str, Any]) -> dict[str, Any]:
        """`{holder_id, lock_id, wish}` → `{slot_id, box}`."""
        made = await assign_backup(
            world, uuid(body, "holder_id"), uuid(body, "lock_id"), octets(body, "wish")
        )
        return {"slot_id": made.slot.id, "box": made.box}

    return {"pin": pin, "slot": slot, "backup": backup}
