"""Jobs know whether a process has them in hand"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """What is claimed now counts as waiting until its lease ends, as before."""
    op.add_column("jobs", sa.Column("claimed", sa.SmallInteger(), nullable=False, server_default="0"))
