"""The province over HTTPS: sends signed calls, returns raw replies or why there is none.

Follows no redirect, trusts no proxy from the environment, verifies TLS, takes no compressed body,
reads no more than a cap, and gives every call one deadline from connect to last byte, so that a slow
drip cannot hold a worker. What a reply means is `classify`'s business.
"""

import asyncio
import secrets
import ssl
from dataclasses import dataclass

import httpx

from police_sync.relay.filing import Filing, Kind
from police_sync.relay.outcomes import Unknown, Unsent
from police_sync.relay.ports import Clock
from police_sync.relay.signing import RequestSigner, signed_headers

REPLY_LIMIT = 1024 * 1024  # bytes; a state document with a thousand receipts is about 500 KiB

_PATH = {
    Kind.REGISTER: ("PUT", "/registrations/{}"),
    Kind.CHANGE: ("POST", "/registrations/{}/changes"),
    Kind.DEPARTURE: ("POST", "/registrations/{}/departure"),
    Kind.WITHDRAWAL: ("POST", "/registrations/{}/withdrawal"),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer. `too_long`: cut off at the cap, `body` is empty."""

    status: int
    content_type: str
    encoded: bool
    retry_after: str | None
    body: bytes
    too_long: bool = False


def province_http(base_url: str, *, connections: int, tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """An HTTP client fit for the province. `tls`: trust and client certificate, default: system's."""
    return httpx.AsyncClient(
        base_url=base_url,
        verify=tls if tls is not None else ssl.create_default_context(),
        follow_redirects=False,
        trust_env=False,
        timeout=None,  # noqa: S113 - the one deadline is ProvinceClient's
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


class ProvinceClient:
    """Our side of the contract's calls."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        signer: RequestSigner,
        clock: Clock,
        *,
        connect_timeout_s: float = 5.0,
        call_timeout_s: float = 20.0,
    ) -> None:
        self._http = http
        self._signer = signer
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self.call_timeout_s = call_timeout_s

    async def deliver(self, filing: Filing) -> Reply | Unsent | Unknown:
        """Send a filing."""
        method, path = _PATH[filing.kind]
        return await self._call(method, path.format(filing.client_no), filing.wire)

    async def ask(self, client_no: str) -> Reply | Unsent | Unknown:
        """Ask for the state of a registration by our number."""
        return await self._call("GET", f"/registrations/{client_no}", b"")

    async def _call(self, method: str, path: str, body: bytes) -> Reply | Unsent | Unknown:
        url = self._http.base_url.join(self._http.base_url.path.rstrip("/") + path)
        headers = signed_headers(
            self._signer,
            method=method,
            target=url.raw_path.decode("ascii"),
            body=body,
            at_s=int(self._clock.now().timestamp()),
            nonce=secrets.token_hex(16),
        )
        if body:
            headers["Content-Type"] = "application/json"
        timeout = httpx.Timeout(None, connect=self._connect_timeout_s)
        request = self._http.build_request(
            method, url, content=body or None, headers=headers, timeout=timeout
        )
        try:
            async with asyncio.timeout(self.call_timeout_s):
                return await self._exchange(request)
        except TimeoutError:
            return Unknown("deadline")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # A TLS handshake that fails ends here too: no byte of the request has left.
            return Unsent(_word(error))
        except (httpx.TransportError, httpx.StreamError) as error:
            return Unknown(_word(error))

    async def _exchange(self, request: httpx.Request) -> Reply:
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            too_long = False
            async for chunk in response.aiter_raw():
                if len(body) + len(chunk) > REPLY_LIMIT:
                    too_long = True
                    break
                body += chunk
        finally:
            await response.aclose()
        return Reply(
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            encoded=response.headers.get("content-encoding", "identity") != "identity",
            retry_after=response.headers.get("retry-after"),
            body=b"" if too_long else bytes(body),
            too_long=too_long,
        )


def _word(error: Exception) -> str:
    if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error).upper():
        return "tls"
    return {
        "ConnectError": "refused",
        "ConnectTimeout": "connect_timeout",
        "PoolTimeout": "no_connection_free",
        "RemoteProtocolError": "dropped",
        "ReadError": "dropped",
        "WriteError": "dropped",
    }.get(type(error).__name__, type(error).__name__)
