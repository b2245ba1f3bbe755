"""Stands around the province's calls: writes down what arrived, and lets ordered faults strike.

Plain ASGI, because a dropped connection, a drip and half an answer cannot be said in a framework's
responses.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from police_sync.mock_province.desk import Desk
from police_sync.mock_province.faults import (
    BEFORE,
    Answer,
    FaultOrder,
    FaultPlan,
    answer_before,
    problem_answer,
    spoil,
)
from police_sync.mock_province.keys import KeyRing, stamp

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_REGISTRATIONS = "/registrations/"


class FaultGate:
    """ASGI middleware; the outermost, since it must reach the server's connection."""

    def __init__(self, inner: Application, desk: Desk, plan: FaultPlan, ring: KeyRing) -> None:
        self._inner = inner
        self._desk = desk
        self._plan = plan
        self._ring = ring

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One call."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        client_no = None
        if path.startswith(_REGISTRATIONS):
            client_no = path.removeprefix(_REGISTRATIONS).partition("/")[0]
        order = self._plan.strike(method, client_no)
        # Written down at arrival: what came in must be on record however the answer fares.
        call_id = self._desk.store.add_call(
            {
                "at": stamp(self._desk.now()),
                "method": method,
                "path": path,
                "client_no": client_no,
                "fault": order.kind if order else None,
            }
        )
        if order is None or order.kind not in BEFORE:
            try:
                answer = await self._carry_out(scope, receive)
            except ClientDisconnect:
                return  # the caller left before its body was in; nothing was taken
            self._desk.store.call_answered(call_id, answer.status)
            await self._leave(order, answer, send)
        elif order.kind == "drop_request":
            _hang_up(send)
        else:
            await _drain(receive)
            answer = answer_before(order)
            self._desk.store.call_answered(call_id, answer.status)
            await _send_whole(answer, send)

    async def _carry_out(self, scope: MutableMapping[str, Any], receive: Receive) -> Answer:
        answer = problem_answer(500, "not_found")
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                body.extend(message.get("body", b""))

        await self._inner(scope, receive, collect)
        answer.body = bytes(body)
        return answer

    async def _leave(self, order: FaultOrder | None, answer: Answer, send: Send) -> None:
        if order is None:
            await _send_whole(answer, send)
        elif order.kind == "drop_reply":
            _hang_up(send)
        elif order.kind == "drip":
            await _drip(answer, send, order.delay_s)
        else:
            await _send_whole(await spoil(order, answer, self._ring), send)


def _hang_up(send: Send) -> None:
    """Cut the connection without a byte of an answer.

    ASGI has no word for it: `send` is a bound method of the server's cycle, which holds the
    transport (uvicorn, both of its HTTP implementations). The test of every drop goes over a socket.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    abort = getattr(transport, "abort", None)
    if abort is None:
        raise TypeError("drop: this server does not show its transport; run under uvicorn")
    abort()


async def _drain(receive: Receive) -> None:
    while (await receive()).get("more_body", False):
        pass


async def _send_whole(answer: Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _drip(answer: Answer, send: Send, delay_s: float) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    for index in range(len(answer.body)):
        part = answer.body[index : index + 1]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(delay_s)
    await send({"type": "http.response.body", "body": b""})
