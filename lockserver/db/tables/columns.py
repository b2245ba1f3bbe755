"""How a column is written down, once: instants, bytes, states, references.

A `table=True` SQLModel does not validate what it is given, so the database does: every state is a
CHECK, every length of a key or hash too.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Dialect,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import registry
from sqlalchemy.types import Text, UserDefinedType
from sqlmodel import Field, SQLModel

POINT_BYTES = 65
"""An uncompressed P-256 point."""
HASH_BYTES = 32

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


class Row(SQLModel, registry=registry(metadata=metadata)):
    """A row of ours, in a catalogue of our own."""


class Instant(TypeDecorator[datetime]):
    """`timestamptz` that refuses naive datetimes on the way in and gives UTC on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse an instant without its offset."""
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant must carry its offset")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give UTC whatever the session's time zone is."""
        del dialect
        return None if value is None else value.astimezone(UTC)


class Blob(TypeDecorator[bytes]):
    """`bytea`, as `bytes`."""

    impl = LargeBinary
    cache_ok = True


class Words(TypeDecorator[list[str]]):
    """`text[]`."""

    impl = ARRAY(Text)
    cache_ok = True


class Xid8(UserDefinedType[int]):
    """A transaction's 64-bit id."""

    cache_ok = True

    def get_col_spec(self, **_kw: object) -> str:
        """Return the type's name."""
        return "xid8"


def key() -> Any:  # noqa: ANN401 - sqlmodel's Field is typed Any
    """Return a primary key column (or one part of it)."""
    return Field(primary_key=True)


def ref(column: str, *, primary_key: bool = False, index: bool = False) -> Any:  # noqa: ANN401
    """Return a reference that must point somewhere."""
    return Field(foreign_key=column, primary_key=primary_key, index=index)


def ref_or_none(column: str, *, index: bool = False) -> Any:  # noqa: ANN401
    """Return a reference that may point nowhere."""
    return Field(default=None, foreign_key=column, nullable=True, index=index)


def at(*, index: bool = False) -> Any:  # noqa: ANN401
    """Return an instant."""
    return Field(sa_type=Instant, nullable=False, index=index)


def at_or_none() -> Any:  # noqa: ANN401
    """Return an instant that may be missing."""
    return Field(default=None, sa_type=Instant, nullable=True)


def born() -> Any:  # noqa: ANN401
    """Return the instant of the row's making, by the database's clock unless it is given."""
    return Field(
        default=None,
        sa_type=Instant,
        nullable=False,
        sa_column_kwargs={"server_default": func.now()},
    )


def kept() -> Any:  # noqa: ANN401
    """Return the instant at which a row was really written: of two, the later one is later.

    A transaction's own instant is that of its beginning, whatever it then waited for.
    """
    return Field(
        default=None,
        sa_type=Instant,
        nullable=False,
        sa_column_kwargs={"server_default": func.clock_timestamp()},
    )


def blob(*, unique: bool = False, index: bool = False) -> Any:  # noqa: ANN401
    """Return bytes."""
    return Field(sa_type=Blob, nullable=False, unique=unique, index=index)


def blob_or_none() -> Any:  # noqa: ANN401
    """Return bytes that may be missing."""
    return Field(default=None, sa_type=Blob, nullable=True)


def json() -> Any:  # noqa: ANN401
    """Return `jsonb`."""
    return Field(sa_type=JSONB, nullable=False)


def json_or_none() -> Any:  # noqa: ANN401
    """Return `jsonb` that may be missing."""
    # None is SQL's NULL, not JSON's null: a CHECK can see it
    return Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)


def words() -> Any:  # noqa: ANN401
    """Return `text[]`."""
    return Field(sa_type=Words, nullable=False)


def one_of(column: str, *allowed: str) -> CheckConstraint:
    """Return a CHECK that a column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in allowed)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def length(column: str, octets: int) -> CheckConstraint:
    """Return a CHECK that a bytea has exactly this many octets."""
    return CheckConstraint(f"octet_length({column}) = {octets}", name=f"{column}_length")


def rule(name: str, condition: str) -> CheckConstraint:
    """Return a named CHECK."""
    return CheckConstraint(condition, name=name)


def table_of(row: type[Row]) -> Table:
    """Return the SQLAlchemy Core table of a row class."""
    table: Table = row.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
    return table
