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
    tx.memo.pop("epochs", None)


def value(tx: Tx, name: str) -> int:
    """The present value, read once a transaction."""
    known = tx.memo.get("epochs")
    if known is None:  # all of them at once: there are few, and each transaction asks for more than one
        known = tx.memo["epochs"] = dict(tx.driver("SELECT name, value FROM epochs").fetchall())
    return int(known.get(name, 0))
