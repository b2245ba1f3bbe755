"""Brings a server to the present schema: users, database, tables, laws, grants.

Run at every start of the demo and by `lockserver migrate`; on an up-to-date database it only lays
the passwords and grants anew.
"""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from procrastinate import App, SyncPsycopgConnector
from psycopg import sql
from sqlalchemy import create_engine, make_url

from lockserver.db.connection import async_url, driver_url, with_user
from lockserver.db.roles import MIGRATE, USERS, create_users, lay_grants

MIGRATIONS = Path(__file__).parent / "migrations"
DATABASE = "lockserver"


def role_url(server_url: str, role: str, password: str, *, database: str = DATABASE) -> str:
    """Return the URL with which a role reaches our database on the server of `server_url`."""
    at_database = make_url(server_url).set(database=database)
    return with_user(at_database.render_as_string(hide_password=False), USERS[role], password)


def migrate(superuser_url: str, passwords: Mapping[str, str], *, database: str = DATABASE) -> None:
    """Create or bring up to date users, database, schema and grants. Blocks; not for a loop.

    `superuser_url` names any database of the server and a user who may create roles and
    databases; `passwords` holds one per role of `lockserver.db.roles.USERS`. Raises
    psycopg.Error and alembic's CommandError; what failed is rolled back as a whole.
    """
    _create(superuser_url, passwords, database)
    owner = role_url(superuser_url, "migrate", passwords["migrate"], database=database)
    bring_up(owner)


def bring_up(owner_url: str) -> None:
    """Migrate to the newest revision and lay the grants anew, as the schema's owner.

    All there is to do on a server where an operator made users and database himself.
    """
    upgrade(owner_url)
    _lay_schedule(owner_url)
    with psycopg.connect(driver_url(owner_url), autocommit=False) as connection:
        lay_grants(connection)


def _create(superuser_url: str, passwords: Mapping[str, str], database: str) -> None:
    with psycopg.connect(driver_url(superuser_url), autocommit=True) as server:
        create_users(server, passwords)
        name, owner = sql.Identifier(database), sql.Identifier(MIGRATE)
        # Who is no superuser must be able to act as the owner to make something his.
        server.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(owner))
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
            server.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(name, owner)
            )
        server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        for user in USERS.values():
            server.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(user)))
    url = make_url(superuser_url).set(database=database)
    with psycopg.connect(driver_url(url.render_as_string(hide_password=False)), autocommit=True) as inside:
        inside.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(owner))
        inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")


def _lay_schedule(owner_url: str) -> None:
    """Make procrastinate's own tables, where they are not there yet."""
    with psycopg.connect(driver_url(owner_url)) as connection:
        [there] = connection.execute("SELECT to_regclass('procrastinate_jobs') IS NOT NULL").fetchone() or [
            False
        ]
    if not there:
        with App(connector=SyncPsycopgConnector(conninfo=driver_url(owner_url))).open() as app:
            app.schema_manager.apply_schema()


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Run Alembic's migrations up to `revision`, as the schema's owner."""
    _run(owner_url, revision, command.upgrade)


def downgrade(owner_url: str, revision: str) -> None:
    """Run Alembic's migrations down to `revision`, as the schema's owner."""
    _run(owner_url, revision, command.downgrade)


def _run(owner_url: str, revision: str, direction: object) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(async_url(owner_url))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            direction(config, revision)  # type: ignore[operator]  # upgrade or downgrade
    finally:
        engine.dispose()
