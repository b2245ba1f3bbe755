"""Who may touch what: one database user per role, and grants by table and column, as data.

The table below is the whole of it: what is not named is refused. Grants are laid anew at every
migration (revoke all, then grant), so that the table and the database cannot drift apart.
"""

from collections.abc import Mapping
from typing import Any, Final

from psycopg import Connection, sql

from lockserver.db.open_columns import (
    CASE_OPEN,
    GATEWAY_OPEN,
    LOCK_OPEN,
    OUTBOX_OPEN,
    REGISTRATION_OPEN,
    SLOT_OPEN,
)

MIGRATE: Final = "ls_migrate"
AUDIT: Final = "ls_audit"
USERS: Final = {
    "api": "ls_api",
    "issuer": "ls_issuer",
    "verify": "ls_verify",
    "bridge": "ls_bridge",
    "relay": "ls_relay",
    "jobs": "ls_jobs",
    "migrate": MIGRATE,
    "audit": AUDIT,
}
"""Role → database user."""

CONNECTIONS: Final = {"migrate": 8, "audit": 4}
"""Fewer connections for those who come seldom; the rest take what their pools ask for."""

S: Final = "SELECT"
I: Final = "INSERT"  # noqa: E741 - a privilege's initial, beside its sisters
U: Final = "UPDATE"
D: Final = "DELETE"

Columns = tuple[str, ...]
Privileges = Mapping[str, Columns | None]
"""Privilege → the columns it covers, or None for all of them."""


def _all(*privileges: str) -> dict[str, Columns | None]:
    return dict.fromkeys(privileges)


EVERYBODY: Final[Mapping[str, Privileges]] = {"site_keys": _all(S), "audit_log": _all(I)}
"""Public keys are public; everybody's acts are logged, and nobody who acts reads the log."""

