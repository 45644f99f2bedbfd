"""Counters that move when something that processes remember has changed."""

from heliograph.db.engine import Tx

ACCESS = "access"
"""What is remembered of who may do what, and at which price."""


def bump(tx: Tx, name: str) -> None:
    """Tell every process that what it remembers under this name may be stale."""
    tx.driver(
        "INSERT INTO epochs (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = epochs.value + 1",
        [name],
    )
    tx.memo.pop(f"epoch:{name}", None)


def value(tx: Tx, name: str) -> int:
    """The present value, read once a transaction."""
    key = f"epoch:{name}"
    if key not in tx.memo:
        row = tx.driver("SELECT value FROM epochs WHERE name = ?", [name]).fetchone()
        tx.memo[key] = row[0] if row else 0
    return int(tx.memo[key])
