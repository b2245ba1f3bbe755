"""The app's door in one process, over a real PostgreSQL: services as role api, verify beside it.

`Door` is the API (in-process transport), `App` one person's app with a phone's keys. The recogniser is
scripted here; the real one is used in `tests/e2e/test_registration.py`.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.app.ports import FaceReading, Judgement, SideReading
from lockserver.app.verifying import Verifying
from lockserver.app.work_on_cases import work_on_one_part
from lockserver.db.changes import PostgresChanges
from lockserver.db.requests import PostgresRequests
from lockserver.db.site_keys import lay_site_keys
from lockserver.domain.canonical import b64url, dumps, unb64url
from lockserver.domain.identity import IdentityFields, check_character, check_fields
from lockserver.domain.ids import new_id
from lockserver.keys.keyring import create_site, load_api, load_verify, public_keys
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from lockserver.protocol.wish import OF, SALT, Arg, Wish, WishOperation, digest_of, sign_wish
from lockserver.run.roles.verify import code_tables
from mobile_api.app import create_app
from mobile_api.limits import Limits
from mobile_api.services import Services
from tests.support.database import Database, FakeClock

JPEG = {"Content-Type": "image/jpeg"}


def number(birth: str = "19900307", order: str = "123", region: str = "330106") -> str:
    """A sound identity number of nobody: its sequence is random."""
    head = region + birth + order
    return head + check_character(head)


def fields(**changes: str) -> dict[str, str]:
    """A card's nine fields, sound."""
    order = f"{secrets.randbelow(500) * 2 + 1:03d}"  # odd: male
    return {
        "name": "试样例",
        "sex": "男",
        "ethnicity": "汉",
        "birth": "1990-03-07",
        "address": "示例省示例市示例路1号",
        "number": number(order=order),
        "authority": "示例市公安局",
        "valid_from": "2020-01-01",
        "valid_to": "长期",
    } | changes


STAY = {
    "phone": "13900000000",
    "planned_until": "2027-03-01",
    "reason_code": "01",
    "occupation_code": "60",
}


BY_BUTTON = "UPDATE phones SET state = 'active', proved_by = 'button' WHERE id = %s"
"""As the superuser: no role but the issuer may."""


@dataclass
class ScriptedRecogniser:
    """Reads what the test put into the image: an image is JSON here."""

    calls: list[str] = field(default_factory=list)

    async def read_side(self, side: str, image: bytes) -> SideReading:
        self.calls.append(side)
        said = json.loads(image)
        if "refusal" in said:
            return SideReading({}, b"", refusal=said["refusal"], advice="hold_still")
        return SideReading(said, kept=image)

    async def compare(self, front_kept: bytes, selfie: bytes) -> FaceReading:
        self.calls.append("selfie")
        said = json.loads(selfie)
        if "refusal" in said:
            return FaceReading(b"", refusal=said["refusal"], advice="show_your_face")
        return FaceReading(selfie)

    def judge(
        self,
        front_kept: bytes,
        back_kept: bytes,
        face_kept: bytes | None,
        confirmed: IdentityFields,
        today: date,
    ) -> Judgement:
        score = json.loads(face_kept or b"{}").get("score", 0.0)
        faults = check_fields(confirmed, today=today)
        if faults:
            code = str(faults[0].code)
            reason = {"step": "fields", "code": code, "outcome": "declined"}
            return Judgement("declined", (reason,), "fields", {"face": score})
        if score >= 0.4:
            return Judgement("approved", (), None, {"face": score})
        if score >= 0.3:
            reason = {"step": "selfie", "code": "face_doubtful", "outcome": "review"}
            return Judgement("review", (reason,), None, {"face": score})
        reason = {"step": "selfie", "code": "face_differs", "outcome": "declined"}
        return Judgement("declined", (reason,), "selfie", {"face": score})


class SmsBox:
    """Messages that would have been sent."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}

    async def send_code(self, phone: str, code: str) -> None:
        self.codes[phone] = code


@dataclass
class Door:
    """The API and what stands behind it."""

    database: Database
    services: Services
    clock: FakeClock
    sms: SmsBox
    verifying: Verifying
    keys: Path
    app: Any
    http: httpx.AsyncClient

    async def verify(self) -> int:
        """Let the role verify work until nothing is left; how many parts it took."""
        taken = 0
        while await work_on_one_part(self.verifying):
            taken += 1
        return taken

    async def press_button(self, phone_id: str) -> None:
        """What a lock's button does to the phone that claims it, without a lock."""
        self.database.execute(BY_BUTTON, phone_id)

    async def person(self, phone: str | None = None) -> App:
        """Somebody who has logged in."""
        app = App(self, phone or f"139{secrets.randbelow(10**8):08d}")
        await app.log_in()
        return app


class TickingClock(FakeClock):
    """A clock that moves on by a millisecond whenever it is looked at: ids sort by age, as they do."""

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