GRANTS: Final[Mapping[str, Mapping[str, Privileges]]] = {
    "api": {
        "accounts": _all(S, I),
        "login_codes": _all(S, I, U),
        "sessions": _all(S, I, U),
        "holders": _all(S, I),
        "phones": _all(S, I, U),
        "houses": {**_all(S, I), U: ("name", "address_id", "station_code")},
        "house_staff": {**_all(S, I, D), U: ("wish_id",)},
        "doors": _all(S, I, U),
        "locks": {S: LOCK_OPEN, U: ("command_counter",)},
        "tenancies": _all(S, I, U),
        "occupants": {**_all(S, I), U: ("invite_hash", "invite_accepted_at")},
        "duties": {**_all(S, I), U: ("due_at",)},  # to hold a row; only verify and relay settle one
        "grants": _all(S, I, U),
        "credentials": {S: None, U: ("revoked_at",)},
        "lock_documents": _all(S),
        "lock_status": _all(S),
        "gateways": {S: GATEWAY_OPEN, U: ("state", "name")},
        "gateway_credentials": {S: None, U: ("revoked_at",)},
        "gateway_sights": _all(S),
        "slots": {S: SLOT_OPEN},
        "offline_pins": _all(S),
        "findings": _all(S),
        "wishes": {S: None, I: ("id", "holder_id", "phone_id", "operation", "target", "not_after", "raw")},
        "wish_terms": _all(S, I),
        "entries": {**_all(S, I), U: ("ended_at",)},
        "notices": {**_all(S, I), U: ("seen_at",)},
        "commands": _all(S, I),
        "journal": _all(S),
        "requests": _all(S, I, U),
        "cases": {
            S: CASE_OPEN,
            I: ("id", "duty_id", "holder_id", "phone_id", "session_id", "route", "state"),
            U: (
                "route",
                "state",
                "consent_document_at",
                "consent_face_at",
                "consent_face_withdrawn_at",
                "active_at",
            ),
        },
        "case_parts": {
            S: ("id", "case_id", "kind", "digest", "state", "code", "advice", "created_at"),
            I: None,
        },
        "verdicts": _all(S),
        "registrations": {S: REGISTRATION_OPEN, U: ("version",)},
        "outbox": {S: OUTBOX_OPEN, I: None},
        "receipts": _all(S),
        "ledger": _all(S, I),
        "idempotency": _all(S, I, U),
    },
    "issuer": {
        "holders": _all(S),
        "phones": _all(S, U),
        "houses": _all(S),
        "house_staff": _all(S),
        "doors": _all(S),
        "locks": _all(S, I, U),
        "tenancies": _all(S),
        "occupants": _all(S),
        "duties": _all(S),
        "grants": _all(S),
        "credentials": _all(S, I, U),
        "lock_documents": _all(S, I, D),
        "lock_status": _all(S, I),
        "gateways": _all(S, I, U),
        "gateway_credentials": _all(S, I, U),
        "slots": _all(S, I, U),
        "offline_pins": _all(S, I),
        "captures": _all(S, U),
        "findings": _all(S, I, U),
        "wishes": _all(S, I),
        "wish_terms": _all(S),
        "entries": _all(S),
        "notices": _all(S, I),
        "commands": _all(S),
        "requests": _all(S, U),
        "cases": {S: ("id", "duty_id", "holder_id", "phone_id", "state", "outcome")},
        "verdicts": _all(S),
        "registrations": {S: REGISTRATION_OPEN},
    },
    "verify": {
        "holders": _all(S),
        "phones": _all(S, U),
        "sessions": {S: ("id", "account_id")},
        "houses": _all(S),
        "house_staff": _all(S),
        "doors": _all(S),
        "tenancies": _all(S),
        "occupants": _all(S),
        "duties": _all(S, U),
        "grants": _all(S),
        "cases": _all(S, U),
        "case_parts": _all(S, U),
        "verdicts": _all(S, I),
        "registrations": _all(S, I, U),
        "outbox": {S: OUTBOX_OPEN, I: None},
        "ledger": _all(S, I),
    },
    "bridge": {
        "holders": _all(S),
        "phones": _all(S),
        "doors": _all(S),
        "locks": {S: (*LOCK_OPEN, "broker_secret_hash"), U: ("state", "enrolled_at")},
        "tenancies": _all(S),
        "grants": _all(S),
        "credentials": _all(S),
        "lock_documents": {S: None, U: ("refused", "denial")},
        "lock_status": _all(S, I, U),
        "gateways": {S: (*GATEWAY_OPEN, "broker_secret_hash"), U: ("boot", "free", "last_seen_at")},
        "gateway_credentials": _all(S),
        "slots": {S: SLOT_OPEN, U: ("state", "settled_at")},
        "offline_pins": _all(S),
        "captures": _all(S, I),
        "findings": _all(S, I, U),
        "gateway_sights": _all(S, I, U),
        "firmware_images": _all(S),
        "wishes": _all(S),
        "commands": _all(S, U),
        "journal": _all(S, I),
        "requests": _all(S, I, U),
    },
    "relay": {
        "tenancies": _all(S),
        "duties": _all(S, U),
        "registrations": {
            S: REGISTRATION_OPEN,
            U: (
                "state",
                "return_field",
                "return_code",
                "receipt_no",
                "voucher_no",
                "receipted_at",
                "accepted_at",
                "departed_at",
                "verdict_seq",
                "verdict_version",
                "verdict_settled",
                "poll_version",
                "poll_at",
                "polls",
            ),
        },
        "outbox": {
            S: None,
            U: (
                "state",
                "fencing",
                "leased_by",
                "leased_until",
                "attempts",
                "next_at",
                "ask_first",
                "park_reason",
                "settled_at",
            ),
        },
        "attempts": _all(S, I, U),
        "receipts": _all(S, I),
        "ledger": _all(S, I),
    },
    "jobs": {
        "houses": _all(S),
        "doors": _all(S),
        "locks": {S: LOCK_OPEN},
        "lock_status": _all(S),
        "holders": _all(S),
        "phones": _all(S),
        "tenancies": _all(S, U),
        "occupants": _all(S),
        "duties": _all(S, I, U),
        "grants": _all(S, U),
        "credentials": {S: None, U: ("revoked_at",)},
        "slots": {S: SLOT_OPEN},
        "notices": _all(S, I),
        "commands": _all(S, U),
        "requests": {S: ("id", "expires_at"), D: None},
        "idempotency": {S: ("caller", "key", "state", "created_at"), D: None},
        "login_codes": {S: ("id", "expires_at"), D: None},
        "sessions": {S: ("id", "refresh_expires_at"), D: None},
        "cases": {
            S: ("id", "state", "active_at", "destroyed_at", "holder_id"),
            U: ("sealed_key", "draft", "state", "destroyed_at", "destruction_receipt"),
        },
        "case_parts": {S: ("id", "case_id"), U: ("sealed",)},
        "registrations": {S: REGISTRATION_OPEN, U: ("version",)},
        "outbox": {S: OUTBOX_OPEN, I: None},
        "ledger": _all(I),
        "audit_log": _all(S, I),
        "audit_checkpoints": _all(S, I),
    },
}


