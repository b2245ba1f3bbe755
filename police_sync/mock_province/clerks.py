"""What happens at the province while nobody calls: checks come due, callbacks go out."""

import asyncio
import secrets
from urllib.parse import urlsplit

import httpx
import structlog

from police_sync.mock_province import canonical
from police_sync.mock_province.desk import Desk
from police_sync.mock_province.keys import call_text
from police_sync.mock_province.store import Row

log = structlog.get_logger("province")

_TICK_S = 0.05  # how long a newly received filing may wait for its clerk
_CALLBACK_TIMEOUT_S = 5.0
_RETRY_FIRST_S, _RETRY_CAP_S, _TRIES_MAX = 0.5, 60.0, 200


async def checking(desk: Desk) -> None:
    """Carry out checks as they come due, until cancelled."""
    while True:
        busy = desk.run_checks() > 0
        await asyncio.sleep(0 if busy else _TICK_S)  # 0: let calls in between


async def messaging(desk: Desk) -> None:
    """Send callbacks at least once each, until cancelled."""
    async with httpx.AsyncClient(trust_env=False, timeout=_CALLBACK_TIMEOUT_S) as http:
        while True:
            for row in desk.store.due_callbacks(desk.now().timestamp()):
                await _send(desk, http, row)
            await asyncio.sleep(_TICK_S)


async def _send(desk: Desk, http: httpx.AsyncClient, row: Row) -> None:
    url = desk.settings.callback_url
    if url is None:
        return
    status: int | None = None
    try:
        status = await _post(desk, http, url, canonical.dump(row["body"]))
    except httpx.HTTPError as error:
        log.warning("province.callback.failed", client_no=row["client_no"], error=type(error).__name__)
    done = status is not None and httpx.codes.is_success(status)
    tries = row["tries"] + 1
    remaining = row["remaining"] - 1 if done or tries >= _TRIES_MAX else row["remaining"]
    wait = 0.0 if done else min(_RETRY_CAP_S, _RETRY_FIRST_S * 2 ** min(tries - 1, 10))
    due_at = desk.now().timestamp() + wait
    desk.store.callback_tried(row["id"], remaining=remaining, due_at=due_at, status=status)


async def _post(desk: Desk, http: httpx.AsyncClient, url: str, body: bytes) -> int:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    timestamp, nonce = str(int(desk.now().timestamp())), secrets.token_hex(16)
    key = desk.ring.current
    signature = key.raw_signature(call_text("callback", "POST", target, body, timestamp, nonce))
    headers = {
        "Content-Type": "application/json",
        "Police-Key-Id": key.key_id,
        "Police-Timestamp": timestamp,
        "Police-Nonce": nonce,
        "Police-Signature": signature,
    }
    response = await http.post(url, content=body, headers=headers)
    return response.status_code
