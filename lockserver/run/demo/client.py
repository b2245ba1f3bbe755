"""The story's HTTP client: what the app would send, over a real socket."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from pathlib import Path

REQUEST_SECONDS = 30
"""Longer than the longest wait the API offers (25 s), so that a slow answer is told apart from none."""


class ProblemError(Exception):
    """The API refused; carries the RFC 9457 problem."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        super().__init__(f"{status} {self.code}: {problem.get('detail') or problem.get('title')}")


def b64(data: bytes) -> str:
    """Base64url without padding, as the API writes bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Read base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class AppClient:
    """One person's app: a session with the API under `/v1`.

    Raises `ProblemError` for every answer of 400 and above.
    """

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=f"{base_url}/v1", timeout=REQUEST_SECONDS, trust_env=False)
        self.status = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def close(self) -> None:
        """Close the sockets."""
        await self._http.aclose()

    async def log_in(self, phone_number: str, sms_file: Path) -> None:
        """Log in with the one-time code that the demo's SMS provider wrote down."""
        await self.post("/login/codes", {"phone": phone_number})
        tokens = await self.post("/login", {"phone": phone_number, "code": read_code(sms_file, phone_number)})
        self._http.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    async def get(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 - JSON
        """GET a JSON resource."""
        return self._read(await self._http.get(path, params=params))

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """POST JSON under a fresh idempotency key (or the one given)."""
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        return self._read(await self._http.post(path, json=body or {}, headers=headers))

    async def put(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """PUT JSON."""
        return self._read(await self._http.put(path, json=body))

    async def put_image(self, path: str, image: bytes) -> Any:  # noqa: ANN401 - JSON
        """PUT a raw image body."""
        return self._read(await self._http.put(path, content=image, headers={"Content-Type": "image/jpeg"}))

    def _read(self, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        self.status = answer.status_code
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            try:
                problem = answer.json()
            except ValueError:
                problem = {"title": answer.text[:200]}
            raise ProblemError(answer.status_code, problem)
        return answer.json() if answer.content else None


def read_code(sms_file: Path, phone_number: str) -> str:
    """Return the newest one-time code sent to a number by the demo's SMS provider.

    Raises:
        LookupError: no message went to that number.
    """
    for line in reversed(sms_file.read_text(encoding="utf-8").splitlines()):
        message = json.loads(line)
        if message["phone"] == phone_number:
            return str(message["code"])
    text = f"no message was sent to {phone_number[:3]}…"
    raise LookupError(text)
