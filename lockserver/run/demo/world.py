"""The story's surroundings: the installation, the simulated locks' hand, the province's control door."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from lockserver.domain.identity import IdentityFields
    from lockserver.run.installation import Installation

CONTROL_SECONDS = 10
"""A control door on loopback answers at once; ten seconds means that it is not there."""


@dataclass(frozen=True, slots=True)
class BoxedLock:
    """What is printed on a new lock's box."""

    serial: str
    claim_code: str


@dataclass(slots=True)
class World:
    """Everything around the people of the story."""

    site: Installation
    radio: str = ""
    control: str = ""
    boxes: list[BoxedLock] = field(default_factory=list)
    province: dict[str, Any] = field(default_factory=dict)

    async def start(self) -> None:
        """Bring everything up. Raises InstallationError, ProgramError."""
        await self.site.start_servers()
        self.province = await self.site.start_province()
        facts = await self.site.start_locks()
        self.radio, self.control = facts["radio"], facts["control"]
        self.boxes = [BoxedLock(lock["serial"], lock["claim_code"]) for lock in facts["locks"]]

    async def hand(self, verb: str, serial: str | None = None, **more: object) -> dict[str, Any]:
        """Do to a lock what hands and mishaps do; see `firmware_sim.control`."""
        host, _, port = self.control.rpartition(":")
        async with asyncio.timeout(CONTROL_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
            try:
                request = {"do": verb, **({"serial": serial} if serial else {}), **more}
                writer.write(json.dumps(request).encode() + b"\n")
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
        if not answer.pop("ok"):
            text = f"the simulator refused {verb}: {answer['error']}"
            raise RuntimeError(text)
        return dict(answer)

    async def lock(self, serial: str) -> dict[str, Any]:
        """What somebody who stands at the door, and may look inside, sees."""
        return await self.hand("state", serial)

    async def provincial(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Use the mock province's control door and read its JSON."""
        return json.loads(await self.provincial_raw(method, path, body))

    async def provincial_raw(self, method: str, path: str, body: object = None) -> bytes:
        """Use the mock province's control door."""
        token = await asyncio.to_thread(Path(self.province["token_file"]).read_text, "utf-8")
        async with httpx.AsyncClient(
            base_url=self.province["control"],
            headers={"Authorization": f"Bearer {token.strip()}"},
            timeout=CONTROL_SECONDS,
            trust_env=False,
        ) as http:
            answer = await http.request(method, path, json=body)
            answer.raise_for_status()
            return answer.content

    async def filed_under(self, address_id: str, person: IdentityFields) -> list[dict[str, Any]]:
        """The province's own records of a person at an address (it shows names and numbers masked)."""
        ledger = await self.provincial("GET", "/control/ledger")
        return [
            record
            for record in ledger["records"]
            if record["address_id"] == address_id
            and record["name"][0] == person.name[0]
            and record["document_number"][-2:] == person.number[-2:]
        ]

    def addresses(self) -> dict[str, str]:
        """Where a person can look."""
        return {
            "API documentation": f"{self.site.api_url}/docs",
            "province's ledger": self.province.get("ledger", ""),
            "logs": str(self.site.supervisor.logs),
        }
