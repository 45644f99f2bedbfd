"""Low credit: a mail to the owner when the credit falls below the account's `low_credit_amount`, and the next one only
after the credit was above it again.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import exists, select

from heliograph.billing import ledger, prices
from heliograph.billing.payments import PENDING
from heliograph.db.engine import Tx
from heliograph.db.tables import balances, payments, users
from heliograph.queue import mail

_BALANCE = select(balances.c.micros).where(balances.c.user_id == users.c.user_id).scalar_subquery()


def tell(tx: Tx, sender: str, limit: int = 100) -> bool:
    """Write the mails that are due, at most `limit`; whether there may be more. `sender` is their From address.

    An account with a payment that has no outcome yet gets none: the payment may raise the credit in a moment.
    """
    risen = users.update().where(users.c.low_credit_told == 1, users.c.low_credit_micros <= _BALANCE)
    tx.execute(risen.values(low_credit_told=0))
    low = (
        select(users.c.user_id)
        .where(
            users.c.low_credit_micros > 0,
            users.c.low_credit_told == 0,
            users.c.low_credit_micros > _BALANCE,
            users.c.banned == 0,
            users.c.email != "",
            ~exists().where(payments.c.user_id == users.c.user_id, payments.c.state == PENDING),
        )
        .limit(limit)
    )
    found = list(tx.execute(low).scalars())
    if found:
        # When two processes find the same accounts, the second one updates none, and so writes no mail.
        told = users.update().where(users.c.user_id.in_(found), users.c.low_credit_told == 0).values(low_credit_told=1)
        for row in tx.rows(told.returning(users)):
            text = _text(row, ledger.balance(tx, row["user_id"]))
            mail.enqueue(tx, sender, row["email"], f"Low credit: {row['username']}", text)
    return len(found) == limit


def _text(row: Mapping[str, Any], balance: int) -> str:
    left, mark = (f"{row['currency']} {prices.fixed(micros, 4)}" for micros in (balance, row["low_credit_micros"]))
    return (
        f"The credit of your account {row['username']} is {left}, which is less than {mark}.\n\n"
        "Messages that it does not cover are refused with the status INSUFFICIENT_CREDIT. There is no other mail about"
        " it until the credit has been as high as that again (low_credit_amount in the settings of the account).\n"
    )
