"""What the auditor says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One breach: the law, the row at fault, and what is wrong, without a personal field."""

    law: str
    where: str
    says: str

    def __str__(self) -> str:
        return f"{self.law} {self.where}: {self.says}"


Findings = Iterator[Finding]


class Evidence:
    """The end state, read in one snapshot by a user who can write nothing."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def rows(self, statement: LiteralString, args: Sequence[object] = ()) -> list[Row]:
        """Return the rows as mappings."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, args or None).fetchall()

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection, for statements put together from the catalogue."""
        return self._connection
