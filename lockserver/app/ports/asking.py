"""How roles ask each other, and how anybody hears that something changed."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

RoleName = Literal["issuer", "verify", "bridge", "relay", "jobs"]
Channel = Literal[
    "answers",
    "requests_issuer",
    "requests_verify",
    "requests_bridge",
    "requests_relay",
    "requests_jobs",
    "commands",
    "command_settled",
    "lock_state",
    "inventory",
    "gateways",
    "outbox",
    "registration_changed",
    "case_changed",
]
Handler = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any] | None]]
"""Answers one kind of request; a DomainError it raises travels back with its code."""


class Requests(Protocol):
    """Asks another role over a row of `requests`, in a transaction of its own."""

    async def ask(self, role: RoleName, kind: str, body: Mapping[str, Any], within: float) -> dict[str, Any]:
        """Write the request, wait at most `within` seconds, return the answer.

        The body becomes canonical JSON (bytes, UUIDs, instants as strings). Call it outside any
        open unit of work, or the answering role cannot see what you wrote. Both body and response
        are blanked once the answer is taken.

        Raises the answering role's DomainError, RoleSilentError at the deadline (the request will
        then not be begun any more; one already begun may still finish), RoleFailedError.
        """
        ...


class Watch(Protocol):
    """One listener's queue of changes."""

    async def next(self, within: float) -> str | None:
        """Return the next payload, or None after `within` seconds or a reconnection.

        A notification may be lost and may come twice: look at the row each time, and treat this
        as a hint to look now.
        """
        ...


class Changes(Protocol):
    """LISTEN: hints that a row changed."""

    def watch(self, channel: Channel, payload: str | None = None) -> AbstractAsyncContextManager[Watch]:
        """Listen while the context is open; only to this payload, where one is given.

        Open the watch first, then read the row, then wait: nothing falls between.
        """
        ...
