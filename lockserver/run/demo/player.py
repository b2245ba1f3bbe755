"""A person who plays: his app, his phone, and the steps that several chapters need of him."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.protocol.curve import private_key
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from lockserver.run.demo.client import AppClient, ProblemError, b64, unb64
from mobile_api.phone.phone import Phone

if TYPE_CHECKING:
    from pathlib import Path

    from lockserver.run.demo.cast import Actor
    from lockserver.run.demo.world import World

FILED_S = 30
"""For a filing whose first reply is lost: the relay asks before it repeats."""

PAUSE_S = 0.1

WAIT_S = 25
"""The longest wait that the API offers in one request."""


class Player:
    """An actor with a phone in his hand."""

    def __init__(self, actor: Actor, world: World, folder: Path) -> None:
        self.actor = actor
        self.app = AppClient(world.site.api_url)
        self._sms = world.site.sms_file
        self.bundle = folder / f"{actor.role}.phone.json"
        self.phone = Phone.fresh(self.bundle)
        self.session = UUID(int=0)
        self.case = ""

    @property
    def name(self) -> str:
        """His name, shown in the story: he is made up."""
        return self.actor.fields.name

    async def close(self) -> None:
        """Put the phone away."""
        await self.app.close()

    async def log_in(self) -> str:
        """Log in by one-time code; returns the masked number."""
        await self.app.log_in(self.actor.phone, self._sms)
        me = await self.app.get("/me")
        self.session = UUID(me["session_id"])
        return str(me["phone_mask"])

    async def enrol_phone(self) -> dict[str, Any]:
        """Bring this phone's keys to the account."""
        return await self.phone.enrol(self.app, self.session)

    async def sync(self) -> dict[str, Any]:
        """Fetch what opens his doors without a network."""
        return await self.phone.sync(self.app)

    def door(self, name: str) -> bytes:
        """The lock id of a door by its name, from the last sync."""
        return next(lock for lock, door in self.phone.bundle.doors.items() if door.name == name)

    # -- identity case ------------------------------------------------------------------------

    async def meet_duty(self, invite: str, route: str, *, face: bool) -> dict[str, Any]:
        """Follow the link, enrol this phone, open a case and state both consents."""
        await self.log_in()
        invited = await self.app.post(f"/invites/{invite}/accept")
        phone = await self.enrol_phone()
        case = await self.app.post(
            "/cases", {"duty_id": invited["duty"]["id"], "phone_id": phone["id"], "route": route}
        )
        self.case = case["id"]
        await self.app.put(f"/cases/{self.case}/consents", {"document": True, "face": face})
        return dict(invited)

    async def bring(self, kind: str, image: bytes) -> dict[str, Any]:
        """Upload one picture and wait until it has been looked at; returns that part."""
        await self.app.put_image(f"/cases/{self.case}/images/{kind}", image)
        case = await self.settled()
        return next(part for part in case["parts"] if part["kind"] == kind)

    async def settled(self) -> dict[str, Any]:
        """Return the case once the role verify has nothing of it left to do."""
        while True:
            case: dict[str, Any] = await self.app.get(f"/cases/{self.case}", wait=WAIT_S)
            if not case["working"]:
                return case

    def read_draft(self, case: dict[str, Any]) -> dict[str, str]:
        """Open the recognised fields: they are sealed to this phone."""
        raw = unseal(self.phone.bundle.ecdh, unb64(case["draft"]), box_info(Box.DRAFT, UUID(self.case).bytes))
        fields: dict[str, str] = json.loads(raw)["fields"]
        return fields

    async def send_sealed(self, what: str, body: object, case: str = "", **more: str) -> None:
        """Seal JSON to the role verify and post it to a case (his own, or one that he checks)."""
        case = case or self.case
        key = unb64((await self.app.get("/keys/verify"))["public"])
        plain = json.dumps(body, ensure_ascii=False).encode()
        box = seal(key, plain, box_info(Box.UPLOAD, UUID(case).bytes), private_key(secrets.token_bytes))
        await self.app.post(f"/cases/{case}/{what}", {"sealed": b64(box), **more})

    async def confirm(self, fields: dict[str, str]) -> dict[str, Any]:
        """Confirm the fields and wait for the verdict."""
        await self.send_sealed("confirmation", {"fields": fields})
        return await self.settled()

    async def declare(self, fields: dict[str, str], planned_until: str) -> dict[str, Any]:
        """Declare the stay; returns the case with the registration's id."""
        stay = {
            "phone": self.actor.phone,
            "planned_until": planned_until,
            "reason_code": "01",
            "occupation_code": "40",
        }
        await self.send_sealed("declaration", {"fields": fields, "stay": stay})
        return await self.settled()

    async def registration(self, registration_id: str, until: frozenset[str]) -> dict[str, Any]:
        """Wait until a registration has come to one of these states, and its receipt is there.

        With a lost reply the province's verdict may arrive before the receipt that the relay asks for.
        Raises TimeoutError.
        """
        seen = "submitted"
        async with asyncio.timeout(FILED_S):
            while True:
                found: dict[str, Any] = await self.app.get(
                    f"/registrations/{registration_id}", wait=WAIT_S, seen=seen
                )
                if found["state"] in until and found["receipt_no"]:
                    return found
                if found["state"] not in until:
                    seen = found["state"]
                await asyncio.sleep(PAUSE_S)

    async def refusal(self, asking: Any) -> str:  # noqa: ANN401 - any of the coroutines above
        """Return the code with which the API refuses; empty if it does not."""
        try:
            await asking
        except ProblemError as problem:
            return problem.code
        return ""
