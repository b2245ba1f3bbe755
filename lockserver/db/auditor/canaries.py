"""L-31: a search for planted values, in decoded columns and in files, in every spelling.

Columns are read through SQL: a dump or a data folder shows bytes as hex and compresses long values,
so a search there cannot fail. Files are searched raw.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from lockserver.db.auditor.finding import Evidence, Finding, Findings

CHUNK: Final = 1 << 20
_ROWS: Final = 500
MIN_BYTES: Final = 6
"""A shorter canary would be found by chance."""


def spellings(canary: str | bytes) -> dict[str, bytes]:
    """Return how a value can be written: name of the spelling → bytes to look for.

    In base64 a value can begin at any of three places within a group: the groups that its
    neighbours cannot change are looked for. Raises ValueError for a canary too short to mean anything.
    """
    raw = canary.encode() if isinstance(canary, str) else canary
    if len(raw) < MIN_BYTES:
        raise ValueError(f"a canary has at least {MIN_BYTES} bytes")
    found = {"utf-8": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    for shift in range(3):
        found |= _base64(raw, shift)
    if isinstance(canary, str):
        found["utf-16-le"] = canary.encode("utf-16-le")
        found["utf-16-be"] = canary.encode("utf-16-be")
        escaped = json.dumps(canary)[1:-1].encode()
        if escaped != raw:
            found["json"] = escaped
        found["percent"] = "".join(f"%{byte:02X}" for byte in raw).encode()
    return found


def _base64(raw: bytes, shift: int) -> dict[str, bytes]:
    """Return the inner characters of the value's base64 when `shift` bytes stand before it."""
    whole = base64.b64encode(bytes(shift) + raw)
    lost = (0, 2, 3)[shift]  # characters that the bytes before touch
    inner = whole[lost : (shift + len(raw)) * 8 // 6]
    urlsafe = inner.translate(bytes.maketrans(b"+/", b"-_"))
    spelled = {f"base64/{shift}": inner}
    if urlsafe != inner:
        spelled[f"base64url/{shift}"] = urlsafe
    return spelled


class Search:
    """Looks for several canaries in all their spellings."""

    def __init__(self, canaries: Mapping[str, str | bytes]) -> None:
        """Take name → value; a finding shows the name only."""
        self._needles = [
            (f"{name} as {spelling}", needle)
            for name, value in canaries.items()
            for spelling, needle in spellings(value).items()
        ]
        self.longest = max((len(needle) for _, needle in self._needles), default=0)

    def within(self, hay: bytes) -> Iterable[str]:
        """Return what is found in these bytes."""
        return [what for what, needle in self._needles if needle in hay]


def check_columns(evidence: Evidence, search: Search) -> Findings:
    """Search every column of every table of ours, as its values, not as their dump."""
    columns = evidence.rows(
        """
        SELECT c.table_schema, c.table_name, c.column_name, c.data_type
        FROM information_schema.columns c
        JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')
        ORDER BY 1, 2, 3
        """
    )
    for column in columns:
        hits: set[str] = set()
        name = sql.Identifier(column["table_schema"], column["table_name"])
        # bytea comes as bytes; everything else as its text, arrays and jsonb too
        shown = sql.Identifier(column["column_name"])
        value = shown if column["data_type"] == "bytea" else sql.SQL("{}::text").format(shown)
        with evidence.connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT {} FROM {} WHERE {} IS NOT NULL").format(value, name, shown))
            while rows := cursor.fetchmany(_ROWS):
                for (cell,) in rows:
                    hits.update(search.within(_bytes(cell)))
        for hit in sorted(hits):
            yield Finding("L-31", f"{column['table_name']}.{column['column_name']}", f"shows {hit}")


def _bytes(cell: Any) -> bytes:  # noqa: ANN401 - what psycopg hands out
    return bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()


def check_files(folders: Iterable[Path], search: Search, *, except_for: Iterable[Path] = ()) -> Findings:
    """Search every file below these folders, and its name; links are not followed."""
    spared = [path.resolve() for path in except_for]
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            resolved = path.resolve()
            if path.is_symlink() or any(resolved.is_relative_to(one) for one in spared):
                continue
            hits = set(search.within(path.name.encode()))
            if path.is_file():
                hits |= _in_file(path, search)
            for hit in sorted(hits):
                yield Finding("L-31", str(path), f"shows {hit}")


def _in_file(path: Path, search: Search) -> set[str]:
    hits: set[str] = set()
    tail = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                hits.update(search.within(tail + chunk))
                tail = (tail + chunk)[-max(search.longest - 1, 1) :]
    except (FileNotFoundError, PermissionError) as fault:
        return {f"nothing: it cannot be read ({type(fault).__name__})"} if path.exists() else set()
    return hits
