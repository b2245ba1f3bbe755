"""What hands and mishaps do to gateways, over the simulator's control door.

gateways                               every gateway's state
gateway_offer  `name`, `house_id`      the keys and their proof, base64url, for `POST /v1/houses/{id}/gateways`
gateway_adopt  `name`, `given`         what that answered: from now on it serves
gateway_kill   `name`                  pull the plug · gateway_restart: plug in again
gateway_deafen `name`, `decibels`      stand so much further away; from 127 on it hears nothing
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware_sim.gateway.station import Station


async def to_gateways(
    stations: Sequence[Station], verb: str, request: dict[str, Any]
) -> dict[str, Any] | None:
    """Do it, and return the answer; None where there is no such gateway. KeyError, ValueError: a bad argument."""
    if verb == "gateways":
        return {"gateways": [station.state() for station in stations]}
    station = next((one for one in stations if one.name == request["name"]), None)
    if station is None:
        return None
    match verb:
        case "gateway_offer":
            made = station.offer(UUID(str(request["house_id"])).bytes)
            return {name: base64.urlsafe_b64encode(raw).decode().rstrip("=") for name, raw in made.items()}
        case "gateway_adopt":
            await station.adopt({str(name): str(text) for name, text in request["given"].items()})
        case "gateway_kill":
            await station.kill()
        case "gateway_restart":
            await station.kill()
            await station.power_on()
        case "gateway_deafen":
            station.deafen(int(request["decibels"]))
        case _:
            raise ValueError(verb)
    return station.state()
