"""Alembic's entry: runs migrations on the connection that `lockserver.db.migrate` hands over."""

from alembic import context
from sqlalchemy import Connection

from lockserver.db.tables import metadata


def run(connection: Connection) -> None:
    """Run what is asked for, in one transaction: a migration happens whole or not at all."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=False,
        include_name=lambda name, kind, _parents: (
            kind != "table" or not (name or "").startswith("procrastinate_")
        ),
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