ASKS: Final[Mapping[str, tuple[str, ...]]] = {"api": ("issuer", "bridge"), "bridge": ("issuer",)}
"""Who asks whom over `requests`; asker and asked see a request, and nobody else (claim codes pass there)."""


def create_users(connection: Connection[tuple[Any, ...]], passwords: Mapping[str, str]) -> None:
    """Make every role's user, or give it its password anew. Runs as who may create roles."""
    for role, user in USERS.items():
        exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
        verb = "ALTER" if exists else "CREATE"
        connection.execute(
            sql.SQL(verb + " ROLE {} LOGIN NOINHERIT PASSWORD {} CONNECTION LIMIT {}").format(
                sql.Identifier(user),
                sql.Literal(passwords[role]),
                sql.Literal(CONNECTIONS.get(role, 40)),
            )
        )
    connection.execute(
        sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(AUDIT))
    )


def lay_grants(connection: Connection[tuple[Any, ...]]) -> None:
    """Revoke everything from every role and grant what the table says. Runs as the owner."""
    public = sql.SQL("ALL TABLES IN SCHEMA public")
    for role, user in USERS.items():
        if role == "migrate":
            continue
        name = sql.Identifier(user)
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(public, name))
        connection.execute(sql.SQL("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {}").format(name))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
    connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(public, sql.Identifier(AUDIT)))
    for role, tables in GRANTS.items():
        for table, privileges in {**EVERYBODY, **tables}.items():
            for privilege, columns in privileges.items():
                _grant(connection, USERS[role], table, privilege, columns)
    _lay_policies(connection)
    _grant_jobs_tables(connection)


def _lay_policies(connection: Connection[tuple[Any, ...]]) -> None:
    """Close `requests` row by row: a grant by table would show every role what all others ask."""
    connection.execute("ALTER TABLE requests ENABLE ROW LEVEL SECURITY")
    for (name,) in connection.execute(
        "SELECT policyname FROM pg_policies WHERE schemaname = 'public' AND tablename = 'requests'"
    ).fetchall():
        connection.execute(sql.SQL("DROP POLICY {} ON requests").format(sql.Identifier(name)))
    mine = "CREATE POLICY {} ON requests TO {} USING (asked_by = {} OR to_role = {}) WITH CHECK ({})"
    for role, tables in GRANTS.items():
        if "requests" not in tables:
            continue
        name, user = sql.Identifier(f"of_{role}"), sql.Identifier(USERS[role])
        if role == "jobs":
            connection.execute(sql.SQL("CREATE POLICY {} ON requests TO {} USING (true)").format(name, user))
            continue
        asked = [sql.Literal(other) for other in ASKS.get(role, ())]
        own = sql.SQL("to_role = {}").format(sql.Literal(role))
        if asked:
            may = "{} OR (asked_by = {} AND to_role IN ({}))"
            own = sql.SQL(may).format(own, sql.Literal(USERS[role]), sql.SQL(", ").join(asked))
        connection.execute(sql.SQL(mine).format(name, user, sql.Literal(USERS[role]), sql.Literal(role), own))
    connection.execute(
        sql.SQL("CREATE POLICY of_audit ON requests FOR SELECT TO {} USING (true)").format(
            sql.Identifier(AUDIT)
        )
    )


def _grant(
    connection: Connection[tuple[Any, ...]],
    user: str,
    table: str,
    privilege: str,
    columns: Columns | None,
) -> None:
    listed: sql.Composable = sql.SQL("")
    if columns is not None:
        names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
        listed = sql.SQL(" ({})").format(names)
    connection.execute(
        sql.SQL("GRANT {}{} ON {} TO {}").format(
            sql.SQL(privilege), listed, sql.Identifier(table), sql.Identifier(user)
        )
    )


def _grant_jobs_tables(connection: Connection[tuple[Any, ...]]) -> None:
    """Give procrastinate's own tables, types and functions to the role jobs, and to nobody else."""
    found = connection.execute(
        "SELECT relname, relkind::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace"
        " AND relname LIKE 'procrastinate\\_%' AND relkind IN ('r', 'S')"
    ).fetchall()
    user = sql.Identifier(USERS["jobs"])
    for name, kind in found:
        what = sql.SQL("SEQUENCE" if kind == "S" else "TABLE")
        connection.execute(sql.SQL("GRANT ALL ON {} {} TO {}").format(what, sql.Identifier(name), user))