@contextlib.asynccontextmanager
async def open_door(database: Database, folder: Path, recogniser: Any = None) -> AsyncIterator[Door]:
    """The API over this database, with keys of its own below `folder`."""
    clock = TickingClock()
    keys = folder / "keys"
    create_site(keys, clock.now())
    lay_site_keys(database.superuser, public_keys(keys), clock, secrets.token_bytes)
    verify = load_verify(keys / "verify")
    sms = SmsBox()
    pool = database.pool("api")
    async with PostgresChanges(database.url("api")) as changes:
        services = Services(
            transactions=database.transactions("api"),
            requests=PostgresRequests(pool, changes, lambda: new_id(clock, secrets.token_bytes)),
            changes=changes,
            clock=clock,
            random=secrets.token_bytes,
            sms=sms,
            phone_index=load_api(keys / "api").phone_index,
            limits=Limits(tries=10_000),
        )
        verifying = Verifying(
            transactions=database.transactions("verify"),
            clock=clock,
            random=secrets.token_bytes,
            recogniser=recogniser or ScriptedRecogniser(),
            opener=verify.opening,
            kek=verify.case_kek,
            id_index=verify.id_index,
            codes=code_tables("reason", "occupation"),
        )
        app = create_app(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
            yield Door(database, services, clock, sms, verifying, keys, app, http)


def beside(operation: WishOperation, body: Mapping[str, Any]) -> dict[str, Arg]:
    """What a wish names beside its digest: a lease's window, the key of who is let in."""
    if operation is WishOperation.SIGN_TENANCY:
        return {name: _seconds(said) for name, said in body.get("window", {}).items()}
    named = body.get("guest_key") or body.get("staff_key")
    return {"key": unb64url(named)} if named else {}


def _seconds(said: str) -> int:
    return int(datetime.fromisoformat(said).timestamp())


class App:
    """One person's app: a session, and a phone's two keys."""

    def __init__(self, door: Door, phone: str) -> None:
        self.door = door
        self.number = phone
        self.sign_key: ec.EllipticCurvePrivateKey = private_key(secrets.token_bytes)
        self.ecdh_key: ec.EllipticCurvePrivateKey = private_key(secrets.token_bytes)
        self.tokens: dict[str, Any] = {}
        self.phone_id = ""

    @property
    def signer(self) -> EcdsaSigner:
        return EcdsaSigner(self.sign_key)

    async def log_in(self) -> None:
        sent = await self.door.http.post("/v1/login/codes", json={"phone": self.number})
        assert sent.status_code == 202, sent.text
        code = self.door.sms.codes[f"+86{self.number}"]
        answer = await self.door.http.post("/v1/login", json={"phone": self.number, "code": code})
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    async def send(
        self, method: str, path: str, body: object = None, *, key: str | None = None, **extra: Any
    ) -> httpx.Response:
        headers = {**self.bearer, "Idempotency-Key": key or secrets.token_hex(16)}
        headers |= extra.pop("headers", {})
        if body is not None:
            extra["json"] = body
        return await self.door.http.request(method, f"/v1{path}", headers=headers, **extra)

    async def ok(self, method: str, path: str, body: object = None, **extra: Any) -> Any:
        answer = await self.send(method, path, body, **extra)
        assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    # ---- phone

    def proof(self, session_id: str | None = None) -> bytes:
        sign_pub, ecdh_pub = public_bytes(self.sign_key), public_bytes(self.ecdh_key)
        request = PhoneRequest(
            phone_id=UUID(session_id or self.tokens["session_id"]).bytes,
            method_path="POST /v1/phones",
            body_hash=hash_body(sign_pub + ecdh_pub),
            issued_at=int(self.door.clock.now().timestamp()),
            nonce=secrets.token_bytes(8),
        )
        return sign_request(request, self.signer)

    def phone_body(self, proof: bytes | None = None) -> dict[str, str]:
        return {
            "sign_pub": b64url(public_bytes(self.sign_key)),
            "ecdh_pub": b64url(public_bytes(self.ecdh_key)),
            "proof": b64url(proof or self.proof()),
        }

    async def enrol_phone(self) -> dict[str, Any]:
        phone: dict[str, Any] = await self.ok("POST", "/phones", self.phone_body())
        self.phone_id = phone["id"]
        return phone

    def wish(
        self,
        operation: WishOperation,
        target: str,
        *,
        life: int = 60,
        args: dict[str, Arg] | None = None,
        **given: Any,
    ) -> str:
        wish = Wish(
            wish_id=given.get("wish_id", secrets.token_bytes(16)),
            target_id=UUID(target).bytes,
            operation=operation,
            not_after=int(self.door.clock.now().timestamp()) + life,
            args=args or {},
        )
        return b64url(sign_wish(wish, given.get("signer", self.signer)))

    def wished(
        self, operation: WishOperation, target: str, body: Mapping[str, Any], **given: Any
    ) -> dict[str, Any]:
        """The body with this phone's wish over all of it, and what such a wish says besides."""
        salt = secrets.token_bytes(SALT)
        args = {OF: digest_of(salt, dumps(body)), **beside(operation, body)}
        wish = self.wish(operation, target, args=args, **given)
        return {**body, "wish": wish, "salt": b64url(salt)}

    # ---- landlord

    async def own_phone(self) -> None:
        """Bring in this phone's keys if they are not, and have a button prove them."""
        if not self.phone_id:
            await self.enrol_phone()
        await self.door.press_button(self.phone_id)

    async def house(self, rooms: int = 1, capacity: int = 2) -> dict[str, Any]:
        """A house of his, with a gate; his phone is proved, as it is once he has claimed a lock."""
        await self.own_phone()
        made = await self.ok(
            "POST",
            "/houses",
            {"name": "示例院", "address_id": "ADDR-0001", "station_code": "330106000001"},
        )
        gate = await self.ok("POST", f"/houses/{made['id']}/doors", {"kind": "gate", "name": "大门"})
        doors = [
            await self.ok(
                "POST",
                f"/houses/{made['id']}/doors",
                {"kind": "room", "name": f"10{n + 1}", "capacity": capacity},
            )
            for n in range(rooms)
        ]
        return {"id": made["id"], "gate": gate["id"], "rooms": [door["id"] for door in doors]}

    def lease(
        self,
        room: str,
        *phones: str,
        lower: datetime | None = None,
        upper: datetime | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """A lease that he signs; `changes` replace members of the body before he does."""
        lower = lower or self.door.clock.now()
        upper = upper or lower + timedelta(days=365)
        body = {
            "door_id": room,
            "window": {"from": lower.isoformat(), "until": upper.isoformat()},
            "tenants": list(phones),
            "key_policy": "on_submit",
        }
        return self.wished(WishOperation.SIGN_TENANCY, room, body | changes)

    def staff_body(self, house_id: str, phone: str) -> dict[str, Any]:
        """Whom he names, signed."""
        return self.wished(WishOperation.NAME_STAFF, house_id, {"phone": phone})

    # ---- tenant

    async def seal(self, case_id: str, body: Mapping[str, Any]) -> str:
        key = await self.ok("GET", "/keys/verify")
        info = box_info(Box.UPLOAD, UUID(case_id).bytes)
        ephemeral = private_key(secrets.token_bytes)
        return b64url(seal(unb64url(key["public"]), dumps(body), info, ephemeral))

    def open_draft(self, case: Mapping[str, Any]) -> dict[str, str]:
        info = box_info(Box.DRAFT, UUID(case["id"]).bytes)
        body = json.loads(unseal(self.ecdh_key, unb64url(case["draft"]), info))
        texts: dict[str, str] = body["fields"]
        return texts

    async def image(self, case_id: str, kind: str, image: object) -> httpx.Response:
        raw = image if isinstance(image, bytes) else json.dumps(image).encode()
        return await self.send("PUT", f"/cases/{case_id}/images/{kind}", content=raw, headers=JPEG)

    async def case(self, case_id: str, **params: str | int) -> dict[str, Any]:
        found: dict[str, Any] = await self.ok("GET", f"/cases/{case_id}", params=params)
        return found

    async def open_case(self, duty_id: str, route: str = "face") -> dict[str, Any]:
        body = {"duty_id": duty_id, "phone_id": self.phone_id, "route": route}
        case: dict[str, Any] = await self.ok("POST", "/cases", body)
        consents = {"document": True, "face": route == "face"}
        await self.ok("PUT", f"/cases/{case['id']}/consents", consents)
        return case

    async def capture(self, duty_id: str, card: Mapping[str, str], score: float = 0.8) -> str:
        """Bring card and selfie and confirm the fields; the case's id."""
        case_id: str = (await self.open_case(duty_id))["id"]
        front = {name: card[name] for name in ("name", "sex", "ethnicity", "birth", "address", "number")}
        back = {name: card[name] for name in ("authority", "valid_from", "valid_to")}
        for kind, image in (("front", front), ("back", back), ("selfie", {"score": score})):
            answer = await self.image(case_id, kind, image)
            assert answer.status_code == 202, answer.text
            await self.door.verify()
        await self.confirm(case_id, card)
        return case_id

    async def confirm(self, case_id: str, card: Mapping[str, str]) -> None:
        sealed = await self.seal(case_id, {"fields": dict(card)})
        await self.ok("POST", f"/cases/{case_id}/confirmation", {"sealed": sealed})
        await self.door.verify()

    async def declare(self, case_id: str, card: Mapping[str, str], **stay: str) -> dict[str, Any]:
        sealed = await self.seal(case_id, {"fields": dict(card), "stay": STAY | stay})
        await self.ok("POST", f"/cases/{case_id}/declaration", {"sealed": sealed})
        await self.door.verify()
        return await self.case(case_id)
