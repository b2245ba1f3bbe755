"""Writes the initial migration anew from the models: `python -m lockserver.db.migrations.draft`.

Only until the first release: from then on 0001 stays as it is, and a change is a migration of its own
(`test_L41_…` holds what migrations add up to against the models).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from lockserver.db.tables import metadata

FOLDER: Final = Path(__file__).parent / "sql"
_HEAD: Final = "-- Written by lockserver.db.migrations.draft from the models.\n\n"


def create_statements() -> str:
    """Return the DDL of every table and index, in an order that references allow."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [str(CreateIndex(index).compile(dialect=dialect)).strip() for index in indexes]
    lines = (line.rstrip() for line in ";\n\n".join(statements).splitlines())
    return _HEAD + "\n".join(lines) + ";\n"


def drop_statements() -> str:
    """Return what takes the tables away again, in the reverse order."""
    return _HEAD + "".join(f"DROP TABLE {table.name};\n" for table in reversed(metadata.sorted_tables))


def main() -> None:
    """Write both files."""
    (FOLDER / "0001_tables.sql").write_text(create_statements(), encoding="utf-8")
    (FOLDER / "0001_drop.sql").write_text(drop_statements(), encoding="utf-8")


if __name__ == "__main__":
    main()
