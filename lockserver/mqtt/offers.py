"""Enrolment over the broker: E1–E4 to a lock that has no identity yet, as single messages (docs/protocol.md).

What passes here proves itself: the offer is signed by the lock's factory key after its button, the document is
MACed under its claim code, which we never hold. So whoever listens learns nothing, and whoever speaks in between
can only spoil it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lockserver.domain.errors import ClaimRefusedError, ConflictError, NoButtonError
from lockserver.protocol.enrolment import E2, E4, read_e2, read_e4, write_e1
from lockserver.protocol.errors import RemoteError

AGAIN_S: Final = 1.0
"""Until the button is pressed the lock says no; so it is asked this often."""
AT_ONCE: Final = 2
"""Enrolments that one bridge waits for: each takes a worker and a connection for half a minute."""
UNHEARD: Final = 8
"""Messages of one lock that wait to be read; more than that is noise."""


class Offers:
    """Enrolments under way, by serial number."""

    def __init__(self, publish: Callable[[str, bytes], bool]) -> None:
        self._publish = publish
        self._waiting: dict[str, asyncio.Queue[bytes]] = {}

    def heard(self, serial: str, payload: bytes) -> None:
        """Take a message of a lock; one that nobody waits for is nobody's."""
        queue = self._waiting.get(serial)
        if queue is not None and queue.qsize() < UNHEARD:
            queue.put_nowait(payload)

    async def offer(self, serial: str, owner_public: bytes, within: float) -> bytes:
        """Ask until the lock's button is pressed; return its LK1-OFFER for this owner's key, unverified.

        Raises NoButtonError after `within` seconds, ConflictError while somebody else asks the same lock.
        """
        return await self._ask(serial, write_e1(owner_public), E2, read_e2, within)

    async def enrol(self, serial: str, e3: bytes, within: float) -> bytes:
        """Carry E3; return the lock's sealed first report.

        Raises ClaimRefusedError where the lock refuses it or says nothing, ConflictError.
        """
        try:
            return await self._ask(serial, e3, E4, read_e4, within, again=False)
        except NoButtonError as silent:
            raise ClaimRefusedError(reason="lock_silent") from silent

    async def _ask(
        self,
        serial: str,
        message: bytes,
        first: int,
        read: Callable[[bytes], bytes],
        within: float,
        *,
        again: bool = True,
    ) -> bytes:
        if serial in self._waiting:
            raise ConflictError(rule="enrolment_running")
        if len(self._waiting) >= AT_ONCE:
            raise ConflictError(rule="enrolments_running", most=AT_ONCE)
        queue = self._waiting[serial] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        try:
            while (left := end - loop.time()) > 0:
                self._publish(serial, message)
                wait = min(AGAIN_S, left) if again else left
                found = await _answer(queue, first, read, wait, refusable=not again)
                if found is not None:
                    return found
        finally:
            del self._waiting[serial]
        raise NoButtonError


async def _answer(
    queue: asyncio.Queue[bytes],
    first: int,
    read: Callable[[bytes], bytes],
    wait: float,
    *,
    refusable: bool,
) -> bytes | None:
    """Return the body of the lock's answer, or None after `wait` seconds of nothing that is one."""
    try:
        async with asyncio.timeout(wait):
            while True:
                payload = await queue.get()
                try:
                    if payload[:1] == bytes([first]) or refusable:
                        return read(payload)
                except RemoteError as error:
                    if refusable:
                        raise ClaimRefusedError(reason=error.code.word) from None
    except TimeoutError:
        return None
