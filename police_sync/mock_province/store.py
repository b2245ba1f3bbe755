"""The province's own database: one SQLite file that nobody else opens. The only file here with SQL.

It stands for another authority's system, so it holds what was filed in clear, as a police register
does. Used from one event loop; a `with store.transaction()` never spans an await.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS registrations (
  client_no TEXT PRIMARY KEY, version INTEGER NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL,
  record TEXT NOT NULL, document_number TEXT NOT NULL, address_id TEXT NOT NULL,
  station TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 0, returns TEXT NOT NULL DEFAULT '[]',
  duplicate_of TEXT, voucher TEXT, check_at REAL, accepted_day TEXT, changed_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS registrations_due ON registrations(check_at) WHERE check_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS registrations_person ON registrations(document_number);
CREATE INDEX IF NOT EXISTS registrations_address ON registrations(address_id);
CREATE TABLE IF NOT EXISTS filings (
  client_no TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL,
  content_digest TEXT NOT NULL, fields TEXT NOT NULL, receipt_no TEXT NOT NULL UNIQUE,
  receipt TEXT NOT NULL, received_at TEXT NOT NULL, PRIMARY KEY (client_no, version));
CREATE TABLE IF NOT EXISTS vouchers (
  voucher_no TEXT PRIMARY KEY, client_no TEXT NOT NULL, version INTEGER NOT NULL,
  voucher TEXT NOT NULL, UNIQUE (client_no, version));
CREATE TABLE IF NOT EXISTS people (
  document_number TEXT PRIMARY KEY, document_type TEXT NOT NULL, name TEXT NOT NULL,
  valid_to TEXT);
CREATE TABLE IF NOT EXISTS premises (
  address_id TEXT PRIMARY KEY, station TEXT NOT NULL, address TEXT NOT NULL,
  capacity INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS clients (key_id TEXT PRIMARY KEY, point TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS nonces (
  key_id TEXT NOT NULL, nonce TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (key_id, nonce));
CREATE INDEX IF NOT EXISTS nonces_at ON nonces(at);
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
  client_no TEXT, status INTEGER, fault TEXT);
CREATE INDEX IF NOT EXISTS calls_client_no ON calls(client_no);
CREATE TABLE IF NOT EXISTS callbacks (
  id INTEGER PRIMARY KEY, client_no TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL,
  due_at REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, remaining INTEGER NOT NULL,
  last_status INTEGER);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks(due_at) WHERE remaining > 0;
CREATE TABLE IF NOT EXISTS numbers (prefix TEXT PRIMARY KEY, last INTEGER NOT NULL);
"""

Row = dict[str, Any]
_JSON = ("record", "returns", "voucher", "receipt", "fields", "body")


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    names = (column[0] for column in cursor.description)
    row = dict(zip(names, values, strict=True))
    for name in _JSON:
        if isinstance(row.get(name), str):
            row[name] = json.loads(row[name])
    return row


