"""Money: integers of 1/1,000,000 of the account's currency, changed only by an entry together with the balance."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from heliograph.db.engine import Tx
from heliograph.db.tables import balances, ledger

COLUMNS = ("user_id", "at", "kind", "micros", "balance_micros", "reference")


class InsufficientCredit(Exception):
    """The entry would take the balance below zero; nothing was written."""


def open_balance(tx: Tx, user_id: int) -> None:
    """Start the balance of a new account at zero."""
    tx.execute(balances.insert().values(user_id=user_id, micros=0))


def balance(tx: Tx, user_id: int) -> int:
    """The balance in micros, for showing."""
    return int(tx.scalar(select(balances.c.micros).where(balances.c.user_id == user_id)) or 0)


def lock(tx: Tx, user_ids: Sequence[int]) -> dict[int, int]:
    """Lock the balances of some accounts until the transaction ends; the balances. Always in the same order, so that
    two transactions cannot deadlock.
    """
    text = f"SELECT user_id, micros FROM balances WHERE user_id IN ({{}}) ORDER BY user_id {tx.dialect.for_update}"  # noqa: S608
    return {row[0]: row[1] for row in tx.driver_in(text, [], sorted(set(user_ids)))}


def post(tx: Tx, user_id: int, micros: int, kind: str, reference: str) -> int:
    """Write one entry; the new balance. Raises InsufficientCredit, KeyError for an unknown account."""
    return post_many(tx, lock(tx, [user_id]), [(user_id, micros, kind, reference)])[user_id]


def post_many(tx: Tx, locked: Mapping[int, int], entries: Sequence[tuple[int, int, str, str]]) -> dict[int, int]:
    """Write entries (user_id, micros, kind, reference) on balances that `lock` gave; the new balances.

    Raises InsufficientCredit, before anything is written, when a balance would be negative after any of the entries.
    """
    after = dict(locked)
    rows = []
    for user_id, micros, kind, reference in entries:
        after[user_id] += micros
        if after[user_id] < 0:
            raise InsufficientCredit(user_id)
        rows.append((user_id, tx.now, kind, micros, after[user_id], reference))
    tx.insert_rows("ledger", COLUMNS, rows)
    for user_id, amount in after.items():
        if amount != locked[user_id]:
            tx.driver("UPDATE balances SET micros = ? WHERE user_id = ?", [amount, user_id])
    return after


def entries(tx: Tx, user_id: int) -> Sequence[Mapping[str, object]]:
    """Every entry of an account, oldest first."""
    return tx.rows(select(ledger).where(ledger.c.user_id == user_id).order_by(ledger.c.entry_id))
