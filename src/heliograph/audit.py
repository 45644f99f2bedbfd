"""The audit log: who changed what about access or money. Rows are only ever added."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from heliograph.db.engine import Tx
from heliograph.db.tables import audit, users

HOUSE = 0
"""The user_id of what concerns no single account (prices)."""
CLI = "command line"
UPKEEP = "upkeep"
LINK = "link of a mail"


def record(tx: Tx, user_id: int, actor: str, what: str, detail: str = "") -> None:
    """Note that `actor` (an API username, a gateway, CLI, UPKEEP or LINK) did `what` to an account.

    `detail` must hold no secret.
    """
    tx.insert_rows(
        "audit", ("at", "user_id", "actor", "what", "detail"), [(tx.now, user_id, actor, what, detail[:1000])]
    )


def entries(tx: Tx, username: str | None = None, limit: int = 100) -> Sequence[Mapping[str, Any]]:
    """The newest entries, of one account or of all, newest first."""
    found = (
        select(audit.c.at, users.c.username, audit.c.actor, audit.c.what, audit.c.detail)
        .join_from(audit, users, users.c.user_id == audit.c.user_id, isouter=True)
        .order_by(audit.c.audit_id.desc())
        .limit(limit)
    )
    return tx.rows(found.where(users.c.username == username.lower()) if username else found)
