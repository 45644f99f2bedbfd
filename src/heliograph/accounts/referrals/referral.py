"""Referrals: the referrer earns a percentage of what the referred account spends on messages."""

from typing import Any

from sqlalchemy import Select, select

from heliograph.db.engine import Tx
from heliograph.db.tables import referrals, users
from heliograph.errors import BadRequest

COLUMNS = {
    "referral_rule_id": referrals.c.referral_rule_id,
    "referred_user_id": referrals.c.referred_user_id,
    "date_referred": referrals.c.date_referred,
    "percentage_referral": referrals.c.percentage,
}


def add(tx: Tx, referrer: str, user_id: int, percentage: int) -> None:
    """Note that a user (by name) referred a new one. Raises BadRequest: there is no such user."""
    found = tx.scalar(select(users.c.user_id).where(users.c.username == referrer.strip().lower()))
    if found is None:
        raise BadRequest({"referrer": "Referrer must be the username of an account."})
    tx.execute(
        referrals.insert().values(user_id=found, referred_user_id=user_id, date_referred=tx.now, percentage=percentage)
    )


def of(user_id: int) -> Select[Any]:
    """The accounts that a user has referred."""
    return select(*(column.label(name) for name, column in COLUMNS.items())).where(referrals.c.user_id == user_id)
