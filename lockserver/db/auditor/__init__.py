"""The auditor: re-derives the laws from the end state, and trusts no trigger, role or code for it.

It reads with a user who can write nothing, in one snapshot. Each check is a generator of findings;
none is an opinion about how the state came about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg

from lockserver.db.auditor.canaries import Search, check_columns, check_files
from lockserver.db.auditor.commands import (
    check_evidence,
    check_movements,
    check_steps,
    check_wishes,
)
from lockserver.db.auditor.credentials import check_credentials, check_verdicts
from lockserver.db.auditor.duties import check_duties, check_ended_grants, check_rooms
from lockserver.db.auditor.finding import Evidence, Finding, Findings
from lockserver.db.auditor.grants import check_named
from lockserver.db.auditor.journals import check_journals
from lockserver.db.auditor.log import check_log
from lockserver.db.auditor.relay import (
    check_attempts,
    check_ledger,
    check_receipts,
    read_ledger,
)
from lockserver.db.connection import driver_url
from police_sync.relay.receipts import PinnedKeys

__all__ = ["CHECKS", "Finding", "audit", "examine", "fetch_ledger"]

CHECKS: tuple[Callable[[Evidence], Findings], ...] = (
    check_duties,
    check_rooms,
    check_ended_grants,
    check_named,
    check_steps,
    check_evidence,
    check_movements,
    check_wishes,
    check_credentials,
    check_verdicts,
    check_journals,
    check_attempts,
    check_log,
)
"""What needs nothing but the database."""


def audit(
    url: str,
    *,
    province_keys: bytes | None = None,
    ledger: Mapping[str, Any] | None = None,
    drained: bool = False,
    canaries: Mapping[str, str | bytes] | None = None,
    folders: Iterable[Path] = (),
    except_for: Iterable[Path] = (),
) -> list[Finding]:
    """Return every breach that the end state shows, sorted; an empty list is what one hopes for.

    `url`: the database, as the role audit. `province_keys`: the province's published receipt keys
    (the file `province_receipt.pub`); without them receipts are held to what we sent, not to their
    signatures. `ledger`: the province's ledger (`fetch_ledger`); `drained`: nothing should be under
    way any more. `canaries`: name → planted value, looked for in every column and below `folders`,
    `except_for` the key folder and the province's own store.
    """
    with psycopg.connect(driver_url(url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        found = examine(connection, province_keys=province_keys, ledger=ledger, drained=drained)
        if canaries:
            search = Search(canaries)
            found += check_columns(Evidence(connection), search)
            found += check_files(folders, search, except_for=except_for)
    return sorted(set(found))


def examine(
    connection: psycopg.Connection[Any],
    *,
    province_keys: bytes | None = None,
    ledger: Mapping[str, Any] | None = None,
    drained: bool = False,
) -> list[Finding]:
    """Return every breach that this connection's snapshot shows; arguments as for `audit`."""
    pins = PinnedKeys.from_json(province_keys) if province_keys else None
    evidence = Evidence(connection)
    found = [finding for check in CHECKS for finding in check(evidence)]
    found += check_receipts(evidence, pins)
    if ledger is not None:
        found += check_ledger(evidence, ledger, drained=drained)
    return found


def fetch_ledger(control_url: str, token: str, *, timeout_s: float = 10) -> dict[str, Any]:
    """Return the mock province's ledger through its control door. Raises httpx.HTTPError, ValueError."""
    answer = httpx.get(
        f"{control_url.rstrip('/')}/control/ledger",
        headers={"Authorization": f"Bearer {token}"},
        timeout=timeout_s,
        trust_env=False,
    )
    answer.raise_for_status()
    return read_ledger(answer.content)
