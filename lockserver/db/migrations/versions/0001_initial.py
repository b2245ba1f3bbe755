"""The initial schema."""

from pathlib import Path

from alembic import op

from lockserver.db.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    op.execute((SQL / "0001_functions.sql").read_text("utf-8"))
    metadata.create_all(op.get_bind())
    op.execute((SQL / "0001_triggers.sql").read_text("utf-8"))


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
    for function in (
        "law_23",
        "law_23_judge",
        "tenancy_ends_once",
        "epoch_rises",
        "command_steps",
        "counter_rises",
        "phone_proof",
        "only_added",
        "room_span",
    ):
        op.execute(f"DROP FUNCTION {function}")
