"""The initial schema: functions that tables need, tables, and the laws that span rows."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
FUNCTIONS = (
    "law_23",
    "law_23_judge",
    "tenancy_ends_once",
    "epoch_rises",
    "keeps",
    "command_steps",
    "counter_rises",
    "slot_steps",
    "slot_begins",
    "wish_by_a_living_phone",
    "stays_ended",
    "law_52",
    "phone_proof",
    "only_added",
    "room_span",
)


def upgrade() -> None:
    for part in ("functions", "tables", "triggers"):
        _run(f"0001_{part}.sql")


def downgrade() -> None:
    _run("0001_drop.sql")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")


def _run(file: str) -> None:
    # Straight to the driver, where a colon is no parameter; it reads percent signs, though.
    op.get_bind().exec_driver_sql((SQL / file).read_text("utf-8").replace("%", "%%"))
