"""`Idempotency-Key`: the first answer to a key is the only one (L-36).

The key's row is claimed and finished in the transaction of the effect, so that a crash leaves neither,
and the retry has its one effect. Keys are kept as hashes, and the stored answer is encrypted under the
caller's own key: a table of answers is no second copy of invite links.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, Header, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from starlette.responses import Response

from lockserver.app.ports import Answer, Claim, UnitOfWork
from lockserver.domain.errors import (
    DomainError,
    IdempotencyKeyMissingError,
    IdempotencyRunningError,
)
from mobile_api.deps import Server
from mobile_api.services import Services

HEADER = "Idempotency-Key"
_SHAPE = re.compile(r"^[\x21-\x7e]{16,128}$")
Body = TypeVar("Body", bound=BaseModel)


class IdempotencyKeyInvalidError(DomainError):
    """An Idempotency-Key has 16 to 128 visible ASCII characters."""

    code = "idempotency_key_invalid"


@dataclass(frozen=True, slots=True)
class Done:
    """What an act answers: status, body, and headers such as Location."""

    status: int
    body: BaseModel | Mapping[str, Any] | Sequence[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return the HTTP answer."""
        return _response(self.status, self.headers, _render(self.body))


Act = Callable[[UnitOfWork], Awaitable[Done]]


def _render(body: BaseModel | Mapping[str, Any] | Sequence[BaseModel] | None) -> bytes:
    if body is None:
        return b""
    return json.dumps(jsonable_encoder(body), ensure_ascii=False, separators=(",", ":")).encode()


def _response(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    media = "application/json" if body else None
    return Response(body, status_code=status, headers=dict(headers), media_type=media)


class Once:
    """Does an act at most once per caller and key."""

    def __init__(self, services: Services, key: str, route: str, body: bytes) -> None:
        self._services = services
        self._key_hash = hashlib.sha256(b"lockserver idempotency\0" + key.encode()).hexdigest()
        self._cipher = AESGCM(hashlib.sha256(b"lockserver answer\0" + key.encode()).digest())
        self._route = route
        self._body_hash = hashlib.sha256(body).digest()

    async def run(self, actor: str, act: Act) -> tuple[Response, bool]:
        """Do the act in one transaction, or give its first answer again.

        Returns the answer and whether it is a repetition. Raises IdempotencyMismatchError,
        IdempotencyRunningError, and what the act raises: then nothing was done or stored.
        """
        async with self._services.transactions.begin() as work:
            known = await work.idempotency.begin(actor, self._key_hash, self._route, self._body_hash)
            if known is not None:
                body = self._open(actor, known.response)
                return _response(known.status, known.headers, body), True
            done = await act(work)
            await work.idempotency.finish(actor, self._key_hash, self.kept(actor, done))
        return done.response(), False

    async def after(self, actor: str, ask: Callable[[], Awaitable[Done]]) -> Response:
        """Do what another role does for us, and keep its answer; no connection is held meanwhile.

        The effect is the other role's, in a transaction of its own: a crash between that and our keeping of the
        answer lets a retry ask again. So it is only for what may be asked twice without harm.
        Raises IdempotencyMismatchError, IdempotencyRunningError, and what is asked raises.
        """
        running = (actor, self._key_hash)
        if running in self._services.asking:
            raise IdempotencyRunningError
        self._services.asking.add(running)
        try:
            async with self._services.transactions.alone() as work:
                known = await work.idempotency.known(actor, self._key_hash, self._route, self._body_hash)
            if known is not None:
                return _response(known.status, known.headers, self._open(actor, known.response))
            done = await ask()

            async def keep(_work: UnitOfWork) -> Done:
                return done

            return await self(actor, keep)
        finally:
            self._services.asking.discard(running)

    async def __call__(self, actor: str, act: Act) -> Response:
        """Do the act or give its first answer again; see `run`."""
        answer, _ = await self.run(actor, act)
        return answer

    def claim(self, actor: str) -> Claim:
        """Return this request as one step may claim it, with its effect and answer in one statement."""
        return Claim(actor, self._key_hash, self._route, self._body_hash)

    def kept(self, actor: str, done: Done) -> Answer:
        """Return an answer as it is kept."""
        return Answer(done.status, dict(done.headers), self._seal(actor, _render(done.body)))

    def body_of(self, actor: str, kept: Answer) -> bytes:
        """Return the body of an answer that was kept."""
        return self._open(actor, kept.response)

    def _bound(self, actor: str) -> bytes:
        return f"{actor}\0{self._route}".encode()

    def _seal(self, actor: str, body: bytes) -> bytes:
        nonce = self._services.random(12)
        return nonce + self._cipher.encrypt(nonce, body, self._bound(actor))

    def _open(self, actor: str, sealed: bytes) -> bytes:
        return self._cipher.decrypt(sealed[:12], sealed[12:], self._bound(actor))


async def once_of(
    request: Request,
    services: Server,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="16 to 128 visible characters, fresh per intent; a retry repeats it.",
            examples=["6f1d0a52c7e94b0f8f6a2f4d"],
        ),
    ] = None,
) -> Once:
    """Return the guard of this request; raises when the header is missing or misshapen."""
    if idempotency_key is None:
        raise IdempotencyKeyMissingError
    if not _SHAPE.match(idempotency_key):
        raise IdempotencyKeyInvalidError
    route = f"{request.method} {request.url.path}"
    return Once(services, idempotency_key, route, await request.body())


Idempotent = Annotated[Once, Depends(once_of)]
"""Give every POST that acts this parameter."""
