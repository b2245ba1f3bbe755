"""`lockserver audit`: re-derives the laws from the end state and prints every breach."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import httpx

from lockserver import settings as configuration
from lockserver.db.auditor import audit, fetch_ledger
from lockserver.db.examine import DatabaseAwayError, examine_database
from lockserver.run.doctor import RUNNING_FILE
from lockserver.settings import PREFIX, Role

if TYPE_CHECKING:
    from pathlib import Path


def audit_installation(data: Path, *, as_json: bool) -> int:
    """Audit the database that the settings name, or the installation below `data`.

    Where the mock province runs beside it, its ledger is held against ours. The answer is the exit status:
    0 where nothing was found, 1 where something was, EX_CONFIG where the database does not answer.
    """
    try:
        url = _database_url(data)
        examine_database(url, Role.AUDIT.value)
    except (DatabaseAwayError, FileNotFoundError) as error:
        print(
            f"no database to audit ({error}): start it, or name it by LOCKSERVER_DATABASE_URL",
            file=sys.stderr,
        )
        return os.EX_CONFIG
    keys = data / "keys" / "relay" / "province_receipt.pub"
    ledger = _ledger(data)
    found = audit(url, province_keys=keys.read_bytes() if keys.exists() else None, ledger=ledger)
    for one in found:
        print(json.dumps(asdict(one), ensure_ascii=False) if as_json else one)
    if not as_json:
        beside = "with the province's ledger" if ledger is not None else "without a ledger of the province"
        print(f"{len(found)} breaches, {beside}")
    return 1 if found else 0


def _database_url(data: Path) -> str:
    if f"{PREFIX}DATABASE_URL" in os.environ or f"{PREFIX}SECRETS_DIR" in os.environ:
        return configuration.load(Role.AUDIT).database_url.get_secret_value()
    secret = data / "secrets" / Role.AUDIT.value / f"{PREFIX.lower()}database_url"
    return secret.read_text(encoding="utf-8")


def _ledger(data: Path) -> dict[str, Any] | None:
    """The mock province's ledger, where it runs beside us."""
    running = data / RUNNING_FILE
    if not running.exists():
        return None
    where = json.loads(running.read_text(encoding="utf-8"))
    token = (data / "province" / "control.token").read_text(encoding="ascii").strip()
    try:
        return fetch_ledger(where["province_control"], token)
    except (httpx.HTTPError, ValueError):
        return None
