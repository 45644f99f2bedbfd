"""Both spellings of a number of Mexico or Argentina have one key"""

from alembic import op

revision = "0013"
down_revision = "0012"

_SECOND_SPELLINGS = ((521, 52), (549, 54))
"""The digits before ten others, as they were and as they are."""


def upgrade() -> None:
    for table in ("contacts", "messages"):
        for before, after in _SECOND_SPELLINGS:
            first = before * 10**10
            op.execute(
                f"UPDATE {table} SET msisdn = msisdn - {first - after * 10**10}"  # noqa: S608
                f" WHERE msisdn BETWEEN {first} AND {first + 10**10 - 1}"
            )