def _text(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


class Store:
    """The register."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = _row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _all(self, sql: str, *values: object) -> list[Row]:
        return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> Row | None:
        row: Row | None = self._db.execute(sql, values).fetchone()
        return row

    # ---- registrations and filings
    def next_number(self, prefix: str) -> int:
        """The next number under `prefix`, from 1, without gaps but for rolled-back ones."""
        row = self._one(
            "INSERT INTO numbers VALUES (?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last",
            prefix,
        )
        if row is None:
            raise RuntimeError("numbers: no row came back")
        return int(row["last"])

    def registration(self, client_no: str) -> Row | None:
        """One registration."""
        return self._one("SELECT * FROM registrations WHERE client_no = ?", client_no)

    def registrations(self) -> list[Row]:
        """All registrations, newest change first."""
        return self._all("SELECT * FROM registrations ORDER BY changed_at DESC, rowid DESC")

    def save_registration(self, row: Row) -> None:
        """Write a whole registration row."""
        names = list(row)
        updates = ", ".join(f"{name} = excluded.{name}" for name in names if name != "client_no")
        self._db.execute(
            f"INSERT INTO registrations ({', '.join(names)}) "  # noqa: S608 - names are this file's
            f"VALUES ({', '.join('?' * len(names))}) ON CONFLICT DO UPDATE SET {updates}",
            [_text(row[name]) for name in names],
        )

    def add_filing(self, row: Row) -> None:
        """Write one accepted filing."""
        names = (
            "client_no", "version", "kind", "content_digest", "fields", "receipt_no", "receipt",
            "received_at",
        )  # fmt: skip
        self._db.execute(
            "INSERT INTO filings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [_text(row[n]) for n in names]
        )

    def filings(self, client_no: str) -> list[Row]:
        """The filings of one registration, by version."""
        return self._all("SELECT * FROM filings WHERE client_no = ? ORDER BY version", client_no)

    def all_filings(self) -> list[Row]:
        """Every filing, by registration and version."""
        return self._all("SELECT * FROM filings ORDER BY client_no, version")

    def receipt(self, receipt_no: str) -> Row | None:
        """The filing with this receipt number."""
        return self._one("SELECT * FROM filings WHERE receipt_no = ?", receipt_no)

    def add_voucher(self, voucher: Row) -> None:
        """Write a voucher."""
        self._db.execute(
            "INSERT INTO vouchers VALUES (?, ?, ?, ?)",
            (voucher["voucher_no"], voucher["client_no"], voucher["version"], _text(voucher)),
        )

    def voucher(self, voucher_no: str) -> Row | None:
        """The voucher with this number."""
        return self._one("SELECT * FROM vouchers WHERE voucher_no = ?", voucher_no)

    def due_checks(self, now: float, limit: int = 200) -> list[Row]:
        """Registrations whose check is due at `now` (seconds since 1970)."""
        return self._all(
            "SELECT * FROM registrations WHERE check_at <= ? ORDER BY check_at LIMIT ?", now, limit
        )

    def heads(self, address_id: str, but: str) -> int:
        """Active registrations at an address, without `but`."""
        row = self._one(
            "SELECT count(*) AS n FROM registrations "
            "WHERE address_id = ? AND active = 1 AND client_no <> ?", address_id, but
        )  # fmt: skip
        return 0 if row is None else int(row["n"])

    def active_of(self, document_number: str, but: str) -> Row | None:
        """The person's active registration under another number."""
        return self._one(
            "SELECT * FROM registrations "
            "WHERE document_number = ? AND active = 1 AND client_no <> ? LIMIT 1",
            document_number, but,
        )  # fmt: skip

    def accepted_filings(self, station: str, since: date) -> list[Row]:
        """Newest filings of active registrations of a station, with their day of acceptance."""
        return self._all(
            "SELECT r.accepted_day AS day, r.client_no, f.version, f.content_digest "
            "FROM registrations r JOIN filings f USING (client_no, version) "
            "WHERE r.station = ? AND r.active = 1 AND r.accepted_day >= ? "
            "ORDER BY day, r.client_no",
            station, since.isoformat(),
        )  # fmt: skip

    # ---- what the control door brings
    def put_people(self, people: Iterable[Row]) -> None:
        """Add or replace people of the synthetic population."""
        self._db.executemany(
            "INSERT OR REPLACE INTO people VALUES (:document_number, :document_type, :name, :valid_to)",
            people,
        )

    def person(self, document_number: str) -> Row | None:
        """One person."""
        return self._one("SELECT * FROM people WHERE document_number = ?", document_number)

    def put_premises(self, premises: Iterable[Row]) -> None:
        """Add or replace addresses."""
        self._db.executemany(
            "INSERT OR REPLACE INTO premises VALUES (:address_id, :station, :address, :capacity)",
            premises,
        )

    def premises(self, address_id: str) -> Row | None:
        """One address."""
        return self._one("SELECT * FROM premises WHERE address_id = ?", address_id)

    def put_client(self, key_id: str, point: str) -> None:
        """Let a client in."""
        self._db.execute("INSERT OR REPLACE INTO clients VALUES (?, ?)", (key_id, point))

    def client(self, key_id: str) -> str | None:
        """A client's public point."""
        row = self._one("SELECT point FROM clients WHERE key_id = ?", key_id)
        return None if row is None else row["point"]

    def counts(self) -> Row:
        """How many people and premises are known."""
        row = self._one(
            "SELECT (SELECT count(*) FROM people) AS people, (SELECT count(*) FROM premises) AS premises"
        )
        return row or {}

    # ---- calls
    def nonce_is_new(self, key_id: str, nonce: str, now: float, window_s: float) -> bool:
        """Remember a nonce; False when it was seen within the window."""
        self._db.execute("DELETE FROM nonces WHERE at < ?", (now - window_s,))
        cursor = self._db.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (key_id, nonce, now))
        return cursor.rowcount == 1

    def add_call(self, row: Row) -> int:
        """Write down a call that arrived; its id."""
        cursor = self._db.execute(
            "INSERT INTO calls (at, method, path, client_no, fault) "
            "VALUES (:at, :method, :path, :client_no, :fault)",
            row,
        )
        return cursor.lastrowid or 0

    def call_answered(self, call_id: int, status: int) -> None:
        """Write down what the call was answered, before the answer leaves."""
        self._db.execute("UPDATE calls SET status = ? WHERE id = ?", (status, call_id))

    def calls(self, client_no: str | None, limit: int) -> list[Row]:
        """Calls that arrived, in order; of one registration or the newest `limit` of all."""
        if client_no is not None:
            return self._all("SELECT * FROM calls WHERE client_no = ? ORDER BY id", client_no)
        return self._all("SELECT * FROM calls ORDER BY id DESC LIMIT ?", limit)[::-1]

    # ---- callbacks
    def add_callback(self, client_no: str, seq: int, body: Row, due_at: float, copies: int) -> None:
        """Queue a callback, to be delivered `copies` times."""
        self._db.execute(
            "INSERT INTO callbacks (client_no, seq, body, due_at, remaining) VALUES (?, ?, ?, ?, ?)",
            (client_no, seq, _text(body), due_at, copies),
        )

    def due_callbacks(self, now: float, limit: int = 100) -> list[Row]:
        """Callbacks to send now."""
        return self._all(
            "SELECT * FROM callbacks WHERE remaining > 0 AND due_at <= ? ORDER BY id LIMIT ?",
            now, limit,
        )  # fmt: skip

    def callback_tried(  # one row's new state after a try
        self, callback_id: int, *, remaining: int, due_at: float, status: int | None
    ) -> None:
        """Write down a try."""
        self._db.execute(
            "UPDATE callbacks SET tries = tries + 1, remaining = ?, due_at = ?, last_status = ? WHERE id = ?",
            (remaining, due_at, status, callback_id),
        )
