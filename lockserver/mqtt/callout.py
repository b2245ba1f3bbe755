"""The NATS side of broker authorisation: answers every request, and throws a lock out at once.

Two connections of its own: one in the account that NATS asks in, one in the system account that
may disconnect clients. Both come back by themselves when the broker does; while we are away NATS
refuses new connections (it fails closed) and sitting ones stay up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from lockserver.mqtt.authorise import (
    FACTORY_NAME,
    LOCK_NAME,
    Asked,
    CalloutSigner,
    Factories,
    Granted,
    LockDirectory,
    Proof,
    Refusal,
    Refused,
    claimed_name,
    judge,
    judge_factory,
    read_request,
)

log = structlog.get_logger(__name__)

AUTH_SUBJECT = "$SYS.REQ.USER.AUTH"
RECONNECT_S = 0.5
LOOKUP_S = 1.5
"""NATS waits 2 s for us (``authorization.timeout``): a lookup that takes longer is a refusal."""

MAX_IN_FLIGHT = 512
"""Requests looked up at once; the rest wait in nats-py's own bounded queue and time out closed."""


@dataclass(frozen=True, slots=True)
class CalloutSettings:
    """Where NATS listens for its own protocol, and the two users we are there."""

    url: str
    auth_user: str
    auth_password: str
    system_user: str
    system_password: str
    account: str = "LOCKS"
    proof: Proof = Proof.SECRET


class Callout:
    """Answers NATS' question "who is this?" for as long as it is open."""

    def __init__(
        self,
        settings: CalloutSettings,
        signer: CalloutSigner,
        directory: LockDirectory,
        now: Callable[[], int],
        *,
        factories: Factories | None = None,
        gone: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """`factories`: whose locks may come to be enrolled. `gone(client id)`: a connection has ended."""
        self._settings = settings
        self._factories = factories
        self._gone = gone
        self._signer = signer
        self._directory = directory
        self._now = now
        self._asked: Client | None = None
        self._system: Client | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def open(self) -> None:
        """Connect and start to answer.

        Raises OSError or a nats error when the broker is not there.
        """
        settings = self._settings
        self._asked = await _connect(settings.url, settings.auth_user, settings.auth_password)
        # A queue group: several bridges may run, each question is answered by one of them.
        await self._asked.subscribe(AUTH_SUBJECT, queue="callout", cb=self._on_request)
        self._system = await _connect(settings.url, settings.system_user, settings.system_password)
        ended = f"$SYS.ACCOUNT.{settings.account}.DISCONNECT"
        await self._system.subscribe(ended, cb=self._on_disconnect)

    async def close(self) -> None:
        """Stop answering; requests under way are answered first."""
        if self._asked is not None:
            await self._asked.drain()
        if self._running:
            await asyncio.gather(*self._running, return_exceptions=True)
        if self._system is not None:
            await self._system.close()

    async def kick(self, lock_id: str) -> int:
        """Disconnect every connection of this lock, on every server. Returns how many were told.

        Raises ValueError for a name that is no lock's.
        """
        if not LOCK_NAME.fullmatch(lock_id):
            raise ValueError("not a lock's name")
        if self._system is None:
            return 0
        told = 0
        for server, connection in await self._connections_of(self._system, lock_id):
            # A request, not a publish: NATS ignores a kick that wants no answer.
            await self._system.request(
                f"$SYS.REQ.SERVER.{server}.KICK", json.dumps({"cid": connection}).encode()
            )
            told += 1
        log.info("broker.kicked", lock=lock_id, connections=told)
        return told

    async def _connections_of(self, system: Client, lock_id: str) -> list[tuple[str, int]]:
        """Ask all servers for the connections of one MQTT client id."""
        inbox = system.new_inbox()
        answers = await system.subscribe(inbox)
        query = json.dumps({"mqtt_client": lock_id, "state": 0}).encode()
        await system.publish("$SYS.REQ.SERVER.PING.CONNZ", query, reply=inbox)
        found: list[tuple[str, int]] = []
        wait = 0.5
        try:
            while True:
                # The first answer may take a while; the others of a cluster follow at once.
                answer = await answers.next_msg(timeout=wait)
                wait = 0.1
                body = json.loads(answer.data)
                server = body["server"]["id"]
                found += [
                    (server, int(c["cid"]))
                    for c in body.get("data", {}).get("connections") or []
                    if c.get("mqtt_client") == lock_id
                ]
        except TimeoutError:
            return found
        finally:
            await answers.unsubscribe()

    async def _on_disconnect(self, message: Msg) -> None:
        """Tell who left. Every bridge hears it: no queue group, since only one of them has that lock."""
        try:
            client = json.loads(message.data)["client"]
            name = str(client.get("client_id") or "")
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("broker.bad_event")
            return
        if name:
            self._gone(name)

    async def _on_request(self, message: Msg) -> None:
        """Take a request without holding up the next one."""
        await self._slots.acquire()
        task = asyncio.create_task(self._answer(message))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._slots.release()
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("broker.callout_failed", error=type(task.exception()).__name__)

    async def _answer(self, message: Msg) -> None:
        try:
            asked = read_request(message.data)
        except ValueError as error:
            # Nothing to answer to: without the connection's key no response can be addressed.
            log.warning("broker.refused", reason=Refusal.UNREADABLE, detail=str(error))
            return
        verdict = await self._decide(asked)
        now = self._now()
        if isinstance(verdict, Granted):
            answer = self._signer.admit(asked, verdict, self._settings.account, now)
            log.info("broker.admitted", lock=verdict.lock_id, shard=verdict.shard)
        else:
            answer = self._signer.refuse(asked, now)
            log.warning("broker.refused", reason=verdict.reason, kind=asked.kind)
        await message.respond(answer)

    async def _decide(self, asked: Asked) -> Granted | Refused:
        """Judge one request; whatever goes wrong on the way is a refusal."""
        proof = self._settings.proof
        name = claimed_name(asked, proof)
        if isinstance(name, Refused):
            return name
        if FACTORY_NAME.fullmatch(name):
            return judge_factory(asked, name, self._factories, proof, self._now())
        try:
            async with asyncio.timeout(LOOKUP_S):
                known = await self._directory.known_lock(name)
        except Exception as error:  # noqa: BLE001 - fails closed, whatever the database threw
            log.warning("broker.lookup_failed", error=type(error).__name__)
            return Refused(Refusal.UNAVAILABLE)
        return judge(asked, name, known, proof)


async def _connect(url: str, user: str, password: str) -> Client:
    return await nats.connect(
        url,
        user=user,
        password=password,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_S,
        error_cb=_on_error,
        name="lockserver-callout",
    )


async def _on_error(error: Exception) -> None:
    log.warning("broker.connection_error", error=type(error).__name__)
