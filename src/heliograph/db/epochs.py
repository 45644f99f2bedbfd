"""Counters that grow when something changes that processes have cached."""

from heliograph.db.engine import Tx

ACCESS = "access"
"""Name of the counter for cached principals: permissions and prices."""


def bump(tx: Tx, name: str) -> None:
    """Count a change: every process then knows that what it has cached under this name may be stale."""
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
